//! Who asks: which addresses count as one source, and which are answered at all.

use ipnet::IpNet;
use std::net::IpAddr;

/// One who asks, as limits see it: an IPv4 address, or the /64 that an IPv6 address is in, because that
/// is the least that a single host is given (RFC 6177), with 2⁶⁴ addresses to choose from. On a link without
/// a router, where all hosts are in one /64, it is the rest of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(u64);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address {
            // Among the prefixes of IPv6 these would be of ::/32, which no host is in.
            IpAddr::V4(address) => Self(u64::from(address.to_bits())),
            IpAddr::V6(address) if address.is_unicast_link_local() => Self(half(address.to_bits())),
            IpAddr::V6(address) => Self(half(address.to_bits() >> 64)),
        }
    }
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "that is what is wanted")]
fn half(bits: u128) -> u64 {
    bits as u64
}

impl Source {
    /// It as a number, for tables.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Which addresses are answered: all, or those of some networks.
#[derive(Debug, Clone, Default)]
pub struct AllowedNetworks(Vec<IpNet>);

impl AllowedNetworks {
    /// Only those of `networks`; without any, everybody.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether `address` is answered.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv6_host_is_one_source_whatever_address_it_chooses() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("fe80::1"), source("fe80::2"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn without_a_list_everybody_is_answered() {
        let address = "192.0.2.7".parse().unwrap();
        assert!(AllowedNetworks::default().allows(address));
        let some = AllowedNetworks::new(vec!["198.51.100.0/24".parse().unwrap()]);
        assert!(!some.allows(address) && !some.allows("::1".parse().unwrap()));
        assert!(some.allows("198.51.100.200".parse().unwrap()));
    }
}
