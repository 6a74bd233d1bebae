//! Measures RTTs with one client that has one request in flight. The value of a round is the median (p50) of its RTTs.
//! The result is the median of the rounds.

use super::{
    CPU, Limit, OTHER_CPU, ROUNDS, floor, our_server, our_server_on, print_rtt, print_rtt_ratio,
};
use crate::floor::{SIZE, Side, Waiting};
use crate::process::has_two_cpus;
use crate::protocol::Protocol;
use anyhow::{Context as _, Result};
use child_process::workspace::program;
use child_process::{Server, output};
use std::time::Duration;

/// The number of exchanges in a round.
const COUNT: usize = 20_000;

/// The time for which a worker of the server polls before it sleeps. The pauses between the requests are shorter, so
/// the worker does not sleep between two requests.
const BUSY_POLL: &str = "1ms";

/// Measures the RTTs and prints the results.
pub(super) fn run() -> Result<()> {
    println!(
        "\nRTTs of requests with {SIZE} bytes over loopback (p50, median of {ROUNDS} rounds). Each\nround measures all programs of a comparison once. The floor is a minimal program."
    );
    println!("\n{:<47}{:>10}{:>8}{:>10}", "", "p50", "ratio", "at most");
    for protocol in Protocol::ALL {
        one_cpu(protocol)?;
    }
    if !has_two_cpus() {
        println!("--spin and --busy-poll: skipped, because they need two CPUs");
        return Ok(());
    }
    for protocol in Protocol::ALL {
        spinning(protocol)?;
    }
    for protocol in Protocol::ALL {
        busy_polling(protocol)?;
    }
    Ok(())
}

/// Measures the four combinations of our programs and the floor. Client and server run on one CPU.
fn one_cpu(protocol: Protocol) -> Result<()> {
    let floor = floor_server(protocol, Waiting::Block, CPU)?;
    let ours = our_server(protocol)?;
    let mut rtts = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        rtts[0].push(floor_rtt(protocol, Waiting::Block, &floor)?);
        rtts[1].push(our_rtt(protocol, &floor, &[])?);
        rtts[2].push(floor_rtt(protocol, Waiting::Block, &ours)?);
        rtts[3].push(our_rtt(protocol, &ours, &[])?);
    }
    let [floor_rtts, our_clients, our_servers, both_ours] = &mut rtts;
    let base = print_rtt(&format!("{protocol}: floor, both sides, one CPU"), floor_rtts);
    let client_limit = Limit::AtMost(1.10);
    let name = format!("{protocol}: our client, the floor's server");
    print_rtt_ratio(&name, our_clients, base, Some(client_limit));
    let server_limit = Limit::AtMost(match protocol {
        Protocol::Udp => 1.10,
        Protocol::Tcp => 1.15,
    });
    let name = format!("{protocol}: the floor's client, our server");
    print_rtt_ratio(&name, our_servers, base, Some(server_limit));
    print_rtt_ratio(&format!("{protocol}: our client, our server"), both_ours, base, None);
    Ok(())
}

/// Compares clients that spin: they repeat a non-blocking system call instead of sleeping. The server spins, too.
/// Client and server have one CPU each.
fn spinning(protocol: Protocol) -> Result<()> {
    let server = floor_server(protocol, Waiting::Spin, OTHER_CPU)?;
    let (mut floor_rtts, mut our_rtts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor_rtts.push(floor_rtt(protocol, Waiting::Spin, &server)?);
        our_rtts.push(our_rtt(protocol, &server, &["--spin", "--pin", &CPU.to_string()])?);
    }
    let name = format!("{protocol}: floor, both sides spinning, two CPUs");
    let base = print_rtt(&name, &mut floor_rtts);
    let name = format!("{protocol}: our client --spin, the same server");
    print_rtt_ratio(&name, &mut our_rtts, base, Some(Limit::AtMost(1.25)));
    Ok(())
}

/// Compares two servers. The first server sleeps while it waits. The second server polls before it sleeps. The client
/// sleeps while it waits. Client and server have one CPU each.
fn busy_polling(protocol: Protocol) -> Result<()> {
    let cpu = OTHER_CPU.to_string();
    let sleeping = our_server_on(&cpu, protocol, &[])?;
    let polling = our_server_on(&cpu, protocol, &["--busy-poll", BUSY_POLL])?;
    let (mut sleeping_rtts, mut polling_rtts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        sleeping_rtts.push(floor_rtt(protocol, Waiting::Block, &sleeping)?);
        polling_rtts.push(floor_rtt(protocol, Waiting::Block, &polling)?);
    }
    let name = format!("{protocol}: the floor's client, our server, two CPUs");
    let base = print_rtt(&name, &mut sleeping_rtts);
    let name = format!("{protocol}: the same, --busy-poll {BUSY_POLL}");
    print_rtt_ratio(&name, &mut polling_rtts, base, None);
    Ok(())
}

fn floor_server(protocol: Protocol, waiting: Waiting, cpu: usize) -> Result<Server> {
    Ok(Server::start(&mut floor(Side::Server { protocol, waiting, cpu })?)?)
}

/// Measures the median RTT with the floor's client.
fn floor_rtt(protocol: Protocol, waiting: Waiting, server: &Server) -> Result<Duration> {
    let address = server.address.parse()?;
    let side = Side::Client { protocol, waiting, cpu: CPU, address, count: COUNT };
    Ok(Duration::from_nanos(output(&mut floor(side)?)?.trim().parse()?))
}

/// Measures the median RTT with our client.
fn our_rtt(protocol: Protocol, server: &Server, options: &[&str]) -> Result<Duration> {
    let (count, size) = (COUNT.to_string(), SIZE.to_string());
    let mut client = program("rtt-client");
    client.args([protocol.name(), &server.address, "-c", &count, "-i", "0", "-s", &size]);
    let text = output(client.args(["-q", "--format", "json"]).args(options))?;
    summary_median(&text).context("the client printed no summary with a median RTT")
}

/// The median RTT in the JSON of the summary. A search for one number needs no JSON parser.
fn summary_median(json: &str) -> Option<Duration> {
    let rtts = json.split("\"rtt_ns\":{").nth(1)?;
    let median = rtts.split("\"p50\":").nth(1)?;
    let digits: String = median.chars().take_while(char::is_ascii_digit).collect();
    Some(Duration::from_nanos(digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_in_the_summary_is_parsed() {
        let json =
            "{\"type\":\"start\"}\n{\"sent\":3,\"rtt_ns\":{\"min\":5,\"p50\":7123,\"max\":9}}\n";
        assert_eq!(summary_median(json), Some(Duration::from_nanos(7_123)));
        assert_eq!(summary_median("{\"rtt_ns\":{\"min\":5}}"), None);
    }
}
