//! The rules of the house that a program can check: who leans on whom, and what a file looks like.
//! CONTRIBUTING.md gives their reasons.

use crate::process::{cargo, output, root};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every package of the workspace.
pub(crate) const PACKAGES: [&str; 6] =
    ["echo-core", "echo-service", "udp-echo", "tcp-echo", "rtt-client", "xtask"];

/// The packages of the workspace that a package leans on; it may have no others.
const LEANS_ON: [(&str, &[&str]); 6] = [
    ("echo-core", &[]),
    ("echo-service", &["echo-core"]),
    ("udp-echo", &["echo-core", "echo-service"]),
    ("tcp-echo", &["echo-core", "echo-service"]),
    ("rtt-client", &["echo-core"]),
    ("xtask", &[]),
];

/// All that the pure crate may use, and what it must not use of the standard library.
const PURE: [&str; 1] = ["bytes"];
const IMPURE: [&str; 4] = ["std::net", "std::fs", "std::io", "std::thread"];

/// A `main.rs` parses, logs, calls the library and exits: more than this is something else.
const LONGEST_MAIN: usize = 60;

/// A file longer than this has more than one reason to change, or says at its head why not.
const LONGEST_FILE: usize = 400;

/// Checks all of them, and tells of every breach at once.
pub(crate) fn check() -> Result<()> {
    let mut breaches = Vec::new();
    for (package, allowed) in LEANS_ON {
        let dependencies = dependencies(package)?;
        for other in PACKAGES.iter().filter(|other| dependencies.contains(**other)) {
            if !allowed.contains(other) {
                breaches.push(format!("{package} must not lean on {other}"));
            }
        }
        if package == "echo-core" {
            for other in dependencies.iter().filter(|name| !PURE.contains(&name.as_str())) {
                breaches.push(format!("echo-core is pure and must not use {other}"));
            }
        }
    }
    for file in sources(&root())? {
        let text = fs::read_to_string(&file)?;
        let lines = text.lines().count();
        if file.starts_with(root().join("crates/echo-core/src")) {
            for impure in IMPURE.iter().filter(|path| text.contains(**path)) {
                breaches.push(format!("echo-core is pure and must not use {impure}"));
            }
        }
        let name = file.strip_prefix(root()).unwrap_or(&file).display();
        if !text.starts_with("//!") {
            breaches.push(format!("{name} does not say what it owns: it begins without `//!`"));
        }
        if file.ends_with("main.rs") && lines > LONGEST_MAIN {
            breaches.push(format!("{name} has {lines} lines: a main.rs has {LONGEST_MAIN}"));
        }
        if lines > LONGEST_FILE && !text.contains("//! Longer than others because") {
            breaches.push(format!("{name} has {lines} lines: split it, or say why at its head"));
        }
    }
    if !breaches.is_empty() {
        bail!("\n  {}", breaches.join("\n  "));
    }
    Ok(())
}

/// The names of the packages that `package` names in its manifest, those for its tests left out.
fn dependencies(package: &str) -> Result<BTreeSet<String>> {
    let mut tree = cargo();
    tree.args(["tree", "--quiet", "--locked", "--edges", "normal", "--depth", "1"]);
    tree.args(["--prefix", "none", "--format", "{p}", "--package", package]);
    let text = output(&mut tree)?;
    Ok(text.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// Every Rust file of the workspace.
fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let hidden_or_built = path
            .file_name()
            .is_some_and(|name| name == "target" || name.to_string_lossy().starts_with('.'));
        if hidden_or_built {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
