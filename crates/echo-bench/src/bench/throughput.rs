//! Compares the replies per second of our servers and the floor's servers. For one UDP load, also compares the CPU time
//! for one reply. Also compares our servers with one worker and with two workers.

use super::{CPU, Limit, OTHER_CPU, floor, load, median, our_server, our_server_on};
use crate::floor::{Side, Waiting};
use crate::load::{Load, LoadResult, Run};
use crate::process::{cpu_time, has_two_cpus};
use crate::protocol::Protocol;
use anyhow::{Result, bail, ensure};
use child_process::{Server, output};
use std::thread;
use std::time::Duration;

/// The number of rounds. It is higher than for RTTs, because other programs on the machine disturb these results more.
const ROUNDS: usize = 15;

/// The time in which replies are counted in each round.
const DURATION: Duration = Duration::from_millis(250);

/// The ratio of the time under load to [`DURATION`]. A load generator also has a warm-up of a tenth of this duration.
const LOADED_TIME: f64 = 1.1;

/// A load, its name in the table, and the limits of its ratios to the floor.
struct Case {
    name: &'static str,
    load: Load,
    min_ratio: f64,
    /// The maximum ratio of the CPU times for one reply. `None`: the ratio is not shown.
    max_cpu_ratio: Option<f64>,
}

const UDP: [Case; 3] = [
    Case {
        name: "UDP: 64 peers, 256 requests in flight",
        load: Load::Udp { size: 32 },
        min_ratio: 1.0,
        max_cpu_ratio: Some(1.05),
    },
    Case {
        name: "UDP: one peer, bursts of 32 bytes",
        load: Load::Bursts { size: 32 },
        min_ratio: 10.0,
        max_cpu_ratio: None,
    },
    Case {
        name: "UDP: one peer, bursts of 1,200 bytes",
        load: Load::Bursts { size: 1200 },
        min_ratio: 1.7,
        max_cpu_ratio: None,
    },
];

const TCP: [Case; 4] = [
    tcp("TCP: 64 connections, 1 in flight", 64, 1),
    tcp("TCP: 64 connections, 16 in flight", 64, 16),
    tcp("TCP: 1,000 connections, 1 in flight", 1000, 1),
    tcp("TCP: 1,000 connections, 16 in flight", 1000, 16),
];

const fn tcp(name: &'static str, connections: usize, depth: usize) -> Case {
    Case { name, load: Load::Tcp { connections, depth }, min_ratio: 1.0, max_cpu_ratio: None }
}

/// Measures the throughput and prints the results.
pub(super) fn run() -> Result<()> {
    if cfg!(not(target_os = "linux")) || !has_two_cpus() {
        println!("\nThroughput: skipped, because this needs Linux and two CPUs");
        return Ok(());
    }
    println!("\nReplies per second. The server and the load generator have one CPU each. A ratio");
    println!("is the median of {ROUNDS} rounds. Each round measures our server and the floor: a");
    println!("minimal server with a blocking loop (UDP) or epoll (TCP).");
    println!("\n{:<39}{:>10}{:>8}{:>8}{:>10}", "", "floor", "ours", "ratio", "at least");
    compare_with_floor(Protocol::Udp, Waiting::Block, &UDP)?;
    compare_with_floor(Protocol::Tcp, Waiting::Epoll, &TCP)?;
    println!(
        "\nReplies per second with one worker and with two workers. A load generator runs on each"
    );
    println!("of the two CPUs, together with the server.");
    println!("\n{:<39}{:>10}{:>8}{:>8}", "", "one", "two", "ratio");
    compare_workers(Protocol::Udp, UDP[0].load)?;
    compare_workers(Protocol::Tcp, TCP[0].load)
}

fn compare_with_floor(protocol: Protocol, waiting: Waiting, cases: &[Case]) -> Result<()> {
    let floor = Server::start(&mut floor(Side::Server { protocol, waiting, cpu: CPU })?)?;
    let ours = our_server(protocol)?;
    for case in cases {
        let (mut floor_rates, mut our_rates) = (Vec::new(), Vec::new());
        let (mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let floor = measure(&floor, case.load)?;
            let ours = measure(&ours, case.load)?;
            floor_rates.push(floor.rate);
            our_rates.push(ours.rate);
            ratios.push(ours.rate / floor.rate);
            cpu_ratios.push(ours.cpu_seconds_per_reply / floor.cpu_seconds_per_reply);
        }
        let ratio = median(&mut ratios);
        let (floor, ours) = (thousands(&mut floor_rates), thousands(&mut our_rates));
        let limit = Limit::AtLeast(case.min_ratio).columns(ratio);
        println!("{:<39}{floor:>10}{ours:>8}{ratio:>7.2}x{limit}", case.name);
        if let Some(limit) = case.max_cpu_ratio {
            let ratio = median(&mut cpu_ratios);
            let limit = Limit::AtMost(limit).columns(ratio);
            println!("{:<57}{ratio:>7.2}x{limit} at most", "     CPU time per reply");
        }
    }
    Ok(())
}

struct Measurement {
    /// Replies per second.
    rate: f64,
    /// The CPU time of the server for one reply.
    cpu_seconds_per_reply: f64,
}

fn measure(server: &Server, load: Load) -> Result<Measurement> {
    let before = cpu_time(server.id())?;
    let result = run_load(server, load, OTHER_CPU)?;
    let cpu_time = cpu_time(server.id())?.saturating_sub(before);
    let rate = result.rate();
    // The CPU time includes the warm-up, but the counted replies do not.
    let replies = LOADED_TIME * rate * result.elapsed.as_secs_f64();
    Ok(Measurement { rate, cpu_seconds_per_reply: cpu_time.as_secs_f64() / replies })
}

fn run_load(server: &Server, kind: Load, cpu: usize) -> Result<LoadResult> {
    let address = server.address.parse()?;
    let run = Run { address, cpu: Some(cpu), duration: DURATION, load: kind };
    let result: LoadResult = output(&mut load(&run)?)?.parse()?;
    ensure!(result.wrong == 0, "{} replies were wrong", result.wrong);
    Ok(result)
}

/// Compares one worker with two workers.
fn compare_workers(protocol: Protocol, load: Load) -> Result<()> {
    let both_cpus = format!("{CPU},{OTHER_CPU}");
    let one = our_server_on(&both_cpus, protocol, &[])?;
    let two = our_server_on(&both_cpus, protocol, &["--workers", "2"])?;
    let (mut one_rates, mut two_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (one, two) = (rate_of_two_loads(&one, load)?, rate_of_two_loads(&two, load)?);
        one_rates.push(one);
        two_rates.push(two);
        ratios.push(two / one);
    }
    let name = format!("{protocol}: --workers 2");
    let (one, two) = (thousands(&mut one_rates), thousands(&mut two_rates));
    println!("{name:<39}{one:>10}{two:>8}{:>7.2}x", median(&mut ratios));
    Ok(())
}

/// The sum of the replies per second to two load generators, one on each CPU.
fn rate_of_two_loads(server: &Server, load: Load) -> Result<f64> {
    thread::scope(|scope| {
        let loads = [CPU, OTHER_CPU].map(|cpu| scope.spawn(move || run_load(server, load, cpu)));
        let mut sum = 0.0;
        for load in loads {
            let Ok(result) = load.join() else { bail!("the thread of a load generator panicked") };
            sum += result?.rate();
        }
        Ok(sum)
    })
}

/// The median of the rates in thousands per second.
fn thousands(rates: &mut [f64]) -> String {
    format!("{:.0} k", median(rates) / 1e3)
}
