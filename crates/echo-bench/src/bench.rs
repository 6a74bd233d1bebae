//! `cargo xtask bench`: compares our programs with minimal echo programs (the floor). It also measures sockperf and
//! irtt if these programs are installed.
//!
//! Most results are ratios. The benchmark measures the two values of a ratio alternately in the same run, so a change
//! of the machine's speed affects both values. A result beyond its limit has a mark in the output. The benchmark does
//! not fail then, because a busy machine has the same effect as slow code.

mod memory;
mod other_programs;
mod round_trips;
mod throughput;

use crate::floor::Side;
use crate::load::Run;
use crate::process;
use crate::protocol::Protocol;
use anyhow::{Context as _, Result};
use child_process::workspace::{self, cargo, program};
use child_process::{Server, run as run_command};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The number of rounds. Each round measures each program once. The result is the median of the rounds.
const ROUNDS: usize = 7;

/// The CPU for the programs that share a CPU.
const CPU: usize = 0;

/// The second CPU, if client and server have separate CPUs.
const OTHER_CPU: usize = 1;

/// The mark of a result beyond its limit.
const LIMIT_MISSED: &str = "  LIMIT MISSED";

/// Runs all benchmarks.
pub(crate) fn run() -> Result<()> {
    println!("echo-core: the conversion to upper case\n");
    let mut transform = cargo();
    transform.args(["bench", "--quiet", "--package", "echo-core", "--bench", "transform"]);
    run_command(&mut transform)?;

    println!("\nBuilding the servers and the client\n");
    workspace::build_programs()?;
    // Child processes inherit this CPU. Some of them then select another one.
    process::pin(CPU)?;
    round_trips::run()?;
    other_programs::sockperf();
    other_programs::irtt();
    throughput::run()?;
    memory::run()
}

/// The limit of a ratio.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// The table columns for the limit and for the mark of a ratio beyond the limit.
    fn columns(self, ratio: f64) -> String {
        let (limit, is_met) = match self {
            Self::AtMost(limit) => (limit, ratio <= limit),
            Self::AtLeast(limit) => (limit, ratio >= limit),
        };
        format!("{limit:>9.2}x{}", if is_met { "" } else { LIMIT_MISSED })
    }
}

/// Starts one of our servers on the CPU of this process and discards its log.
fn our_server(protocol: Protocol) -> Result<Server> {
    let mut server = program(protocol.server());
    Ok(Server::start(server.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::null()))?)
}

/// Starts one of our servers on these CPUs with additional options. Discards its log.
fn our_server_on(cpus: &str, protocol: Protocol, options: &[&str]) -> Result<Server> {
    let mut server = Command::new("taskset");
    server.args(["-c", cpus]).arg(program(protocol.server()).get_program());
    server.args(["--listen", "127.0.0.1:0"]).args(options).stderr(Stdio::null());
    Ok(Server::start(&mut server)?)
}

/// The command that runs one side of the floor.
fn floor(side: Side) -> Result<Command> {
    own_program(side.arguments())
}

/// The command that runs a load generator.
fn load(run: &Run) -> Result<Command> {
    own_program(run.arguments())
}

fn own_program(arguments: Vec<String>) -> Result<Command> {
    let mut command =
        Command::new(std::env::current_exe().context("cannot read the path of this program")?);
    command.args(arguments);
    Ok(command)
}

/// The median, or the larger one of two middle values. `values` must not be empty.
fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

/// Prints a row of the RTT table without a ratio. Returns the median of `rtts`.
fn print_rtt(name: &str, rtts: &mut [Duration]) -> Duration {
    let median = median(rtts);
    println!("{}", rtt_columns(name, median));
    median
}

/// Prints a row of the RTT table with the ratio of the median to `base`.
fn print_rtt_ratio(name: &str, rtts: &mut [Duration], base: Duration, limit: Option<Limit>) {
    let median = median(rtts);
    let ratio = median.as_secs_f64() / base.as_secs_f64();
    let limit = limit.map_or_else(String::new, |limit| limit.columns(ratio));
    println!("{}{ratio:>7.2}x{limit}", rtt_columns(name, median));
}

fn rtt_columns(name: &str, rtt: Duration) -> String {
    let rtt = format!("{:.2} µs", rtt.as_secs_f64() * 1e6);
    format!("{name:<47}{rtt:>10}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_value_in_the_middle() {
        assert_eq!(median(&mut [3, 1, 2]), 2);
        assert_eq!(median(&mut [4, 1, 3, 2]), 3);
    }

    #[test]
    fn ratio_beyond_its_limit_is_marked() {
        assert_eq!(Limit::AtMost(1.1).columns(1.1), "     1.10x");
        assert_eq!(Limit::AtMost(1.1).columns(1.2), "     1.10x  LIMIT MISSED");
        assert_eq!(Limit::AtLeast(1.7).columns(1.6), "     1.70x  LIMIT MISSED");
    }
}
