//! `cargo xtask soak`: runs honest and hostile clients against `udp-echo` and `tcp-echo` at the same time. An honest
//! client follows the rules of the protocol and stays within the limits of the servers. A hostile client breaks these
//! rules or exceeds these limits.
//!
//! The soak test fails in these cases:
//! - a client receives a wrong reply;
//! - an honest client receives no reply after all repeats of a request;
//! - the memory of a server grows beyond a limit;
//! - a server does not close the descriptors of its connections.
//!
//! All traffic is on loopback. The clients use different addresses of 127.0.0.0/8, so each server receives requests from
//! several sources. Pauses limit the rate of most hostile clients, because servers and clients share the CPUs.
//!
//! An honest UDP client repeats a request that receives no reply. This is necessary: during a flood, the kernel drops
//! datagrams if the receive queue of the server is full.

mod baseline;
mod clients;
mod honest;
mod hostile;
mod state;

use crate::process::dropped_datagrams;
use crate::protocol::Protocol;
use anyhow::{Context as _, Result, bail, ensure};
use child_process::workspace::{self, program};
use child_process::{Server, logged_totals};
use clients::{CLIENTS, Counts};
use state::ServerState;
use std::fs::{self, File};
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
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

/// The maximum width of the output in columns.
const WIDTH: usize = 80;

/// The indentation of the counters.
const INDENT: &str = "    ";

/// Runs all clients for `duration`.
pub(crate) fn run(duration: Duration) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the soak test needs Linux, for its many loopback addresses and for /proc"
    );
    println!("Building the servers\n");
    workspace::build_programs()?;
    let servers = [
        SoakedServer::start(Protocol::Udp, UDP_OPTIONS)?,
        SoakedServer::start(Protocol::Tcp, TCP_OPTIONS)?,
    ];
    let read_states =
        || -> Result<Vec<ServerState>> { servers.iter().map(SoakedServer::state).collect() };

    let before = servers.iter().map(SoakedServer::baseline).collect::<Result<Vec<_>>>()?;
    println!("\nRunning honest and hostile clients for {duration:?}. The hostile clients have the");
    println!("addresses 127.0.0.66 to 127.0.0.74.");
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
        server.stop()?;
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    println!(
        "\nsoak: passed. Each request of an honest client received a correct reply. Each server"
    );
    println!("stayed within its memory limit and closed the descriptors of all connections.");
    Ok(())
}

/// A running server and the file with its log.
struct SoakedServer {
    protocol: Protocol,
    process: Server,
    address: SocketAddr,
    log: PathBuf,
}

impl SoakedServer {
    fn start(protocol: Protocol, options: &[&str]) -> Result<Self> {
        let directory = workspace::target_directory().join("soak");
        fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let log = directory.join(format!("{}.log", protocol.server()));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut server = program(protocol.server());
        let process =
            Server::start(server.args(["--listen", "127.0.0.1:0"]).args(options).stderr(file))
                .with_context(|| format!("the log of the server is in {}", log.display()))?;
        let address = process.address.parse()?;
        Ok(Self { protocol, process, address, log })
    }

    /// The state before the test. Waits until the server answers a request.
    fn baseline(&self) -> Result<ServerState> {
        baseline::read(self.protocol, self.address, || self.state())
    }

    fn state(&self) -> Result<ServerState> {
        ServerState::read(self.process.id())
    }

    /// Stops the server and prints the counters in its log.
    fn stop(self) -> Result<()> {
        self.process.terminate()?;
        let log = fs::read_to_string(&self.log)
            .with_context(|| format!("reading {}", self.log.display()))?;
        let totals = logged_totals(&log);
        ensure!(!totals.is_empty(), "{} contains no totals", self.log.display());
        println!("  {} ({})", self.protocol.server(), self.log.display());
        println!("{}", counter_lines(&totals));
        Ok(())
    }
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

fn counter_lines(totals: &[(&str, u64)]) -> String {
    let fields: Vec<String> =
        totals.iter().map(|(name, count)| format!("{name}={count}")).collect();
    let layout = textwrap::Options::new(WIDTH).initial_indent(INDENT).subsequent_indent(INDENT);
    textwrap::fill(&fields.join(" "), layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_lines_break_between_counters() {
        let totals = [("a_long_counter_name", 123_456); 5];
        let lines = counter_lines(&totals);
        let field = "a_long_counter_name=123456";
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                format!("{INDENT}{field} {field}"),
                format!("{INDENT}{field} {field}"),
                format!("{INDENT}{field}")
            ]
        );
    }
}
