//! From a target's host to its addresses, in a bounded time.

use crate::model::condition::Condition;
use crate::plan::Family;
use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use std::net::{IpAddr, SocketAddr};
use std::{io, sync::mpsc, thread, time::Duration};

/// A name that led to no address.
#[derive(Debug)]
pub(crate) struct ResolveError {
    /// [`Condition::NameNotFound`] or [`Condition::NameLookupFailed`].
    condition: Condition,
    /// What the resolver said.
    reason: String,
}

impl ResolveError {
    pub(crate) fn condition(&self) -> Condition {
        self.condition
    }

    pub(crate) fn reason(&self) -> String {
        self.reason.clone()
    }
}

/// The addresses of `host`, in the order in which they are to be tried (RFC 6724, as the system's
/// resolver applies it).
///
/// The system's resolver can take longer than anybody wants to wait, and can't be stopped; it runs on
/// a thread of its own, which is left behind when `timeout` is over.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    family: Option<Family>,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let unresolved = |condition, reason| ResolveError { condition, reason };
    let mut addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => look_up(host, port, timeout).map_err(|(what, why)| unresolved(what, why))?,
    };
    let (wanted, name): (fn(&SocketAddr) -> bool, _) = match family {
        None => (|_| true, "IP"),
        Some(Family::V4) => (SocketAddr::is_ipv4, "IPv4"),
        Some(Family::V6) => (SocketAddr::is_ipv6, "IPv6"),
    };
    addresses.retain(wanted);
    if addresses.is_empty() {
        let reason = format!("it has no {name} address");
        return Err(unresolved(Condition::NameNotFound, reason));
    }
    Ok(addresses)
}

fn look_up(
    host: &str,
    port: u16,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, (Condition, String)> {
    let (answer, answered) = mpsc::channel();
    let name = host.to_owned();
    thread::spawn(move || {
        // Nobody waits any more when this comes too late.
        let _ = answer.send(system_resolver(&name, port));
    });
    answered.recv_timeout(timeout).unwrap_or_else(|_| {
        let seconds = timeout.as_secs_f64();
        Err((
            Condition::NameLookupFailed,
            format!("the resolver gave no answer within {seconds} s"),
        ))
    })
}

fn system_resolver(host: &str, port: u16) -> Result<Vec<SocketAddr>, (Condition, String)> {
    // One kind of socket, or every address would come once for each.
    let transient_icmp_errors =
        AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(host), None, Some(transient_icmp_errors)).map_err(|error| {
        let condition = match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Condition::NameNotFound,
            _ => Condition::NameLookupFailed,
        };
        (condition, tidy(&io::Error::from(error).to_string()))
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

/// The resolver's own words, without what the library says before them.
fn tidy(message: &str) -> String {
    let words = message.strip_prefix("failed to lookup address information:").unwrap_or(message);
    words.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    #[test]
    fn an_address_is_its_own_answer() {
        let found = resolve("192.0.2.7", 9, None, WAIT).unwrap();
        assert_eq!(found, ["192.0.2.7:9".parse().unwrap()]);
        let found = resolve("2001:db8::7", 9, Some(Family::V6), WAIT).unwrap();
        assert_eq!(found, ["[2001:db8::7]:9".parse().unwrap()]);
    }

    #[test]
    fn an_address_of_the_other_family_is_none() {
        let error = resolve("192.0.2.7", 9, Some(Family::V6), WAIT).unwrap_err();
        assert_eq!(error.condition, Condition::NameNotFound);
        assert_eq!(error.reason, "it has no IPv6 address");
    }

    #[test]
    fn localhost_is_loopback() {
        for address in resolve("localhost", 9, None, WAIT).unwrap() {
            assert!(address.ip().is_loopback() && address.port() == 9, "{address}");
        }
    }
}
