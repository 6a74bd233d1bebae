//! Header lengths and protocol numbers.

/// The length of an Ethernet header without VLAN tags, in bytes.
pub(crate) const ETHERNET_HEADER: u8 = 14;

/// Values of the `EtherType` field in an Ethernet header (IANA "IEEE 802 Numbers").
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Protocol numbers in an IP header (IANA "Protocol Numbers"). The facts of each protocol contain its own numbers.
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;
/// The fragment header of IPv6 (RFC 8200, section 4.5).
pub(crate) const IPV6_FRAGMENT: u8 = 44;

/// ICMP errors: destination unreachable, time exceeded, parameter problem (RFC 792).
pub(crate) const ICMP_ERROR_TYPES: [u8; 3] = [3, 11, 12];
