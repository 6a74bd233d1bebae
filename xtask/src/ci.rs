//! `cargo xtask ci`: all checks that CI runs. The fast checks run first.

use crate::{code_rules, demo};
use anyhow::{Context as _, Result};
use child_process::{run as run_command, workspace};
use std::process::Command;
use std::time::Instant;

/// Runs the checks one after another. The first failure ends the run. `skip_tests` leaves out the check `tests`.
pub(crate) fn run(skip_tests: bool) -> Result<()> {
    check("code rules", code_rules::check)?;
    check_command("format", workspace::cargo().args(["fmt", "--all", "--check"]))?;
    check_command("clippy", &mut clippy(workspace::cargo()))?;
    let mut doc = workspace::cargo();
    doc.args(["doc", "--quiet", "--workspace", "--no-deps", "--locked"]);
    check_command("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    for package in code_rules::packages() {
        // In a build of the whole workspace, a dependency has the features that any package enables. This build
        // shows that the package itself enables all features that it needs.
        let mut build = workspace::cargo();
        build.args(["check", "--quiet", "--locked", "--package", package]);
        check_command(&format!("{package} by itself"), &mut build)?;
    }
    if !skip_tests {
        check_command("tests", &mut tests(workspace::cargo()))?;
    }
    check_command("toy protocol", &mut toy_protocol())?;
    check_command("portable: clippy", &mut clippy(portable_cargo()))?;
    check_command("portable: tests", &mut tests(portable_cargo()))?;
    check("demo", demo::run)?;
    if cfg!(target_os = "linux") {
        check_command("soak", &mut workspace::echo_bench(&["soak", "--duration", "10s"]))?;
    }
    let except = if skip_tests { " (--skip-tests: without the check `tests`)" } else { "" };
    println!("\nci: all checks passed{except}");
    Ok(())
}

fn check_command(name: &str, command: &mut Command) -> Result<()> {
    check(name, || Ok(run_command(command)?))
}

fn check(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n--- {name}");
    let start = Instant::now();
    check().with_context(|| format!("the check `{name}` failed"))?;
    println!("--- {name}: passed in {:.1} s", start.elapsed().as_secs_f64());
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

/// The test that runs every command with a protocol that exists only for this test. It shows that generic code of the
/// client does not depend on a real protocol.
fn toy_protocol() -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--quiet", "--package", "rtt-client", "--locked"]);
    cargo.args(["--features", "toy-protocol", "--test", "toy"]);
    cargo
}

/// Cargo with the flag that selects the fallback code for systems other than Linux.
fn portable_cargo() -> Command {
    let mut cargo = workspace::cargo();
    cargo.env("RUSTFLAGS", "--cfg portable");
    // In a shared target directory, each change of RUSTFLAGS would rebuild all packages.
    cargo.env("CARGO_TARGET_DIR", workspace::target_directory().join("portable"));
    cargo
}
