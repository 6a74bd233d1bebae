//! The command-line options and the help text that both servers have, and parsers for the values of options.

mod arguments;

pub use arguments::parse_arguments;

use crate::process::{CANNOT_CONTINUE, CANNOT_START};
use crate::rate::{DEFAULT_RATE, UNIT_BYTES};
use crate::{AllowedNetworks, LogFormat};
use clap::Args;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

/// A larger number is probably a mistake: few machines have more CPUs. Each worker needs a thread, buffers
/// and sockets.
const MAX_WORKERS: usize = 256;

/// A longer time would keep a CPU busy long after the last request.
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
    /// the peers among the workers. More than one worker needs Linux
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_workers)]
    pub workers: NonZero<usize>,

    /// Busy-poll for this time (seconds, or with a unit: 50us) before a worker sleeps. This lowers the RTT, but keeps a
    /// CPU busy. Default: 0 (off)
    #[arg(long, value_name = "DUR", default_value = "0", value_parser = parse_busy_poll, hide_default_value = true)]
    pub busy_poll: Duration,

    /// Answer only peers in this network (for example 192.0.2.0/24). Loopback peers are then refused, unless
    /// their network is listed too. Can be repeated. Default: answer every peer
    #[arg(long, value_name = "CIDR", value_parser = parse_network, help_heading = "Limits")]
    pub allow: Vec<IpNet>,

    /// The value of `--rate`. If it is `None`, [`crate::RateLimit::resolve`] returns the default.
    #[arg(
        long, value_name = "N", value_parser = parse_number::<u32>, help_heading = "Limits",
        help = format!(
            "Maximum number of requests per second from one source (IPv4: an address, IPv6: a /64 network). A longer \
             request counts once for each {UNIT_BYTES} bytes. After a pause, a burst of N requests is allowed. 0: no \
             limit. Default: {DEFAULT_RATE}, and no limit for loopback addresses"
        )
    )]
    pub rate: Option<u32>,

    /// Log each message that the server answers, with control characters escaped
    #[arg(long)]
    pub show_messages: bool,

    /// Format of the log on stderr
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Log more details. Use it twice to log everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The values if the command line contains no options.
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

/// The text after the options in the help of a server. `notes` are paragraphs about this server only.
#[must_use]
pub fn service_help(default_port: u16, notes: &str) -> String {
    format!(
        "Default addresses: 127.0.0.1:{default_port} and [::1]:{default_port}.\n\n\
         Signals: After SIGINT (Ctrl-C) or SIGTERM, the server answers the requests that it has received, prints the \
         totals, and stops. A second signal stops the server immediately. SIGUSR1 prints the totals, and the server \
         continues.\n\n\
         {notes}\n\n\
         Before other hosts can reach the server, restrict it with --allow and --rate.\n\n\
         Exit status: 0 after a signal, {CANNOT_CONTINUE} if a socket stops working, {CANNOT_START} if the server \
         cannot start."
    )
}

/// Parses a duration: a number of seconds (`30`, `0.5`), or numbers with units (`300ms`, `5m`, `1h 30m`). The client accepts
/// the same forms.
///
/// # Errors
///
/// A message for the user.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    duration.ok_or_else(|| "not a duration; valid examples: 2, 0.5, 30s, 5m, 50us".into())
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

/// Parses a network. A single address is a network of one address.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
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

/// Parses an IP address with a port. An IPv6 address can have a zone (RFC 4007, section 11). The zone is the
/// name or the number of a network interface, as in `[fe80::1%eth0]:4000` or `[fe80::1%2]:4000`.
fn parse_socket_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    // The standard library parses a zone only if it is a number.
    let Some((ip, zone, port)) = split_zone(text) else {
        return Err(
            "expected an IP address with a port, for example 192.0.2.1:4000, [::1]:4000 or \
                    [fe80::1%eth0]:4000; host names are not resolved"
                .into(),
        );
    };
    let interface = interface_index(zone)?;
    Ok(SocketAddrV6::new(ip, port, 0, interface).into())
}

/// Splits `[IPV6%ZONE]:PORT`.
fn split_zone(text: &str) -> Option<(Ipv6Addr, &str, u16)> {
    let (address, port) = text.strip_prefix('[')?.split_once("]:")?;
    let (ip, zone) = address.split_once('%')?;
    Some((ip.parse().ok()?, zone, port.parse().ok()?))
}

#[cfg(all(unix, not(portable)))]
fn interface_index(name: &str) -> Result<u32, String> {
    nix::net::if_::if_nametoindex(name)
        .map_err(|_| format!("this host has no network interface `{name}`"))
}

#[cfg(not(all(unix, not(portable))))]
fn interface_index(name: &str) -> Result<u32, String> {
    Err(format!(
        "the zone `{name}` is not a number, and interface names are not available on this system"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_parsed() {
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(parse_duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("0.25"), Ok(Duration::from_millis(250)));
        for text in ["", "-1", "nan", "1e300", "soon", "5 parsecs"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_busy_poll("2s").is_err());
        assert!(parse_busy_poll("50").is_err(), "a number without a unit is in seconds");
        assert_eq!(parse_workers("4").map(NonZero::get), Ok(4));
        for invalid in ["0", "1000", "two"] {
            assert!(parse_workers(invalid).is_err(), "{invalid}");
        }
        assert_eq!(parse_number::<u32>("7"), Ok(7));
    }

    #[test]
    fn networks_are_parsed() {
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(parse_network("192.0.2.0/33").is_err());
        assert!(parse_network("192.0.2.5/24").unwrap_err().contains("192.0.2.0/24"));
    }

    #[test]
    fn addresses_with_a_port_are_parsed() {
        for text in ["192.0.2.1:4000", "[::1]:4000", "[fe80::1%7]:4000"] {
            assert_eq!(parse_socket_address(text).unwrap().to_string(), text);
        }
        for text in
            ["localhost:4000", "192.0.2.1", "::1", "fe80::1%eth0", "[fe80::1%7]", "[::1%x:4"]
        {
            let error = parse_socket_address(text).unwrap_err();
            assert!(error.contains("[fe80::1%eth0]:4000"), "{text}: {error}");
        }
    }

    #[cfg(all(target_os = "linux", not(portable)))]
    #[test]
    fn zone_can_be_the_name_of_an_interface() {
        let address = parse_socket_address("[fe80::1%lo]:4000").unwrap();
        let SocketAddr::V6(address) = address else { panic!("{address}") };
        assert_eq!(address.scope_id(), interface_index("lo").unwrap());
        assert_ne!(address.scope_id(), 0);
    }

    #[test]
    fn error_names_the_unknown_zone() {
        let error = parse_socket_address("[fe80::1%absent0]:4000").unwrap_err();
        assert!(error.contains("`absent0`"), "{error}");
    }
}
