//! Sources of requests: the addresses that count as one source, and the networks that receive replies.

use crate::Prefix;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// The unit to which the limits "per source" apply.
///
/// It is the narrowest prefix of an address ([`Prefix::source`]):
///
/// - IPv4: an address.
/// - IPv6: the /64 prefix of the address. Each site receives at least a /64 network (RFC 6177), so one host can
///   choose among 2⁶⁴ addresses.
/// - IPv6 link-local: the lower 64 bits of the address, because all hosts of a link share the prefix
///   `fe80::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(u64);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        // The bits of two different sources are equal in rare cases only. No global IPv6 address has the number of an
        // IPv4 address: its prefix would be in ::/32. A link-local address can have this number, and then shares the
        // limits of the IPv4 address.
        Self(Prefix::source(address).bits())
    }
}

impl Source {
    /// The source as a number, for hash tables.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The networks of the peers that the server answers (option `--allow`).
///
/// `Display` writes a list with commas, or `all`.
#[derive(Debug, Clone, Default)]
pub struct AllowedNetworks(Vec<IpNet>);

impl AllowedNetworks {
    /// Allows only `networks`. An empty list allows every address.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether the server answers requests from `address`.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }
}

impl fmt::Display for AllowedNetworks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.0.split_first() else { return formatter.write_str("all") };
        write!(formatter, "{first}")?;
        others.iter().try_for_each(|network| write!(formatter, ",{network}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("fe80::1"), source("fe80::2"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn empty_list_allows_every_address() {
        let address = "192.0.2.7".parse().unwrap();
        assert!(AllowedNetworks::default().allows(address));
        let networks = AllowedNetworks::new(vec!["198.51.100.0/24".parse().unwrap()]);
        assert!(!networks.allows(address) && !networks.allows("::1".parse().unwrap()));
        assert!(networks.allows("198.51.100.200".parse().unwrap()));
    }

    #[test]
    fn display_lists_the_networks_or_all() {
        let networks = ["192.0.2.0/24", "2001:db8::/32"].map(|network| network.parse().unwrap());
        let networks = AllowedNetworks::new(networks.to_vec());
        assert_eq!(networks.to_string(), "192.0.2.0/24,2001:db8::/32");
        assert_eq!(AllowedNetworks::default().to_string(), "all");
    }
}
