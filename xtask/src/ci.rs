//! `cargo xtask ci`: what CI runs, all of it, in the order in which a failure costs least.

use crate::process::{self, cargo, root};
use crate::{demo, house, soak};
use anyhow::{Context as _, Result};
use std::process::Command;
use std::time::Instant;

/// Runs every check; the first that fails ends it.
pub(crate) fn run() -> Result<()> {
    step("house rules", house::check)?;
    step("format", || process::run(cargo().args(["fmt", "--all", "--check"])))?;
    step("clippy", || process::run(&mut clippy(cargo())))?;
    step("documentation", || {
        let mut doc = cargo();
        doc.args(["doc", "--quiet", "--workspace", "--no-deps", "--locked"]);
        process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    for package in house::PACKAGES {
        // Built with the others, a crate borrows the features that they ask of its dependencies.
        step(&format!("{package} by itself"), || {
            process::run(cargo().args(["check", "--quiet", "--locked", "--package", package]))
        })?;
    }
    step("tests", || process::run(&mut tests(cargo())))?;
    step("portable: clippy", || process::run(&mut clippy(portable())))?;
    step("portable: tests", || process::run(&mut tests(portable())))?;
    step("demo", demo::run)?;
    if cfg!(target_os = "linux") {
        step("soak", || soak::run("10s"))?;
    }
    println!("\nci: everything passed");
    Ok(())
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n--- {name}");
    let begun = Instant::now();
    check().with_context(|| format!("the check `{name}` failed"))?;
    println!("--- {name}: passed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn clippy(mut cargo: Command) -> Command {
    cargo.args(["clippy", "--quiet", "--workspace", "--all-targets", "--locked"]);
    cargo.args(["--", "-D", "warnings"]);
    cargo
}

fn tests(mut cargo: Command) -> Command {
    cargo.args(["test", "--quiet", "--workspace", "--locked"]);
    cargo
}

/// Cargo building what every system gets, without the abilities of this one. It has a target directory
/// of its own, so that the two do not build each other's work anew.
fn portable() -> Command {
    let mut cargo = cargo();
    cargo.env("RUSTFLAGS", "--cfg portable");
    cargo.env("CARGO_TARGET_DIR", root().join("target").join("portable"));
    cargo
}
