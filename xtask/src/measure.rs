//! `cargo xtask bench` and `cargo xtask soak`: builds and runs `echo-bench`, the package with the programs for
//! measuring.

use anyhow::Result;
use child_process::{status, workspace};
use std::process::{Command, ExitCode};

/// The command that builds `echo-bench` and runs it with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "--release", "--package", "echo-bench", "--"]).args(arguments);
    cargo
}

/// Runs `echo-bench` with these arguments. Its exit status is the exit status of the task.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let code = status(&mut command(arguments))?.code();
    // A process that a signal has ended has no code.
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
