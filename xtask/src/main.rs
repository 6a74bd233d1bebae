//! The tasks of this workspace: `cargo xtask demo | bench | soak | ci`.
//!
//! Cargo builds xtask before every task, so it must be small. It does not link the servers or the client: it
//! starts them as processes and reads their output. The package `echo-bench` runs `bench` and `soak`.

// Replaces `println!` and similar macros, which panic if standard output is full.
#[macro_use]
extern crate child_process;

mod arguments;
mod ci;
mod code_rules;
mod demo;

use anyhow::Result;
use arguments::{Task, USAGE};
use child_process::{status, workspace};
use std::process::ExitCode;
use std::time::Duration;

/// After Ctrl-C, the child processes have this much time to exit. `echo-bench` gives its own child processes
/// 2 seconds.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let Some(task) = Task::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    run(&task).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: &Task) -> Result<ExitCode> {
    child_process::end_children_on_signal("xtask", GRACE_PERIOD)?;
    match task {
        Task::Demo => demo::run()?,
        Task::Ci { skip_tests } => ci::run(*skip_tests)?,
        Task::Bench => return echo_bench(&["bench"]),
        Task::Soak { duration: None } => return echo_bench(&["soak"]),
        Task::Soak { duration: Some(duration) } => {
            return echo_bench(&["soak", "--duration", duration]);
        }
        Task::Help => println!("{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `echo-bench` and returns its exit status.
fn echo_bench(arguments: &[&str]) -> Result<ExitCode> {
    let code = status(&mut workspace::echo_bench(arguments))?.code();
    // There is no code if a signal killed the process.
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
