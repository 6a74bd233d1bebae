//! What the servers answer under load, against the plainest servers there are: replies a second, and for UDP
//! the CPU that a reply costs. The load has a CPU of its own.

use super::{CPUS, Limit, floor, has_two_cpus, median, our_server_on};
use crate::load::Answered;
use crate::process::{Server, output, program};
use anyhow::{Result, ensure};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How many rounds; more than for round trips, because neighbours on the machine disturb more.
const ROUNDS: usize = 15;

/// How long the load goes on in one round, in milliseconds; a tenth more is not counted.
const LASTING: &str = "250";

/// The load in words, its arguments, and what the ratio of replies a second has to be.
type Load = (&'static str, &'static [&'static str], f64);

const UDP: [Load; 3] = [
    ("UDP: 64 peers, 256 requests in flight", &["udp", "32"], 1.0),
    ("UDP: one peer, bursts of 32 bytes", &["bursts", "32"], 10.0),
    ("UDP: one peer, bursts of 1,200 bytes", &["bursts", "1200"], 1.7),
];

const TCP: [Load; 4] = [
    ("TCP: 64 connections, 1 in flight", &["tcp", "64", "1"], 1.0),
    ("TCP: 64 connections, 16 in flight", &["tcp", "64", "16"], 1.0),
    ("TCP: 1,000 connections, 1 in flight", &["tcp", "1000", "1"], 1.0),
    ("TCP: 1,000 connections, 16 in flight", &["tcp", "1000", "16"], 1.0),
];

/// A reply may cost this much of the plain loop's CPU.
const CPU: Limit = Limit::AtMost(1.05);

/// Measures and prints.
pub(super) fn run() -> Result<()> {
    if cfg!(not(target_os = "linux")) || !has_two_cpus() {
        println!("\nLoad needs Linux and two CPUs: left out");
        return Ok(());
    }
    println!(
        "\nReplies a second, server and load on a CPU each; ratios are medians of {ROUNDS} rounds, each"
    );
    println!("against the plain server (a blocking loop, epoll for TCP) in the same round");
    println!("\n{:<39}{:>10}{:>8}{:>8}{:>10}", "", "plain", "ours", "ratio", "at least");
    against_the_floor("udp", "block", &UDP)?;
    against_the_floor("tcp", "epoll", &TCP)?;
    println!("\nTwo workers on two CPUs, against one worker there; a load on each CPU too");
    println!("\n{:<39}{:>10}{:>8}{:>8}", "", "one", "two", "ratio");
    for (protocol, load) in [("udp", UDP[0].1), ("tcp", TCP[0].1)] {
        workers(protocol, load)?;
    }
    Ok(())
}

fn against_the_floor(protocol: &str, waiting: &str, loads: &[Load]) -> Result<()> {
    let plain = Server::start(&mut floor(&["server", protocol, waiting, CPUS.0]))?;
    let ours = Server::start(&mut ours(protocol))?;
    for (name, load, at_least) in loads {
        let mut plains = Vec::new();
        let mut all = Vec::new();
        let mut ratios = Vec::new();
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let (floor, floor_cost) = measured(&plain, load)?;
            let (own, own_cost) = measured(&ours, load)?;
            plains.push(floor);
            all.push(own);
            ratios.push(own / floor);
            costs.push(own_cost / floor_cost);
        }
        let ratio = median(&mut ratios);
        let (plain, own) = (thousands(&mut plains), thousands(&mut all));
        println!(
            "{name:<39}{plain:>10}{own:>8}{ratio:>7.2}x{}",
            Limit::AtLeast(*at_least).told(ratio)
        );
        if load[0] == "udp" {
            let cost = median(&mut costs);
            println!("{:<57}{cost:>7.2}x{} at most", "     CPU per reply", CPU.told(cost));
        }
    }
    Ok(())
}

/// One round: replies a second, and the server's CPU per reply in nanoseconds.
fn measured(server: &Server, load: &[&str]) -> Result<(f64, f64)> {
    let before = server.cpu_time()?;
    let answered: Answered = output(&mut loaded(server, load, CPUS.1))?.parse()?;
    ensure!(answered.wrong == 0, "{} replies were wrong", answered.wrong);
    let spent = server.cpu_time()?.saturating_sub(before);
    // The server works for the tenth that is not counted, too.
    Ok((
        answered.rate(),
        spent.as_secs_f64() / (1.1 * answered.rate() * answered.took.as_secs_f64()),
    ))
}

/// What a second worker buys.
fn workers(protocol: &str, load: &[&str]) -> Result<()> {
    let both = |server: &Server| -> Result<f64> {
        let loads = [CPUS.0, CPUS.1].map(|cpu| {
            let mut command = loaded(server, load, cpu);
            std::thread::spawn(move || output(&mut command))
        });
        let mut sum = 0.0;
        for load in loads {
            let Ok(told) = load.join() else { anyhow::bail!("a load panicked") };
            sum += told?.parse::<Answered>()?.rate();
        }
        Ok(sum)
    };
    // These two leave the CPU that everything else is started on.
    let one = our_server_on("0,1", protocol, &[])?;
    let two = our_server_on("0,1", protocol, &["--workers", "2"])?;
    let (mut ones, mut twos, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (one, two) = (both(&one)?, both(&two)?);
        ones.push(one);
        twos.push(two);
        ratios.push(two / one);
    }
    let name = format!("{}: --workers 2", protocol.to_uppercase());
    let (one, two) = (thousands(&mut ones), thousands(&mut twos));
    println!("{name:<39}{one:>10}{two:>8}{:>7.2}x", median(&mut ratios));
    Ok(())
}

fn ours(protocol: &str) -> Command {
    let mut server = program(&format!("{protocol}-echo"));
    server.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::null());
    server
}

fn loaded(server: &Server, load: &[&str], cpu: &str) -> Command {
    let mut command = program("xtask");
    command.args(["load", load[0], &server.address]).args(&load[1..]).args([cpu, LASTING]);
    command
}

/// A median rate, in thousands a second.
fn thousands(rates: &mut [f64]) -> String {
    format!("{:.0} k", median(rates) / 1e3)
}

/// A server's processor time so far.
impl Server {
    #[cfg(target_os = "linux")]
    fn cpu_time(&self) -> Result<Duration> {
        use anyhow::Context as _;
        let mut sum = Duration::ZERO;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            // Nanoseconds on a CPU come first (Documentation/scheduler/sched-stats.rst).
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let spent = text.split_whitespace().next().context("schedstat")?;
            sum += Duration::from_nanos(spent.parse()?);
        }
        Ok(sum)
    }

    #[cfg(not(target_os = "linux"))]
    fn cpu_time(&self) -> Result<Duration> {
        anyhow::bail!("not known here")
    }
}
