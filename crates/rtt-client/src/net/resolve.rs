//! Name resolution: finds the socket addresses of a target's host, within a timeout.
//!
//! A host is an IP address, an IPv6 address with a zone (`fe80::1%eth0`), or a name. Only a name needs the
//! system's resolver.

mod again;
mod look_up;

pub(crate) use again::{AddressChoice, NameResolver};

use crate::model::condition::Condition;
use crate::model::target::{IpAndZone, Target, ip_and_zone};
use crate::net::system::interface_index;
use crate::plan::Family;
use look_up::LookUp;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tracing::debug;

/// The maximum number of addresses that the client tries. The owner of a name can publish thousands of addresses. Common
/// names have at most eight of each version of IP.
pub(crate) const MAX_ADDRESSES: usize = 16;

/// The reason why a host has no usable address. The texts are for sentences that already contain the host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The resolver reports that the name does not exist or has no address.
    #[error("{}", resolver_message(.0))]
    NotFound(io::Error),
    /// The resolver could not find out whether the name has an address.
    #[error("{}", resolver_message(.0))]
    LookupFailed(io::Error),
    /// The resolver did not finish within this time.
    #[error("the resolver did not answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The system did not start the thread of the look-up.
    #[error("cannot start the thread of the look-up: {0}")]
    NoThread(io::Error),
    /// The user has interrupted the look-up.
    #[error("the look-up was interrupted")]
    Interrupted,
    /// The resolver returned no address.
    #[error("the host has no IP address")]
    NoAddress,
    /// The host has addresses, but none of this version of IP.
    #[error("the host has no {} address", .0.name())]
    OtherVersion(Family),
    /// The zone of the address is not an interface of this host.
    #[error(transparent)]
    UnknownZone(#[from] ZoneError),
}

impl ResolveError {
    /// [`Condition::NameNotFound`], [`Condition::NameLookupFailed`] or [`Condition::LocalLimit`].
    pub(crate) fn condition(&self) -> Condition {
        match self {
            Self::NotFound(_) | Self::NoAddress | Self::OtherVersion(_) | Self::UnknownZone(_) => {
                Condition::NameNotFound
            }
            Self::NoThread(_) => Condition::LocalLimit,
            Self::LookupFailed(_) | Self::Timeout(_) | Self::Interrupted => {
                Condition::NameLookupFailed
            }
        }
    }

    /// Whether the host has only addresses of the version of IP that is not selected.
    pub(crate) fn is_other_version(&self) -> bool {
        matches!(self, Self::OtherVersion(_))
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

/// The reason why a text is not a local address.
#[derive(Debug, thiserror::Error)]
pub enum LocalAddressError {
    /// The text is not an IP address with an optional port.
    #[error(
        "`{0}` is not an IP address; examples: 192.0.2.1, 192.0.2.1:5000, [2001:db8::1]:5000, fe80::1%eth0"
    )]
    NotAnAddress(String),
    /// The address has an unknown zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// Parses a local address for [`Settings::bind`](crate::Settings::bind): `ADDR`, `ADDR:PORT` or `[IPV6]:PORT`.
/// Without a port, or with port 0, the system chooses a port.
///
/// # Errors
///
/// The text is not an IP address, or its zone is not an interface of this host.
///
/// # Examples
///
/// ```
/// assert_eq!(rtt_client::local_address("192.0.2.1")?, "192.0.2.1:0".parse().unwrap());
/// assert_eq!(rtt_client::local_address("[2001:db8::1]:5000")?, "[2001:db8::1]:5000".parse().unwrap());
/// # Ok::<(), rtt_client::LocalAddressError>(())
/// ```
pub fn local_address(text: &str) -> Result<SocketAddr, LocalAddressError> {
    let not_an_address = || LocalAddressError::NotAnAddress(text.to_owned());
    let is_complete =
        |address: &&str| address.ends_with(']') || address.parse::<Ipv4Addr>().is_ok();
    let without_port_0 = text.strip_suffix(":0").filter(is_complete).unwrap_or(text);
    let target: Target = without_port_0.parse().map_err(|_| not_an_address())?;
    let address = ip_and_zone(&target.host).filter(|_| target.protocol.is_none());
    Ok(socket_address(address.ok_or_else(not_an_address)?, target.port.unwrap_or(0))?)
}

/// The events that end a look-up without a result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookUpLimits<'a> {
    pub(crate) timeout: Duration,
    /// The stop flag.
    pub(crate) stop: &'a AtomicBool,
}

/// The addresses of a host.
#[derive(Debug)]
pub(crate) struct ResolvedAddresses {
    /// The addresses that the client tries, in this order: at least one, at most [`MAX_ADDRESSES`].
    pub(crate) addresses: Vec<SocketAddr>,
    /// The number of addresses that the look-up found.
    pub(crate) found: usize,
}

/// The addresses of `host`. The system's resolver sorts them (RFC 6724).
pub(crate) fn resolve(
    host: &str,
    port: u16,
    family: Option<Family>,
    limits: LookUpLimits<'_>,
) -> Result<ResolvedAddresses, ResolveError> {
    let start = Instant::now();
    let result = find_addresses(host, port, family, limits);
    let elapsed = start.elapsed();
    match &result {
        Ok(ResolvedAddresses { addresses, found }) => {
            debug!(host, ?addresses, found, ?elapsed, "name look-up");
        }
        Err(error) => debug!(host, %error, ?elapsed, "name look-up failed"),
    }
    result
}

fn find_addresses(
    host: &str,
    port: u16,
    family: Option<Family>,
    limits: LookUpLimits<'_>,
) -> Result<ResolvedAddresses, ResolveError> {
    let mut addresses = match ip_and_zone(host) {
        Some(address) => vec![socket_address(address, port)?],
        None => LookUp::start(host, port)?.wait(limits)?,
    };
    retain_version(&mut addresses, family)?;
    let found = addresses.len();
    Ok(ResolvedAddresses { addresses: addresses_to_try(&addresses), found })
}

/// Removes the addresses of the other version of IP.
fn retain_version(
    addresses: &mut Vec<SocketAddr>,
    family: Option<Family>,
) -> Result<(), ResolveError> {
    if addresses.is_empty() {
        return Err(ResolveError::NoAddress);
    }
    if let Some(family) = family {
        addresses.retain(|address| address.is_ipv4() == (family == Family::V4));
        if addresses.is_empty() {
            return Err(ResolveError::OtherVersion(family));
        }
    }
    Ok(())
}

/// The first [`MAX_ADDRESSES`] addresses. The versions of IP alternate, starting with the version of the first address
/// (RFC 8305, section 4). So the client tries both versions soon, even if one of them does not work.
fn addresses_to_try(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let of_version =
        |is_v4| addresses.iter().copied().filter(move |address| address.is_ipv4() == is_v4);
    let (mut version, mut other) = (of_version(first_is_v4), of_version(!first_is_v4));
    let pairs = std::iter::from_fn(|| match (version.next(), other.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    });
    pairs.flatten().flatten().take(MAX_ADDRESSES).collect()
}

/// Builds a socket address. The zone is the name or the index of an interface (RFC 4007, section 11.2). The index
/// becomes the scope id.
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

/// The resolver's message as part of a sentence: without the library's prefix, and in lower case.
fn resolver_message(error: &io::Error) -> String {
    let message = error.to_string();
    let prefix = "failed to lookup address information:";
    message.strip_prefix(prefix).unwrap_or(&message).trim().to_lowercase()
}

#[cfg(test)]
mod tests;
