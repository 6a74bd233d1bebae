//! Command-line options that both servers have, and parsers for the values of options.

use crate::address::parse_socket_address;
use crate::rate::DEFAULT_RATE;
use crate::{AllowedNetworks, LogFormat};
use clap::Args;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

/// A larger number than the CPUs of any machine is probably a mistake. Each worker costs a thread, some MiB
/// of buffers and a socket.
const MAX_WORKERS: usize = 256;

/// A longer time would keep a CPU busy permanently.
const MAX_BUSY_POLL: Duration = Duration::from_secs(1);

/// The options that both servers have.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Listen on this address, in addition to sockets passed by systemd. Can be repeated. An IPv6 wildcard
    /// address accepts IPv6 only. A link-local address needs a zone, for example `[fe80::1%eth0]:4000`.
    /// Default: both loopback addresses, which other hosts cannot reach
    #[arg(long, value_name = "IP:PORT", value_parser = parse_socket_address)]
    pub listen: Vec<SocketAddr>,

    /// Number of worker threads. Each worker has its own sockets (`SO_REUSEPORT`), and the system distributes
    /// the peers among them. More than one worker needs Linux
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_workers)]
    pub workers: NonZero<usize>,

    /// Busy-poll for this time before a worker sleeps. This lowers the RTT but keeps a CPU busy. Off by
    /// default
    #[arg(long, value_name = "DUR", default_value = "0", value_parser = parse_busy_poll, hide_default_value = true)]
    pub busy_poll: Duration,

    /// Answer only peers in this network (for example 192.0.2.0/24), which then excludes loopback addresses
    /// too. Can be repeated. Default: answer every peer
    #[arg(long, value_name = "CIDR", value_parser = parse_network, help_heading = "Limits")]
    pub allow: Vec<IpNet>,

    /// The value of `--rate`: requests per second from one source. [`crate::RateLimit::resolve`] applies the
    /// default.
    #[arg(
        long, value_name = "N", value_parser = parse_number::<u32>, help_heading = "Limits",
        help = format!(
            "Maximum number of requests per second from one source (IPv4: an address, IPv6: a /64 network), and of \
             requests at once after a pause. 0: no limit. Default: {DEFAULT_RATE}, and no limit for loopback addresses"
        )
    )]
    pub rate: Option<u32>,

    /// Log each message when the server answers it, with control characters escaped
    #[arg(long)]
    pub show_messages: bool,

    /// Format of the log on stderr: readable text, or one JSON object per line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Log more details. Use it twice to log everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The values without any option on the command line.
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
    /// The networks of `--allow`.
    #[must_use]
    pub fn allowed_networks(&self) -> AllowedNetworks {
        AllowedNetworks::new(self.allow.clone())
    }

    /// The time of `--busy-poll` in microseconds.
    #[must_use]
    pub fn busy_poll_us(&self) -> u64 {
        u64::try_from(self.busy_poll.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Parses a duration with a unit (`300ms`, `5m`, `1h 30m`), or `0`.
///
/// # Errors
///
/// A message for the user.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text)
        .map_err(|_| "expected a duration with a unit, for example 50us, 30s or 5m".into())
}

/// Parses a whole number.
///
/// # Errors
///
/// A message for the user.
pub fn parse_number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "not a whole number, or too large".into())
}

fn parse_busy_poll(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration > MAX_BUSY_POLL {
        return Err(format!("the maximum is {MAX_BUSY_POLL:?}"));
    }
    Ok(duration)
}

fn parse_workers(text: &str) -> Result<NonZero<usize>, String> {
    let number = text.parse().ok().filter(|number: &NonZero<usize>| number.get() <= MAX_WORKERS);
    number.ok_or_else(|| format!("expected a number from 1 to {MAX_WORKERS}"))
}

/// Parses a network, or an address as a network of one address.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    let network: IpNet = text
        .parse()
        .or_else(|_| address())
        .map_err(|_| "expected a network, for example 192.0.2.0/24 or 2001:db8::/32")?;
    if network != network.trunc() {
        let (network, address) = (network.trunc(), network.addr());
        return Err(format!(
            "the address has bits outside the network prefix; use {network} for the network, or \
             {address} for one address"
        ));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_numbers_and_networks_are_parsed() {
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("50us"), Ok(Duration::from_micros(50)));
        assert!(parse_duration("5").is_err(), "the unit is missing");
        assert!(parse_busy_poll("2s").is_err());
        assert_eq!(parse_workers("4").map(NonZero::get), Ok(4));
        for invalid in ["0", "1000", "two"] {
            assert!(parse_workers(invalid).is_err(), "{invalid}");
        }
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(parse_network("192.0.2.0/33").is_err());
        assert!(parse_network("192.0.2.5/24").unwrap_err().contains("192.0.2.0/24"));
        assert_eq!(parse_number::<u32>("7"), Ok(7));
    }
}
