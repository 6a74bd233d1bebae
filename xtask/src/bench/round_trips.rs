//! What a round trip takes, as one client with one request at a time sees it.

use super::{CPUS, Limit, ROUNDS, floor, has_two_cpus, our_server_on, row};
use crate::floor::SIZE;
use crate::process::{Server, output, program};
use anyhow::{Context as _, Result};
use std::process::Stdio;
use std::time::Duration;

/// Round trips in a round: a quarter of a second or less.
const COUNT: &str = "20000";

/// How long a worker looks again in the measurement of what that buys: longer than any of its pauses.
const BUSY_POLL: &str = "1ms";

/// Measures and prints.
pub(super) fn run() -> Result<()> {
    println!(
        "\nRound trips of {SIZE} bytes over loopback, p50, medians of {ROUNDS} interleaved rounds"
    );
    println!("\n{:<47}{:>10}{:>8}{:>10}", "", "p50", "ratio", "at most");
    for protocol in ["udp", "tcp"] {
        one_cpu(protocol)?;
    }
    if !has_two_cpus() {
        println!("spinning and busy polling need two CPUs, and this machine has one: left out");
        return Ok(());
    }
    for protocol in ["udp", "tcp"] {
        spinning(protocol)?;
    }
    for protocol in ["udp", "tcp"] {
        busy_polling(protocol)?;
    }
    Ok(())
}

/// Client and server on one CPU: ours and the floor's in every combination.
fn one_cpu(protocol: &str) -> Result<()> {
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
        Some(Limit::AtMost(1.10)),
    );
    let at_most = Limit::AtMost(if protocol == "udp" { 1.10 } else { 1.15 });
    row(
        &format!("{title}: the floor's client, our server"),
        &mut figures[2],
        Some(floor),
        Some(at_most),
    );
    row(&format!("{title}: our client, our server"), &mut figures[3], Some(floor), None);
    Ok(())
}

/// Both sides spinning, each on a CPU of its own.
fn spinning(protocol: &str) -> Result<()> {
    let title = protocol.to_uppercase();
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
        Some(Limit::AtMost(1.25)),
    );
    Ok(())
}

/// Both sides sleeping, each on a CPU of its own, and the server looking again and again before it does.
fn busy_polling(protocol: &str) -> Result<()> {
    let title = protocol.to_uppercase();
    let sleeping = our_server_on(CPUS.1, protocol, &[])?;
    let polling = our_server_on(CPUS.1, protocol, &["--busy-poll", BUSY_POLL])?;
    let mut figures = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        figures[0].push(floor_client(protocol, "block", &sleeping.address)?);
        figures[1].push(floor_client(protocol, "block", &polling.address)?);
    }
    let floor = row(
        &format!("{title}: the floor's client, our server, two CPUs"),
        &mut figures[0],
        None,
        None,
    );
    row(&format!("{title}: the same, --busy-poll {BUSY_POLL}"), &mut figures[1], Some(floor), None);
    Ok(())
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
