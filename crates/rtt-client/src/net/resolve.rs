//! Name resolution: from a target's host to its socket addresses, within a timeout.
//!
//! A host is an IP address, an IPv6 address with a zone (`fe80::1%eth0`), or a name. Only a name needs the
//! system's resolver.

use crate::model::condition::Condition;
use crate::model::target::{IpAndZone, ip_and_zone};
use crate::net::system::interface_index;
use crate::plan::Family;
use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, thread};
use tracing::debug;

/// Why a host has no usable address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The resolver reports that the name does not exist or has no address.
    #[error("looking up {host}")]
    NotFound { host: String, source: io::Error },
    /// The resolver could not find out whether the name has an address.
    #[error("looking up {host}")]
    LookupFailed { host: String, source: io::Error },
    /// The resolver did not finish within the timeout.
    #[error("looking up {host}: no answer within {} s", timeout.as_secs_f64())]
    Timeout { host: String, timeout: Duration },
    /// All addresses are of the other version of IP.
    #[error("{host} has no {} address", family_name(*family))]
    NoAddress { host: String, family: Option<Family> },
    /// The zone of the address is not an interface of this host.
    #[error("{host} has an unknown zone")]
    UnknownZone { host: String, source: ZoneError },
}

impl ResolveError {
    /// [`Condition::NameNotFound`] or [`Condition::NameLookupFailed`].
    pub(crate) fn condition(&self) -> Condition {
        match self {
            Self::NotFound { .. } | Self::NoAddress { .. } | Self::UnknownZone { .. } => {
                Condition::NameNotFound
            }
            Self::LookupFailed { .. } | Self::Timeout { .. } => Condition::NameLookupFailed,
        }
    }

    /// The reason, for a text that already names the host.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NotFound { source, .. } | Self::LookupFailed { source, .. } => {
                resolver_message(source)
            }
            Self::Timeout { timeout, .. } => {
                format!("no answer from the resolver within {} s", timeout.as_secs_f64())
            }
            Self::NoAddress { family, .. } => format!("it has no {} address", family_name(*family)),
            Self::UnknownZone { source, .. } => source.to_string(),
        }
    }
}

/// The zone of an IPv6 address is not an interface of this host.
#[derive(Debug, thiserror::Error)]
#[error("this host has no interface `{zone}`")]
pub struct ZoneError {
    /// The zone: the part of the address after `%`.
    pub zone: String,
    source: io::Error,
}

/// Why a text is not a local address.
#[derive(Debug, thiserror::Error)]
pub enum LocalAddressError {
    /// The text is not an IP address.
    #[error("`{0}` is not an IP address; examples: 192.0.2.1, 2001:db8::1, fe80::1%eth0")]
    NotAnAddress(String),
    /// The address has an unknown zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// Parses a local address for [`Settings::bind`](crate::Settings::bind). Its port is 0, so the system chooses
/// a port.
///
/// # Errors
///
/// [`LocalAddressError`].
///
/// # Examples
///
/// ```
/// let address = rtt_client::local_address("192.0.2.1")?;
/// assert_eq!(address, "192.0.2.1:0".parse().unwrap());
/// # Ok::<(), rtt_client::LocalAddressError>(())
/// ```
pub fn local_address(text: &str) -> Result<SocketAddr, LocalAddressError> {
    match ip_and_zone(text) {
        Some(address) => Ok(socket_address(address, 0)?),
        None => Err(LocalAddressError::NotAnAddress(text.to_owned())),
    }
}

/// The addresses of `host`, in the order in which the client should try them. The system's resolver sorts them
/// (RFC 6724).
pub(crate) fn resolve(
    host: &str,
    port: u16,
    family: Option<Family>,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let start = Instant::now();
    let result = find_addresses(host, port, family, timeout);
    let elapsed = start.elapsed();
    match &result {
        Ok(addresses) => debug!(host, ?addresses, ?elapsed, "name look-up"),
        Err(error) => debug!(host, reason = error.reason(), ?elapsed, "name look-up failed"),
    }
    result
}

fn find_addresses(
    host: &str,
    port: u16,
    family: Option<Family>,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut addresses = match ip_and_zone(host) {
        Some(address) => {
            let address = socket_address(address, port);
            let unknown_zone = |source| ResolveError::UnknownZone { host: host.to_owned(), source };
            vec![address.map_err(unknown_zone)?]
        }
        None => look_up(host, port, timeout)?,
    };
    addresses.retain(|address| match family {
        None => true,
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
    });
    if addresses.is_empty() {
        return Err(ResolveError::NoAddress { host: host.to_owned(), family });
    }
    Ok(addresses)
}

/// The socket address with the zone as its scope id. A zone is the name or the index of an interface (RFC 4007,
/// section 11.2).
fn socket_address(address: IpAndZone<'_>, port: u16) -> Result<SocketAddr, ZoneError> {
    let (IpAddr::V6(ip), Some(zone)) = (address.ip, address.zone) else {
        return Ok(SocketAddr::new(address.ip, port));
    };
    let scope_id = match zone.parse() {
        Ok(index) => index,
        Err(_) => {
            interface_index(zone).map_err(|source| ZoneError { zone: zone.to_owned(), source })?
        }
    };
    Ok(SocketAddrV6::new(ip, port, 0, scope_id).into())
}

/// Calls the system's resolver in a thread. The resolver can take longer than the timeout, and it cannot be
/// interrupted. The thread then continues without a receiver for its result.
fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    thread::spawn(move || {
        // Sending fails after the timeout, because the receiver no longer exists.
        let _ = sender.send(system_resolver(&name, port));
    });
    let timed_out = |_| Err(ResolveError::Timeout { host: host.to_owned(), timeout });
    receiver.recv_timeout(timeout).unwrap_or_else(timed_out)
}

fn system_resolver(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    // Without a socket type, the resolver returns every address once for each type.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| {
        let (host, kind) = (host.to_owned(), error.kind());
        let source = io::Error::from(error);
        match kind {
            LookupErrorKind::NoName | LookupErrorKind::NoData => {
                ResolveError::NotFound { host, source }
            }
            _ => ResolveError::LookupFailed { host, source },
        }
    })?;
    let mut addresses = Vec::new();
    for entry in found.flatten() {
        let mut address = entry.sockaddr;
        address.set_port(port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The resolver's message without the prefix of the library and in lower case, so that it fits into a sentence.
fn resolver_message(error: &io::Error) -> String {
    let message = error.to_string();
    let prefix = "failed to lookup address information:";
    message.strip_prefix(prefix).unwrap_or(&message).trim().to_lowercase()
}

fn family_name(family: Option<Family>) -> &'static str {
    match family {
        None => "IP",
        Some(Family::V4) => "IPv4",
        Some(Family::V6) => "IPv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[test]
    fn an_ip_address_resolves_to_itself() {
        let found = resolve("192.0.2.7", 9, None, TIMEOUT).unwrap();
        assert_eq!(found, ["192.0.2.7:9".parse().unwrap()]);
        let found = resolve("2001:db8::7", 9, Some(Family::V6), TIMEOUT).unwrap();
        assert_eq!(found, ["[2001:db8::7]:9".parse().unwrap()]);
    }

    #[test]
    fn an_address_of_the_other_family_is_an_error() {
        let error = resolve("192.0.2.7", 9, Some(Family::V6), TIMEOUT).unwrap_err();
        assert_eq!(error.condition(), Condition::NameNotFound);
        assert_eq!(error.reason(), "it has no IPv6 address");
        assert_eq!(error.to_string(), "192.0.2.7 has no IPv6 address");
    }

    #[test]
    fn localhost_resolves_to_loopback_addresses() {
        for address in resolve("localhost", 9, None, TIMEOUT).unwrap() {
            assert!(address.ip().is_loopback() && address.port() == 9, "{address}");
        }
    }

    #[test]
    fn a_numeric_zone_becomes_the_scope_id() {
        for (text, ip) in [("fe80::1%7", "fe80::1"), ("::1%7", "::1")] {
            let expected = SocketAddrV6::new(ip.parse().unwrap(), 9, 0, 7).into();
            assert_eq!(resolve(text, 9, None, TIMEOUT).unwrap(), [expected]);
            assert_eq!(local_address(text).unwrap().ip(), expected.ip());
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_zone_name_becomes_the_index_of_the_interface() {
        for text in ["fe80::1%lo", "::1%lo"] {
            let SocketAddr::V6(found) = resolve(text, 9, None, TIMEOUT).unwrap()[0] else {
                panic!("{text} is an IPv6 address");
            };
            assert_eq!(found.scope_id(), 1, "loopback is the first interface of every system");
            assert_eq!(
                local_address(text).unwrap(),
                SocketAddrV6::new(*found.ip(), 0, 0, 1).into()
            );
        }
    }

    #[test]
    fn an_unknown_zone_is_an_error() {
        let error = resolve("fe80::1%no-such-if", 9, None, TIMEOUT).unwrap_err();
        assert_eq!(error.condition(), Condition::NameNotFound);
        assert_eq!(error.reason(), "this host has no interface `no-such-if`");
        let error = local_address("fe80::1%no-such-if").unwrap_err();
        assert_eq!(error.to_string(), "this host has no interface `no-such-if`");
        let error = local_address("localhost").unwrap_err();
        assert!(error.to_string().contains("`localhost` is not an IP address"), "{error}");
    }
}
