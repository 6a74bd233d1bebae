//! [`FailureContext`]: a fact about a failure that makes the meaning of its condition more specific.

use std::net::SocketAddr;

/// The meaning of [`FailureContext::NoZone`].
pub(crate) const ZONE_IS_MISSING: &str =
    "the address is link-local, so it can exist on every link; the target does not name the link";

/// The advice for [`FailureContext::NoZone`].
pub(crate) const ADD_THE_ZONE: &str = "add the zone to the address: fe80::1%eth0";

/// A fact about a failure that makes the meaning of its condition more specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureContext {
    /// No connection was established, so the request was not sent on it.
    NoConnection,
    /// The client did not try to send the request: its last attempt to connect failed, and the next one has not ended. The
    /// condition is the one of the last attempt.
    NotTried,
    /// The address is link-local (RFC 4007), but it has no zone. So it does not determine the link.
    NoZone,
    /// The name has addresses, but none of the version of IP that this option selects.
    OtherVersion(VersionOption),
    /// After a wrong datagram, the client waited for the correct reply until the timeout.
    WaitedForCorrectReply,
}

/// The option that selects a version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionOption {
    /// The option `-4`.
    V4,
    /// The option `-6`.
    V6,
    /// The option `--bind` with an IPv4 address.
    BindV4,
    /// The option `--bind` with an IPv6 address.
    BindV6,
}

impl VersionOption {
    /// The option as the user writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
            Self::BindV4 | Self::BindV6 => "--bind",
        }
    }

    /// The version that the option selects.
    #[must_use]
    pub fn selected(self) -> &'static str {
        match self {
            Self::V4 | Self::BindV4 => "IPv4",
            Self::V6 | Self::BindV6 => "IPv6",
        }
    }

    /// The version that the option excludes.
    #[must_use]
    pub fn excluded(self) -> &'static str {
        match self {
            Self::V4 | Self::BindV4 => "IPv6",
            Self::V6 | Self::BindV6 => "IPv4",
        }
    }
}

/// Whether `address` is a link-local IPv6 address without a zone.
pub(crate) fn is_zone_missing(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(address)
        if address.ip().is_unicast_link_local() && address.scope_id() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_link_local_addresses_need_a_zone() {
        for (address, expected) in [
            ("[fe80::1]:7", true),
            ("[fe80::1%2]:7", false),
            ("[2001:db8::1]:7", false),
            ("169.254.0.1:7", false),
        ] {
            assert_eq!(is_zone_missing(address.parse().unwrap()), expected, "{address}");
        }
    }
}
