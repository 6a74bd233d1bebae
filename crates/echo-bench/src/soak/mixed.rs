//! Honest and hostile clients at both servers at the same time. An honest client follows the rules of the protocol and
//! stays within the limits of the servers. A hostile client breaks these rules or exceeds these limits.
//!
//! The test fails in these cases:
//! - a client receives a wrong reply;
//! - an honest client receives no reply after all repeats of a request;
//! - the memory of a server grows beyond a limit;
//! - a server keeps a connection open whose peer reads its replies too slowly;
//! - a server does not close the descriptors of its connections.
//!
//! All traffic is on loopback. The clients use different addresses of 127.0.0.0/8, so each server receives requests
//! from several sources. Pauses limit the rate of most hostile clients, because servers and clients share the CPUs.
//!
//! An honest UDP client repeats a request that receives no reply. This is necessary: during a flood, the kernel drops
//! datagrams if the receive queue of the server is full.

mod baseline;
mod clients;
mod honest;
mod hostile;
mod state;

use super::print_paragraph;
use super::server::SoakedServer;
use crate::process::dropped_datagrams;
use crate::protocol::Protocol;
use anyhow::{Result, bail};
use clients::{CLIENTS, Counts};
use state::ServerState;
use std::io::IsTerminal as _;
use std::thread;
use std::time::{Duration, Instant};

/// The options of the servers. Honest clients stay within these limits.
const UDP_OPTIONS: &[&str] = &["--rate", "5000"];
const TCP_OPTIONS: &[&str] = &[
    "--rate",
    "5000",
    "--connections",
    "150",
    "--connections-per-source",
    "40",
    "--idle",
    "1s",
    "--stall",
    "1s",
];

/// The time in which the servers must close all connections after the clients have ended. It is four times the timeout
/// for idle connections and for stalled connections.
const SETTLE_TIME: Duration = Duration::from_secs(4);

/// The pause between two checks of the servers during [`SETTLE_TIME`].
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Runs all clients for `duration`, prints the results, and returns the failures.
pub(super) fn run(duration: Duration) -> Result<Vec<String>> {
    let servers = [
        SoakedServer::start(Protocol::Udp, "mixed", UDP_OPTIONS)?,
        SoakedServer::start(Protocol::Tcp, "mixed", TCP_OPTIONS)?,
    ];
    let read_states = || servers.iter().map(ServerState::read).collect::<Result<Vec<_>>>();

    let before = servers.iter().map(baseline_of).collect::<Result<Vec<_>>>()?;
    print_paragraph(&format!(
        "\nHonest and hostile clients run together for {duration:.1?}. The honest clients are in the \
         network 127.0.1.0/24, and the hostile clients in 127.0.66.0/24."
    ));
    let counts = CLIENTS.map(|_| Counts::default());
    let after_quarter = run_clients(&servers, &counts, duration, read_states)?;
    let at_end = read_states()?;
    let settled_by = Instant::now() + SETTLE_TIME;
    while Instant::now() < settled_by && has_more_descriptors(&read_states()?, &before) {
        thread::sleep(CHECK_INTERVAL);
    }
    let settled = read_states()?;

    let mut failures = clients::print(&counts);
    state::print_header();
    for (number, server) in servers.iter().enumerate() {
        let course = state::Course {
            before: before[number],
            after_quarter: after_quarter[number],
            at_end: at_end[number],
            settled: settled[number],
        };
        failures.extend(course.print(server.protocol.server()));
    }
    let dropped = dropped_datagrams(servers[0].address.port())?;
    println!("\nDatagrams dropped from the receive queue of udp-echo: {dropped}");
    println!("\nCounters of the servers");
    for server in servers {
        server.stop_and_print()?;
    }
    Ok(failures)
}

/// The state of a server before the test. Waits until the server answers a request.
fn baseline_of(server: &SoakedServer) -> Result<ServerState> {
    baseline::read(server.protocol, server.address, || ServerState::read(server))
}

/// Runs all clients for `duration`. Returns the states of the servers after a quarter of this time.
fn run_clients(
    servers: &[SoakedServer; 2],
    counts: &[Counts],
    duration: Duration,
    read_states: impl Fn() -> Result<Vec<ServerState>>,
) -> Result<Vec<ServerState>> {
    let end = Instant::now() + duration;
    let shows_progress = std::io::stderr().is_terminal();
    thread::scope(|scope| {
        for (kind, counts) in CLIENTS.iter().zip(counts) {
            let Some(server) = servers.iter().find(|server| server.protocol == kind.protocol)
            else {
                bail!("no server for {}", kind.protocol);
            };
            for _ in 0..kind.instances {
                scope.spawn(|| (kind.run)(server.address, kind.source(), end, counts));
            }
        }
        thread::sleep(duration / 4);
        let after_quarter = read_states();
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            if shows_progress {
                eprint!("\r{:>5} s left ", left.as_secs());
            }
            thread::sleep(left.min(Duration::from_secs(1)));
        }
        if shows_progress {
            eprint!("\r{:14}\r", "");
        }
        after_quarter
    })
}

fn has_more_descriptors(now: &[ServerState], before: &[ServerState]) -> bool {
    now.iter().zip(before).any(|(now, before)| now.descriptors > before.descriptors)
}
