//! The tasks of this workspace: `cargo xtask demo | bench | soak | ci`. Each task has a file.
//!
//! xtask starts other programs and reads their output. It links neither the servers nor the client, because
//! cargo builds it before every task.

mod arguments;
mod ci;
mod code_rules;
mod demo;
mod measure;

use anyhow::Result;
use arguments::{Task, USAGE};
use std::process::ExitCode;
use std::time::Duration;

/// After Ctrl-C, the programs of a task have this much time to end. `echo-bench` gives its own children 2 seconds.
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
        Task::Ci => ci::run()?,
        Task::Bench => return measure::run(&["bench"]),
        Task::Soak { duration: None } => return measure::run(&["soak"]),
        Task::Soak { duration: Some(duration) } => {
            return measure::run(&["soak", "--duration", duration]);
        }
        Task::Help => println!("{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}
