//! The limits on the open connections from one source, one site and one network.

use echo_service::{PrefixLevel, SourceLimit};
use std::net::IpAddr;
use std::num::NonZero;

/// A site (IPv6 /56) can use this part of all slots: one quarter.
const SITE_DIVISOR: u64 = 4;

/// A network (IPv4 /24, IPv6 /48) can use this part of all slots: one half. A course or a company often uses only one
/// network, so the part is large. The replacement of connections protects the other networks.
const NETWORK_DIVISOR: u64 = 2;

/// The limits on the open connections from prefixes of each level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixLimits {
    /// The limit for a source: an IPv4 address, an IPv6 /64 network, or an IPv6 link-local address.
    pub source: SourceLimit,
    /// The limit for an IPv6 /56 network.
    pub site: SourceLimit,
    /// The limit for an IPv4 /24 network or an IPv6 /48 network.
    pub network: SourceLimit,
}

impl PrefixLimits {
    /// Derives the limits of sites and networks from the number of slots. They are never smaller than the limit of one
    /// source. If a source has no limit, its site and its network have no limit.
    #[must_use]
    pub fn new(max_connections: usize, source: SourceLimit) -> Self {
        let max = u64::try_from(max_connections).unwrap_or(u64::MAX);
        let wider = |divisor| {
            let wider = |limit: NonZero<u64>| {
                NonZero::new(max / divisor).map_or(limit, |wide| wide.max(limit))
            };
            SourceLimit {
                other_hosts: source.other_hosts.map(wider),
                loopback: source.loopback.map(wider),
            }
        };
        Self { source, site: wider(SITE_DIVISOR), network: wider(NETWORK_DIVISOR) }
    }

    /// The limit of the prefix of `address` with this level. `None`: no limit.
    pub(super) fn for_prefix(&self, address: IpAddr, level: PrefixLevel) -> Option<NonZero<u64>> {
        let limit = match level {
            PrefixLevel::Source => self.source,
            PrefixLevel::Site => self.site,
            PrefixLevel::Network => self.network,
        };
        limit.for_address(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_prefixes_have_larger_limits() {
        let default = NonZero::new(256).unwrap();
        for (max, requested, site, network) in [
            (16_384, None, Some(4096), Some(8192)),
            (16_384, Some(2), Some(4096), Some(8192)),
            (100, None, Some(256), Some(256)),
            (1, Some(1), Some(1), Some(1)),
            (16_384, Some(0), None, None),
        ] {
            let limits = PrefixLimits::new(max, SourceLimit::resolve(requested, default));
            let of = |limit: SourceLimit| limit.other_hosts.map(NonZero::get);
            assert_eq!(
                (of(limits.site), of(limits.network)),
                (site, network),
                "{max} {requested:?}"
            );
        }
    }

    #[test]
    fn loopback_addresses_have_no_limit_by_default() {
        let default = NonZero::new(256).unwrap();
        let limits = PrefixLimits::new(16_384, SourceLimit::resolve(None, default));
        let loopback = "127.0.0.1".parse().unwrap();
        for level in [PrefixLevel::Source, PrefixLevel::Site, PrefixLevel::Network] {
            assert_eq!(limits.for_prefix(loopback, level), None);
        }
    }
}
