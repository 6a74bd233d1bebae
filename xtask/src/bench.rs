//! `cargo xtask bench`: the ratios, each against a floor that is measured in the same run.
//!
//! A figure that falls short of its bound is marked. Nothing fails for it: a busy machine is no fault
//! of the code, and a benchmark is not a test.

mod memory;
mod others;
mod round_trips;
mod throughput;

use crate::floor::{microseconds, pin};
use crate::process::{self, Server, cargo, program};
use anyhow::Result;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How many rounds every figure is the median of. The sides of a ratio take turns in each.
const ROUNDS: usize = 7;

/// Where everything runs that shares a CPU, and where the other side runs that does not.
const CPUS: (&str, &str) = ("0", "1");

/// Runs every benchmark.
pub(crate) fn run() -> Result<()> {
    println!("echo-core: the transform\n");
    process::run(cargo().args([
        "bench",
        "--quiet",
        "--package",
        "echo-core",
        "--bench",
        "transform",
    ]))?;

    println!("\nBuilding ...");
    process::run(cargo().args(["build", "--release", "--quiet", "--workspace"]))?;
    // What is started from here stays on this CPU, unless it moves itself.
    pin(CPUS.0.parse()?)?;
    round_trips::run()?;
    others::sockperf();
    others::irtt();
    throughput::run()?;
    memory::run()
}

/// What a ratio is held to.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// The limit, and a mark where `ratio` falls short of it.
    fn told(self, ratio: f64) -> String {
        let (limit, holds) = match self {
            Self::AtMost(limit) => (limit, ratio <= limit),
            Self::AtLeast(limit) => (limit, ratio >= limit),
        };
        format!("{limit:>9.2}x{}", if holds { "" } else { "  FALLS SHORT" })
    }
}

/// Whether there is a second CPU at all; this process has been pinned to one.
fn has_two_cpus() -> bool {
    std::path::Path::new("/sys/devices/system/cpu/cpu1").exists()
}

/// One of our servers on these CPUs, and not on the one that everything else is started on.
fn our_server_on(cpus: &str, protocol: &str, more: &[&str]) -> Result<Server> {
    let mut server = Command::new("taskset");
    server.args(["-c", cpus]).arg(program(&format!("{protocol}-echo")).get_program());
    server.args(["--listen", "127.0.0.1:0"]).args(more).stderr(Stdio::null());
    Server::start(&mut server)
}

/// The value in the middle.
fn median<T: PartialOrd + Copy>(figures: &mut [T]) -> T {
    figures.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    figures[figures.len() / 2]
}

/// Prints a figure's median, and its ratio to the floor where there is one. Returns the median.
fn row(
    name: &str,
    figures: &mut [Duration],
    floor: Option<Duration>,
    limit: Option<Limit>,
) -> Duration {
    let median = median(figures);
    print!("{name:<47}{:>10}", microseconds(median));
    if let Some(floor) = floor {
        let ratio = median.as_secs_f64() / floor.as_secs_f64();
        print!("{ratio:>7.2}x");
        if let Some(limit) = limit {
            print!("{}", limit.told(ratio));
        }
    }
    println!();
    median
}

fn floor(arguments: &[&str]) -> Command {
    let mut command = program("xtask");
    command.arg("floor").args(arguments);
    command
}
