//! `echo-bench`: measures the servers and the client of this workspace. `cargo xtask bench` and
//! `cargo xtask soak` start it.
//!
//! It starts the programs as processes and does not link them, so it measures the programs that users install.
//!
//! - [`mod@bench`]: measures memory, and compares RTT and throughput with the floor;
//! - [`mod@soak`]: attacks the servers and the client, and measures honest clients;
//! - [`floor`]: minimal servers and clients;
//! - [`load`]: load generators for servers.

// Replaces `println!` and similar macros, which panic if standard output is full.
#[macro_use]
extern crate child_process;

mod bench;
mod cli;
mod floor;
mod load;
mod process;
mod protocol;
#[cfg_attr(not(target_os = "linux"), path = "soak/unavailable.rs")]
mod soak;

use anyhow::Result;
use child_process::end_children_on_signal;
use clap::Parser as _;
use cli::{Cli, Command};
use std::process::ExitCode;
use std::time::Duration;

/// After Ctrl-C, the child processes have this much time to exit. xtask gives `echo-bench` 5 seconds.
const GRACE_PERIOD: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Bench => {
            end_children_on_signal("echo-bench", GRACE_PERIOD)?;
            bench::run()
        }
        Command::Soak { duration } => {
            end_children_on_signal("echo-bench", GRACE_PERIOD)?;
            soak::run(duration)
        }
        Command::Attack { name, address, duration } => soak::run_attacker(&name, address, duration),
        Command::Floor(side) => floor::run(side.into()),
        Command::Load(load) => load::run(&load.into()),
    }
}
