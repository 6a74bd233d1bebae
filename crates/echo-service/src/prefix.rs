//! Prefixes of IP addresses: the units in which a server counts its connections.
//!
//! One party can have many addresses. A site receives an IPv6 network between /48 and /64 (RFC 6177), and often
//! several neighbouring IPv4 addresses. A limit for each address alone would therefore be weak. So a server counts an
//! address in prefixes of several lengths.

use std::iter;
use std::net::{IpAddr, Ipv4Addr};

/// A prefix of an IP address: the network, and the length of its prefix.
///
/// ```
/// use echo_service::Prefix;
///
/// let source = Prefix::source("2001:db8:1:2::7".parse().unwrap());
/// assert_eq!(source, Prefix::source("2001:db8:1:2::8".parse().unwrap()));
/// assert_eq!(source.levels().count(), 3); // /64, /56 and /48
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    length: Length,
    /// The bits of the prefix, right-aligned. For [`Length::Ipv6LinkLocal`], the lower 64 bits of the address.
    bits: u64,
}

/// How many sources a prefix usually contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixLevel {
    /// One host or one link: an IPv4 address, an IPv6 /64 network, or an IPv6 link-local address.
    Source,
    /// One site: an IPv6 /56 network. IPv4 has no prefix of this level.
    Site,
    /// One organisation or a part of it: an IPv4 /24 network or an IPv6 /48 network.
    Network,
}

/// The length of a prefix, with the version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Length {
    Ipv4Bits32,
    Ipv4Bits24,
    Ipv6Bits64,
    Ipv6Bits56,
    Ipv6Bits48,
    /// A link-local address. All hosts of a link share the prefix `fe80::/64`, so the prefix separates no hosts.
    Ipv6LinkLocal,
}

impl Prefix {
    /// The first prefix in the order of [`Ord`], for ranges of ordered collections.
    pub const MIN: Self = Self { length: Length::Ipv4Bits32, bits: 0 };
    /// The last prefix in the order of [`Ord`], for ranges of ordered collections.
    pub const MAX: Self = Self { length: Length::Ipv6LinkLocal, bits: u64::MAX };

    /// The narrowest prefix of `address`, which contains one source.
    #[must_use]
    pub fn source(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::ipv4(address),
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                Self { length: Length::Ipv6LinkLocal, bits: join(&address.segments()[4..]) }
            }
            IpAddr::V6(address) => {
                Self { length: Length::Ipv6Bits64, bits: join(&address.segments()[..4]) }
            }
        }
    }

    /// The next wider prefix that contains this one. `None` if this is the widest prefix.
    #[must_use]
    pub fn wider(self) -> Option<Self> {
        let (length, bits) = match self.length {
            Length::Ipv4Bits32 => (Length::Ipv4Bits24, self.bits >> 8),
            Length::Ipv6Bits64 => (Length::Ipv6Bits56, self.bits >> 8),
            Length::Ipv6Bits56 => (Length::Ipv6Bits48, self.bits >> 8),
            Length::Ipv4Bits24 | Length::Ipv6Bits48 | Length::Ipv6LinkLocal => return None,
        };
        Some(Self { length, bits })
    }

    /// This prefix, and all wider prefixes that contain it, from narrow to wide.
    pub fn levels(self) -> impl Iterator<Item = Self> {
        iter::successors(Some(self), |prefix| prefix.wider())
    }

    /// The level of the prefix.
    #[must_use]
    pub fn level(self) -> PrefixLevel {
        match self.length {
            Length::Ipv4Bits32 | Length::Ipv6Bits64 | Length::Ipv6LinkLocal => PrefixLevel::Source,
            Length::Ipv6Bits56 => PrefixLevel::Site,
            Length::Ipv4Bits24 | Length::Ipv6Bits48 => PrefixLevel::Network,
        }
    }

    /// The bits of the prefix, right-aligned. They do not contain the length of the prefix.
    pub(crate) fn bits(self) -> u64 {
        self.bits
    }

    fn ipv4(address: Ipv4Addr) -> Self {
        Self { length: Length::Ipv4Bits32, bits: address.to_bits().into() }
    }
}

/// The bits of one half of an IPv6 address.
fn join(segments: &[u16]) -> u64 {
    segments.iter().fold(0, |bits, segment| (bits << 16) | u64::from(*segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The prefixes of an address, from narrow to wide.
    fn levels(address: &str) -> Vec<Prefix> {
        Prefix::source(address.parse().unwrap()).levels().collect()
    }

    /// The number of levels, from the widest one, that two addresses share.
    fn shared_levels(one: &str, other: &str) -> usize {
        levels(one).iter().filter(|prefix| levels(other).contains(prefix)).count()
    }

    #[test]
    fn ipv6_addresses_share_the_prefixes_of_64_56_and_48_bits() {
        let address = "2001:db8:1:2233::1";
        assert_eq!(shared_levels(address, "2001:db8:1:2233:ffff::9"), 3);
        assert_eq!(shared_levels(address, "2001:db8:1:2244::1"), 2);
        assert_eq!(shared_levels(address, "2001:db8:1:3333::1"), 1);
        assert_eq!(shared_levels(address, "2001:db8:2:2233::1"), 0);
    }

    #[test]
    fn ipv4_addresses_share_the_prefix_of_24_bits() {
        assert_eq!(shared_levels("192.0.2.1", "192.0.2.1"), 2);
        assert_eq!(shared_levels("192.0.2.1", "192.0.2.254"), 1);
        assert_eq!(shared_levels("192.0.2.1", "192.0.3.1"), 0);
        assert_eq!(shared_levels("192.0.2.1", "::ffff:192.0.2.1"), 2);
        assert_eq!(shared_levels("192.0.2.1", "::192.0.2.1"), 0);
    }

    #[test]
    fn link_local_addresses_share_no_prefix() {
        assert_eq!(levels("fe80::1").len(), 1);
        assert_eq!(shared_levels("fe80::1", "fe80::2"), 0);
    }

    #[test]
    fn each_prefix_has_a_level() {
        use PrefixLevel::{Network, Site, Source};
        let of = |address| levels(address).into_iter().map(Prefix::level).collect::<Vec<_>>();
        assert_eq!(of("2001:db8::1"), [Source, Site, Network]);
        assert_eq!(of("192.0.2.1"), [Source, Network]);
        assert_eq!(of("fe80::1"), [Source]);
    }
}
