//! `cargo xtask bench`: the ratios, each against a floor that is measured in the same run.
//!
//! A figure that falls short of its bound is marked. Nothing fails for it: a busy machine is no fault
//! of the code, and a benchmark is not a test.

use crate::floor::{SIZE, microseconds, pin};
use crate::process::{self, Server, cargo, output, target_directory};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How many rounds every figure is the median of. The sides of a ratio take turns in each.
const ROUNDS: usize = 7;

/// Round trips in a round: a quarter of a second or less.
const COUNT: &str = "20000";

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
    println!(
        "\nRound trips of {SIZE} bytes over loopback, p50, medians of {ROUNDS} interleaved rounds"
    );
    println!("\n{:<47}{:>10}{:>8}{:>10}", "", "p50", "ratio", "at most");
    for protocol in ["udp", "tcp"] {
        round_trips(protocol)?;
    }
    for protocol in ["udp", "tcp"] {
        spinning(protocol)?;
    }
    sockperf();
    irtt();
    Ok(())
}

/// Client and server on one CPU: ours and the floor's in every combination.
fn round_trips(protocol: &str) -> Result<()> {
    let floor = Server::start(&mut floor(&["server", protocol, "block", CPUS.0]))?;
    let ours = Server::start(
        program(&format!("{protocol}-echo"))
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::null()),
    )?;
    let floor_client = |server: &Server| floor_client(protocol, "block", &server.address);
    let our_client = |server: &Server| our_client(protocol, &server.address, &[]);
    let mut figures = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        figures[0].push(floor_client(&floor)?);
        figures[1].push(our_client(&floor)?);
        figures[2].push(floor_client(&ours)?);
        figures[3].push(our_client(&ours)?);
    }
    let title = protocol.to_uppercase();
    let floor = row(&format!("{title}: floor, both sides, one CPU"), &mut figures[0], None, None);
    row(
        &format!("{title}: our client, the floor's server"),
        &mut figures[1],
        Some(floor),
        Some(1.10),
    );
    row(&format!("{title}: the floor's client, our server"), &mut figures[2], Some(floor), None);
    row(&format!("{title}: our client, our server"), &mut figures[3], Some(floor), None);
    Ok(())
}

/// Both sides spinning, each on a CPU of its own.
fn spinning(protocol: &str) -> Result<()> {
    let title = protocol.to_uppercase();
    if std::thread::available_parallelism()?.get() < 2 && !has_two_cpus() {
        println!("{title}: spinning needs two CPUs, and this machine has one: left out");
        return Ok(());
    }
    let server = Server::start(&mut floor(&["server", protocol, "spin", CPUS.1]))?;
    let mut figures = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        figures[0].push(floor_client(protocol, "spin", &server.address)?);
        figures[1].push(our_client(protocol, &server.address, &["--spin", "--pin", CPUS.0])?);
    }
    let floor =
        row(&format!("{title}: floor, both sides spinning, two CPUs"), &mut figures[0], None, None);
    row(
        &format!("{title}: our client --spin, the same server"),
        &mut figures[1],
        Some(floor),
        Some(1.25),
    );
    Ok(())
}

/// Whether there is a second CPU at all; this process has been pinned to one.
fn has_two_cpus() -> bool {
    std::path::Path::new("/sys/devices/system/cpu/cpu1").exists()
}

/// Other people's program, where it is installed: both sides theirs, on one CPU.
fn sockperf() {
    let mut figures = Vec::new();
    let mut tcp_figures = Vec::new();
    for (title, figures, tcp) in
        [("UDP", &mut figures, None), ("TCP", &mut tcp_figures, Some("--tcp"))]
    {
        let mut server = Command::new("sockperf");
        server.args(["server", "-i", "127.0.0.1", "-p", "25801"]).args(tcp);
        let Ok(_server) = process::Child::start(
            server.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()),
        ) else {
            println!("sockperf is not installed: left out");
            break;
        };
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..ROUNDS {
            let mut client = Command::new("sockperf");
            client.args(["ping-pong", "-i", "127.0.0.1", "-p", "25801", "-t", "1", "--full-rtt"]);
            client.args(["-m", &SIZE.to_string()]).args(tcp).stderr(Stdio::null());
            if let Some(median) = output(&mut client).ok().as_deref().and_then(sockperf_median) {
                figures.push(median);
            }
        }
        if !figures.is_empty() {
            row(&format!("{title}: sockperf, both sides"), figures, None, None);
        }
    }
}

/// As [`sockperf`].
fn irtt() {
    let mut server = Command::new("irtt");
    server
        .args(["server", "-b", "127.0.0.1:25802", "-i", "100us"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(_server) = process::Child::start(&mut server) else {
        println!("irtt is not installed: left out");
        return;
    };
    std::thread::sleep(Duration::from_millis(300));
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        let mut client = Command::new("irtt");
        client
            .args(["client", "-q", "-i", "1ms", "-d", "1s", "127.0.0.1:25802"])
            .stderr(Stdio::null());
        if let Some(median) = output(&mut client).ok().as_deref().and_then(irtt_median) {
            figures.push(median);
        }
    }
    if !figures.is_empty() {
        row("UDP: irtt, both sides, every 1 ms", &mut figures, None, None);
    }
}

/// Prints a figure's median, and its ratio to the floor where there is one. Returns the median.
fn row(
    name: &str,
    figures: &mut [Duration],
    floor: Option<Duration>,
    bound: Option<f64>,
) -> Duration {
    figures.sort_unstable();
    let median = figures[figures.len() / 2];
    print!("{name:<47}{:>10}", microseconds(median));
    if let Some(floor) = floor {
        let ratio = median.as_secs_f64() / floor.as_secs_f64();
        print!("{ratio:>7.2}x");
        if let Some(bound) = bound {
            print!("{bound:>9.2}x{}", if ratio <= bound { "" } else { "  FALLS SHORT" });
        }
    }
    println!();
    median
}

fn floor_client(protocol: &str, waiting: &str, address: &str) -> Result<Duration> {
    let text = output(&mut floor(&["client", protocol, waiting, CPUS.0, address, COUNT]))?;
    Ok(Duration::from_nanos(text.trim().parse()?))
}

fn our_client(protocol: &str, address: &str, more: &[&str]) -> Result<Duration> {
    let size = SIZE.to_string();
    let mut client = program("rtt-client");
    client.args([protocol, address, "-c", COUNT, "-i", "0", "-s", &size, "-q", "--format", "json"]);
    let text = output(client.args(more))?;
    // The one figure that is wanted, from the summary's line.
    let figures = text.split("\"rtt_ns\":{").nth(1).context("a summary with RTTs")?;
    let median = figures.split("\"p50\":").nth(1).context("a median")?;
    let digits: String = median.chars().take_while(char::is_ascii_digit).collect();
    Ok(Duration::from_nanos(digits.parse()?))
}

/// From "---> percentile 50.000 =    7.123" (µs).
fn sockperf_median(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.contains("percentile 50.0"))?;
    let microseconds: f64 = line.split('=').nth(1)?.trim().parse().ok()?;
    Some(Duration::from_secs_f64(microseconds / 1e6))
}

/// From "RTT   61µs  80.1µs  78.4µs ..." (minimum, mean, median).
fn irtt_median(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.trim_start().starts_with("RTT"))?;
    let median = line.split_whitespace().nth(3)?;
    let microseconds: f64 = median.strip_suffix("µs")?.parse().ok()?;
    Some(Duration::from_secs_f64(microseconds / 1e6))
}

fn program(name: &str) -> Command {
    let path: PathBuf = target_directory().join("release").join(name);
    Command::new(path.with_extension(std::env::consts::EXE_EXTENSION))
}

fn floor(arguments: &[&str]) -> Command {
    let mut command = program("xtask");
    command.arg("floor").args(arguments);
    command
}
