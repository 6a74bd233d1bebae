//! The command line of `echo-bench`.

use crate::floor::{Side, Waiting};
use crate::load::{Load, Run};
use crate::protocol::Protocol;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::time::Duration;

/// The minimum and maximum duration of a soak test, in seconds.
const SOAK_SECONDS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// Measure the servers and the client of this workspace
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure memory, and compare RTT and throughput with minimal echo programs (the floor) in the same run
    Bench,
    /// Attack the servers and the client, and measure the effect on honest clients
    Soak {
        /// Approximate duration of the test (10s, 5m, 1h). From 60s, the test judges latencies
        #[arg(long, default_value = "60s", value_parser = soak_duration)]
        duration: Duration,
    },
    /// Run one attack on a server (`soak` starts this)
    Attack {
        /// Name of the attack
        name: String,
        /// Address and port of the server
        address: SocketAddr,
        /// Stop after this time (250ms, 1s)
        #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
        duration: Duration,
    },
    /// Run a minimal echo server or its client, one side of the floor (`bench` starts both)
    #[command(subcommand)]
    Floor(FloorSide),
    /// Send requests to a server as fast as possible and print the number of replies (`bench` starts this)
    Load(LoadOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum FloorSide {
    /// Print the address, then answer each request in upper case
    Server {
        /// udp or tcp
        protocol: Protocol,
        /// How to wait for requests: block (sleep), spin (use one full CPU), or epoll (TCP)
        waiting: Waiting,
        /// Number of the CPU to run on (the first is 0)
        cpu: usize,
    },
    /// Measure the RTT to a server and print the median in nanoseconds
    Client {
        /// udp or tcp
        protocol: Protocol,
        /// How to wait for replies: block (sleep) or spin (use one full CPU)
        waiting: Waiting,
        /// Number of the CPU to run on (the first is 0)
        cpu: usize,
        /// Address and port of the server
        address: SocketAddr,
        /// Number of exchanges
        count: usize,
    },
}

impl From<FloorSide> for Side {
    fn from(side: FloorSide) -> Self {
        match side {
            FloorSide::Server { protocol, waiting, cpu } => Self::Server { protocol, waiting, cpu },
            FloorSide::Client { protocol, waiting, cpu, address, count } => {
                Self::Client { protocol, waiting, cpu, address, count }
            }
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct LoadOptions {
    /// Address and port of the server
    address: SocketAddr,
    /// Number of the CPU to run on (the first is 0) [default: the system chooses]
    #[arg(long)]
    cpu: Option<usize>,
    /// Count replies for this time (250ms, 1s)
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    duration: Duration,
    #[command(subcommand)]
    load: LoadKind,
}

#[derive(Debug, Subcommand)]
enum LoadKind {
    /// Many UDP peers with a few requests in flight each
    Udp {
        /// Size of a request in bytes
        size: usize,
    },
    /// One UDP peer that sends and receives many datagrams with each system call (Linux)
    Bursts {
        /// Size of a request in bytes
        size: usize,
    },
    /// Many TCP connections with requests in flight (Linux)
    Tcp {
        /// Number of connections
        connections: usize,
        /// Number of requests in flight on each connection
        depth: usize,
    },
    /// TCP connections that stay idle after one request; they close when stdin ends
    Idle {
        /// Number of connections
        connections: usize,
    },
}

impl From<LoadOptions> for Run {
    fn from(options: LoadOptions) -> Self {
        let load = match options.load {
            LoadKind::Udp { size } => Load::Udp { size },
            LoadKind::Bursts { size } => Load::Bursts { size },
            LoadKind::Tcp { connections, depth } => Load::Tcp { connections, depth },
            LoadKind::Idle { connections } => Load::Idle { connections },
        };
        Self { address: options.address, cpu: options.cpu, duration: options.duration, load }
    }
}

fn soak_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if SOAK_SECONDS.contains(&duration.as_secs()) {
        return Ok(duration);
    }
    Err(format!("expected {} s to {} s", SOAK_SECONDS.start(), SOAK_SECONDS.end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &[String]) -> Result<Command, clap::Error> {
        let program = "echo-bench".to_owned();
        Cli::try_parse_from([&program].into_iter().chain(line)).map(|cli| cli.command)
    }

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn clap_accepts_the_definition_of_the_command_line() {
        Cli::command().debug_assert();
    }

    #[test]
    fn soak_has_a_default_duration_and_limits() {
        let duration = |line| match parse(&words(line)) {
            Ok(Command::Soak { duration }) => Some(duration.as_secs()),
            _ => None,
        };
        assert_eq!(duration("soak"), Some(60));
        assert_eq!(duration("soak --duration 10s"), Some(10));
        assert_eq!(duration("soak --duration 5m"), Some(300));
        assert_eq!(duration("soak --duration 0s"), None);
        assert_eq!(duration("soak --duration 86401s"), None);
        assert_eq!(duration("soak --duration long"), None);
    }

    #[test]
    fn unknown_arguments_are_usage_errors() {
        for line in ["", "benhc", "bench now", "soak 10s", "floor server sctp block 0"] {
            assert_eq!(parse(&words(line)).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn arguments_of_child_processes_can_be_parsed() {
        let address = "127.0.0.1:25000".parse().unwrap();
        let loads = [
            Load::Udp { size: 32 },
            Load::Bursts { size: 1200 },
            Load::Tcp { connections: 64, depth: 16 },
            Load::Idle { connections: 10 },
        ];
        for (load, cpu) in loads.into_iter().zip([Some(1), None, Some(0), None]) {
            let run = Run { address, cpu, duration: Duration::from_millis(250), load };
            let Ok(Command::Load(parsed)) = parse(&run.arguments()) else { panic!("{run:?}") };
            assert_eq!(Run::from(parsed), run);
        }
        let attack = words("attack udp-many-sources 127.0.0.1:25000 --duration 250ms");
        let Ok(Command::Attack { name, address: attacked, duration }) = parse(&attack) else {
            panic!("{attack:?}")
        };
        assert_eq!((name.as_str(), attacked), ("udp-many-sources", address));
        assert_eq!(duration, Duration::from_millis(250));
        let (protocol, waiting, cpu) = (Protocol::Tcp, Waiting::Spin, 1);
        let sides = [
            Side::Server { protocol, waiting, cpu },
            Side::Client { protocol, waiting, cpu, address, count: 3 },
        ];
        for side in sides {
            let Ok(Command::Floor(parsed)) = parse(&side.arguments()) else { panic!("{side:?}") };
            assert_eq!(Side::from(parsed), side);
        }
    }
}
