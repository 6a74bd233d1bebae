//! The packages of the workspace and the dependencies between them.

use super::Violation;
use anyhow::Result;
use child_process::{output, workspace};
use std::collections::BTreeSet;

/// A package and its allowed dependencies.
struct Package {
    name: &'static str,
    /// The path relative to the root of the workspace.
    directory: &'static str,
    /// The packages of the workspace that this package may depend on.
    may_depend_on: &'static [&'static str],
}

const PACKAGES: [Package; 8] = [
    Package { name: "echo-core", directory: "crates/echo-core", may_depend_on: &[] },
    Package {
        name: "echo-service",
        directory: "crates/echo-service",
        may_depend_on: &["echo-core"],
    },
    Package {
        name: "udp-echo",
        directory: "crates/udp-echo",
        may_depend_on: &["echo-core", "echo-service"],
    },
    Package {
        name: "tcp-echo",
        directory: "crates/tcp-echo",
        may_depend_on: &["echo-core", "echo-service"],
    },
    Package { name: "rtt-client", directory: "crates/rtt-client", may_depend_on: &["echo-core"] },
    Package { name: "child-process", directory: "crates/child-process", may_depend_on: &[] },
    Package {
        name: "echo-bench",
        directory: "crates/echo-bench",
        may_depend_on: &["child-process"],
    },
    Package { name: "xtask", directory: "xtask", may_depend_on: &["child-process"] },
];

/// The external packages that `echo-core` may depend on.
const ECHO_CORE_MAY_USE: [&str; 1] = ["bytes"];

/// The names of all packages of the workspace.
pub(crate) fn packages() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().map(|package| package.name)
}

/// Checks the dependencies of all packages.
pub(super) fn check() -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for package in &PACKAGES {
        violations.extend(check_dependencies(package, &dependencies(package.name)?));
    }
    Ok(violations)
}

fn check_dependencies(package: &Package, dependencies: &BTreeSet<String>) -> Vec<Violation> {
    let violation = |dependency: &str, rule: String| Violation {
        file: format!("{}/Cargo.toml", package.directory),
        line: None,
        found: format!("depends on {dependency}"),
        rule,
    };
    let mut violations = Vec::new();
    for dependency in dependencies.iter().map(String::as_str) {
        if packages().any(|name| name == dependency) {
            if !package.may_depend_on.contains(&dependency) {
                let allowed = if package.may_depend_on.is_empty() {
                    "no package of this workspace".to_owned()
                } else {
                    format!("only {} of this workspace", package.may_depend_on.join(" and "))
                };
                let rule = format!("{} may depend on {allowed}", package.name);
                violations.push(violation(dependency, rule));
            }
        } else if package.name == "echo-core" && !ECHO_CORE_MAY_USE.contains(&dependency) {
            let rule = format!(
                "echo-core is pure; it may depend only on {}",
                ECHO_CORE_MAY_USE.join(", ")
            );
            violations.push(violation(dependency, rule));
        }
    }
    violations
}

/// The direct dependencies of a package, without dev-dependencies and build dependencies.
fn dependencies(package: &str) -> Result<BTreeSet<String>> {
    let mut tree = workspace::cargo();
    tree.args(["tree", "--quiet", "--locked", "--edges", "normal", "--depth", "1"]);
    tree.args(["--prefix", "none", "--format", "{p}", "--package", package]);
    let text = output(&mut tree)?;
    // The first line is the package itself.
    Ok(text.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(package: &str, dependencies: &[&str]) -> Vec<String> {
        let package = PACKAGES.iter().find(|other| other.name == package).unwrap();
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        check_dependencies(package, &dependencies).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependency_on_a_server_is_reported_with_its_rule() {
        assert_eq!(
            violations("rtt-client", &["echo-core", "udp-echo", "clap"]),
            [
                "crates/rtt-client/Cargo.toml: depends on udp-echo; RULE: rtt-client may depend on only echo-core of this workspace"
            ]
        );
        assert_eq!(violations("xtask", &["rtt-client", "child-process", "anyhow"]).len(), 1);
    }

    #[test]
    fn echo_core_may_depend_only_on_the_bytes_crate() {
        assert_eq!(violations("echo-core", &["bytes"]), [""; 0]);
        assert_eq!(
            violations("echo-core", &["tokio"]),
            [
                "crates/echo-core/Cargo.toml: depends on tokio; RULE: echo-core is pure; it may depend only on bytes"
            ]
        );
    }

    #[test]
    fn every_package_has_a_manifest_in_its_directory() {
        for package in &PACKAGES {
            let manifest = workspace::root().join(package.directory).join("Cargo.toml");
            let text = std::fs::read_to_string(manifest).unwrap();
            assert!(text.contains(&format!("name = \"{}\"", package.name)), "{}", package.name);
        }
    }
}
