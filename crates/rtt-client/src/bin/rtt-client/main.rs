//! `rtt-client`: parses the command line, sets up the process, calls the library and returns the exit status.

mod cli;
mod commands;
mod interim;
mod lab;
mod output;
mod process;
mod progress;
mod prompt;
mod signals;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(status) => return status,
    };
    process::log_to_stderr(command.verbosity());
    process::exit_status(commands::run(&command))
}
