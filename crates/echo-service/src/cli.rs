//! The part of the command line that every server has, and how a mistake in it is told.

use crate::LogFormat;
use crate::source::AllowedNetworks;
use clap::{Args, Parser};
use ipnet::IpNet;
use std::num::NonZero;
use std::time::Duration;
use std::{net::SocketAddr, process::ExitCode};

/// Workers beyond any machine's number of CPUs are a slip of the finger; each costs a thread, some MiB
/// of buffers and a socket.
const MOST_WORKERS: u64 = 256;

/// Looking again for longer than this is not polling but a CPU that never rests.
const LONGEST_BUSY_POLL: Duration = Duration::from_secs(1);

/// What every server can be asked for.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Where to listen, beside the sockets that systemd passes; repeat it for several addresses. An IPv6
    /// wildcard takes IPv6 alone. Without either: both loopback addresses, which no other host can reach
    #[arg(long, value_name = "IP:PORT", value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Threads that serve, each with sockets of its own (`SO_REUSEPORT`); the system spreads peers over
    /// them
    #[arg(long, value_name = "N", default_value = "1", value_parser = workers)]
    pub workers: NonZero<usize>,

    /// How long a worker looks for work again and again before it sleeps: lower RTTs for a CPU that is
    /// busy meanwhile. Off by default
    #[arg(long, value_name = "DUR", default_value = "0", value_parser = busy_poll, hide_default_value = true)]
    pub busy_poll: Duration,

    /// Answer peers from these addresses alone (like 192.0.2.0/24), not even loopback beside them; repeat
    /// it for several. Without it: everybody
    #[arg(long, value_name = "CIDR", value_parser = network, help_heading = "Limits")]
    pub allow: Vec<IpNet>,

    /// Requests a second from one source at most (IPv4: an address, IPv6: a /64), and as many at once;
    /// 0: no limit. Without it: 10000, and no limit for loopback addresses
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>, help_heading = "Limits")]
    pub rate: Option<u32>,

    /// Log each message as it is answered, with control characters escaped
    #[arg(long)]
    pub show_messages: bool,

    /// How the log, on stderr, is written: for people, or one JSON object a line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// As if nothing had been asked for.
impl Default for ServiceArgs {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            workers: NonZero::<usize>::MIN,
            busy_poll: Duration::ZERO,
            allow: Vec::new(),
            rate: None,
            show_messages: false,
            log_format: LogFormat::Text,
            verbose: 0,
        }
    }
}

impl ServiceArgs {
    /// Who is answered.
    #[must_use]
    pub fn allowed_networks(&self) -> AllowedNetworks {
        AllowedNetworks::new(self.allow.clone())
    }
}

/// A duration as people write it (`300ms`, `5m`, `1h 30m`), or `0`.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|_| "a duration looks like 50us, 30s or 5m".into())
}

/// A whole number.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn parse_number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "not a whole number, or too large".into())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "an address with a port looks like 192.0.2.1:4000 or [::1]:4000; names are not looked up".into()
    })
}

fn busy_poll(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration > LONGEST_BUSY_POLL {
        return Err(format!("at most {LONGEST_BUSY_POLL:?}"));
    }
    Ok(duration)
}

fn workers(text: &str) -> Result<NonZero<usize>, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_WORKERS).contains(number));
    let number = number.and_then(|number| NonZero::new(usize::try_from(number).ok()?));
    number.ok_or_else(|| format!("a number from 1 to {MOST_WORKERS}"))
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    let network: IpNet = text
        .parse()
        .or_else(|_| address())
        .map_err(|_| "a network looks like 192.0.2.0/24 or 2001:db8::/32")?;
    if network != network.trunc() {
        let (whole, one) = (network.trunc(), network.addr());
        return Err(format!("is {whole} meant, the network, or {one}, the one address?"));
    }
    Ok(network)
}

/// The command line, parsed.
///
/// # Errors
///
/// The status to exit with, when there is nothing left to do: help was asked for and printed, or a
/// mistake was told in one line on stderr.
pub fn parse_command_line<Cli: Parser>() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        if error.use_stderr() {
            // Clap's first paragraph says what is wrong and where; the rest is a reminder of usage.
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let what: Vec<_> =
                text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            eprintln!("{}: {} (see --help)", Cli::command().get_name(), what.join(" "));
            ExitCode::from(2)
        } else {
            // Nobody is left to tell when stdout is closed.
            let _ = error.print();
            ExitCode::SUCCESS
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_workers_and_networks_are_read_as_people_write_them() {
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("50us"), Ok(Duration::from_micros(50)));
        assert!(parse_duration("5").is_err(), "of what?");
        assert!(busy_poll("2s").is_err());
        assert_eq!(workers("4").map(NonZero::get), Ok(4));
        assert!(workers("0").is_err() && workers("1000").is_err() && workers("two").is_err());
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(network("192.0.2.0/33").is_err());
        assert!(network("192.0.2.5/24").unwrap_err().contains("192.0.2.0/24"));
        assert_eq!(parse_number::<u32>("7"), Ok(7));
        assert!(address("localhost:4000").is_err());
    }
}
