//! The attacks on the servers. Each attacker runs as a process with the lowest priority:
//! `echo-bench attack NAME ADDRESS --duration 1s`.

mod tcp;
mod udp;

use super::priority::{self, Scheduling};
use crate::protocol::Protocol::{self, Tcp, Udp};
use anyhow::{Context as _, Result};
use child_process::Child;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;
use tcp::{Replies, Requests, TcpAttack};
use udp::UdpAttack;

/// An attack.
pub(super) struct Attack {
    /// The name on the command line of the attacker.
    pub(super) name: &'static str,
    /// The name in the report, without the protocol.
    pub(super) title: &'static str,
    pub(super) protocol: Protocol,
    /// The options of the attacked server.
    pub(super) options: &'static [&'static str],
    /// The time from the start of the attack to the measurement. In this time, the attack fills buffers and queues.
    pub(super) warm_up: Duration,
    /// The maximum of the kernel's memory for all sockets during the attack, in bytes. `None`: the test does not judge
    /// it, because the attacker's own sockets need most of it.
    pub(super) max_kernel_memory: Option<u64>,
    /// The maximum of the server's CPU time during the attack, divided by its CPU time on the quiet machine. `None`:
    /// the test does not judge it, because it depends on the number of requests that the attacker sends.
    pub(super) max_cpu_ratio: Option<f64>,
    method: Method,
}

impl Attack {
    /// The planned number of requests per second. `None`: as many as the server accepts.
    pub(super) fn planned_rate(&self) -> Option<u32> {
        match &self.method {
            Method::Udp(attack) => Some(attack.rate),
            Method::Tcp(_) => None,
        }
    }

    /// The number of connections that the attacker opens at the start. Over UDP: 0.
    pub(super) fn planned_connections(&self) -> u64 {
        match &self.method {
            Method::Udp(_) => 0,
            Method::Tcp(attack) => attack.sources as u64 * attack.connections_per_source as u64,
        }
    }
}

enum Method {
    Udp(UdpAttack),
    Tcp(TcpAttack),
}

/// The character of expensive text: U+0390. Its upper case has three characters with six bytes instead of two.
const EXPENSIVE: &str = "\u{390}";

/// The text of a cheap request.
const SHORT: &str = "short request of an attacker, ok";

/// The maximum payload of a UDP datagram in an Ethernet frame: 1,500 bytes without the headers of IPv4 and UDP.
const DATAGRAM_SIZE: usize = 1472;

/// The datagrams per second of an attack over UDP.
const DATAGRAM_RATE: u32 = 30_000;

/// The number of bytes that an attacker passes to the kernel in one call. The servers read at most this many bytes.
const WRITE_SIZE: usize = 16 * 1024;

/// The maximum of the kernel's memory for a connection, in bytes (docs/security.md). The measured memory contains the
/// sockets of the attacker too. They have small buffers.
const MAX_KERNEL_MEMORY_PER_CONNECTION: u64 = 648 << 10;

/// [`Attack::max_cpu_ratio`] if 4,000 connections wait for the rate limit. Six measurements had ratios of 1.1 to 1.6.
/// The source has 100 tokens per second. If each token caused one step of all connections, these would be 400,000 steps
/// per second.
const MAX_CPU_RATIO_OF_WAITING: f64 = 3.0;

/// The usual value of [`Attack::warm_up`].
const WARM_UP: Duration = Duration::from_millis(100);

/// The time in which slow readers fill the buffers of the kernel.
const LONG_WARM_UP: Duration = Duration::from_millis(500);

/// The timeouts of the attacked servers have their defaults, except `--stall`: the test is too short for 30 seconds.
/// The limits on connections are explicit, because loopback addresses have none by default.
pub(super) const ATTACKS: [Attack; 6] = [
    Attack {
        name: "udp-expensive-text",
        title: "expensive text",
        protocol: Udp,
        options: &["--rate", "5000"],
        warm_up: WARM_UP,
        max_kernel_memory: None,
        max_cpu_ratio: None,
        method: Method::Udp(UdpAttack {
            sources: 1,
            text: EXPENSIVE,
            size: DATAGRAM_SIZE,
            rate: DATAGRAM_RATE,
        }),
    },
    Attack {
        name: "udp-many-sources",
        title: "1,024 sources",
        protocol: Udp,
        options: &["--rate", "100"],
        warm_up: WARM_UP,
        max_kernel_memory: None,
        max_cpu_ratio: None,
        method: Method::Udp(UdpAttack {
            sources: 1024,
            text: SHORT,
            size: SHORT.len(),
            rate: DATAGRAM_RATE,
        }),
    },
    Attack {
        name: "tcp-expensive-text",
        title: "expensive text",
        protocol: Tcp,
        options: &["--rate", "5000", "--connections-per-source", "256"],
        warm_up: WARM_UP,
        max_kernel_memory: None,
        max_cpu_ratio: None,
        method: Method::Tcp(TcpAttack {
            sources: 1,
            connections_per_source: 256,
            text: EXPENSIVE,
            size: WRITE_SIZE,
            requests: Requests::Continuous,
            replies: Replies::Read,
        }),
    },
    Attack {
        name: "tcp-slow-readers",
        title: "slow readers",
        protocol: Tcp,
        options: &["--rate", "5000", "--connections-per-source", "256", "--stall", "1s"],
        warm_up: LONG_WARM_UP,
        max_kernel_memory: Some(256 * MAX_KERNEL_MEMORY_PER_CONNECTION),
        max_cpu_ratio: None,
        method: Method::Tcp(TcpAttack {
            sources: 1,
            connections_per_source: 256,
            text: SHORT,
            size: WRITE_SIZE,
            requests: Requests::Continuous,
            replies: Replies::ReadSlowly,
        }),
    },
    Attack {
        name: "tcp-all-slots",
        title: "64 networks, all slots",
        protocol: Tcp,
        options: &["--rate", "5000", "--connections", "1024", "--connections-per-source", "32"],
        warm_up: WARM_UP,
        max_kernel_memory: None,
        max_cpu_ratio: None,
        method: Method::Tcp(TcpAttack {
            sources: 64,
            connections_per_source: 32,
            text: SHORT,
            size: SHORT.len(),
            requests: Requests::None,
            replies: Replies::Read,
        }),
    },
    Attack {
        name: "tcp-rate-limited",
        title: "4,000 wait for rate",
        protocol: Tcp,
        options: &["--rate", "100"],
        warm_up: WARM_UP,
        max_kernel_memory: None,
        max_cpu_ratio: Some(MAX_CPU_RATIO_OF_WAITING),
        method: Method::Tcp(TcpAttack {
            sources: 1,
            connections_per_source: 4000,
            text: SHORT,
            size: SHORT.len(),
            requests: Requests::AfterReply,
            replies: Replies::Read,
        }),
    },
];

/// The line that an attacker prints when all its connections are open.
const READY: &str = "ready";

/// The counts of an attacker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AttackCounts {
    /// The requests (UDP: datagrams, TCP: calls of `send`).
    pub(super) requests: u64,
    pub(super) bytes: u64,
    /// The connections that the attacker opened.
    pub(super) opened: u64,
    /// The connections that the server closed.
    pub(super) closed: u64,
    /// The time after [`READY`] in milliseconds.
    pub(super) milliseconds: u64,
}

impl AttackCounts {
    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.opened += other.opened;
        self.closed += other.closed;
        self.milliseconds += other.milliseconds;
    }

    fn fields(&mut self) -> [&mut u64; 5] {
        let Self { requests, bytes, opened, closed, milliseconds } = self;
        [requests, bytes, opened, closed, milliseconds]
    }

    /// The numbers in one line, for the parent process.
    fn line(mut self) -> String {
        let mut line = String::new();
        for field in self.fields() {
            // Writing to a `String` never fails.
            let _ = write!(line, "{field} ");
        }
        line
    }

    fn parse(line: &str) -> Result<Self> {
        let mut counts = Self::default();
        let mut numbers = line.split_whitespace();
        for field in counts.fields() {
            *field = numbers.next().context("the result of an attacker is incomplete")?.parse()?;
        }
        Ok(counts)
    }
}

/// Runs the attacker `name` in this process. Prints [`READY`] and, after `duration`, the counts.
pub(crate) fn run(name: &str, server: SocketAddr, duration: Duration) -> Result<()> {
    let attack = ATTACKS.iter().find(|attack| attack.name == name);
    let attack = attack.with_context(|| format!("there is no attack `{name}`"))?;
    priority::set(Scheduling::Idle)?;
    let ready = || println!("{READY}");
    let is_finished = |_: &AttackCounts, elapsed| elapsed >= duration;
    let counts = match &attack.method {
        Method::Udp(method) => udp::run(method, server, is_finished, ready)?,
        Method::Tcp(method) => tcp::run(method, server, is_finished, ready)?,
    };
    println!("{}", counts.line());
    Ok(())
}

/// An attacker that runs as a child process. Dropping it ends the process.
pub(super) struct Attacker {
    stdout: BufReader<ChildStdout>,
    /// The process ends when this value is dropped.
    _process: Child,
}

impl Attacker {
    /// Starts the attacker, and waits until all its connections are open. Then the attack takes `duration`.
    pub(super) fn start(attack: &Attack, server: SocketAddr, duration: Duration) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["attack", attack.name, &server.to_string(), "--duration"]);
        command.arg(format!("{}ms", duration.as_millis()));
        let process = Child::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let stdout = process.take_stdout().context("stdout is not a pipe")?;
        let mut attacker = Self { stdout: BufReader::new(stdout), _process: process };
        let mut line = String::new();
        attacker.stdout.read_line(&mut line)?;
        anyhow::ensure!(line.trim() == READY, "the attacker `{}` did not start", attack.name);
        Ok(attacker)
    }

    /// Waits until the attack ends.
    pub(super) fn counts(mut self) -> Result<AttackCounts> {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        AttackCounts::parse(&text)
    }
}

/// `text`, repeated as often as it fits into `size` bytes.
fn repeated(text: &str, size: usize) -> Vec<u8> {
    text.repeat(size / text.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn printed_counts_can_be_parsed() {
        let counts = AttackCounts { requests: 1, bytes: 2, opened: 3, closed: 4, milliseconds: 5 };
        assert_eq!(AttackCounts::parse(&counts.line()).unwrap(), counts);
        assert!(AttackCounts::parse("1 2 3").is_err());
        assert!(AttackCounts::parse("1 2 3 4 x").is_err());
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = ATTACKS.iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), ATTACKS.len());
    }

    #[test]
    fn expensive_datagram_has_the_maximum_size_of_a_frame() {
        assert_eq!(repeated(EXPENSIVE, DATAGRAM_SIZE).len(), DATAGRAM_SIZE);
        assert_eq!(EXPENSIVE.to_uppercase().len(), 3 * EXPENSIVE.len());
    }

    #[test]
    fn unknown_attack_is_an_error() {
        let server = "127.0.0.1:1".parse().unwrap();
        assert!(run("none", server, Duration::ZERO).is_err());
    }
}
