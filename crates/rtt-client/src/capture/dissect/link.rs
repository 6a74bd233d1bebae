//! The link header in front of the IP header.

use super::u16_at;
use crate::capture::file::LinkType;

/// Header lengths, in bytes.
const ETHERNET: usize = 14;
const VLAN_TAG: usize = 4;
const COOKED: usize = 16;
const COOKED2: usize = 20;
const NULL: usize = 4;

/// The maximum number of VLAN tags that are skipped. More tags do not occur in practice.
const MAX_VLAN_TAGS: usize = 4;

/// Values of the `EtherType` field (IANA "IEEE 802 Numbers").
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN_TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The length of the link header with its VLAN tags (IEEE 802.1Q), if an IP header follows.
pub(super) fn header_length(link_type: LinkType, bytes: &[u8]) -> Option<usize> {
    let (mut ether_type, mut length) = match link_type {
        LinkType::Raw => return Some(0),
        LinkType::Null => return Some(NULL),
        LinkType::Ethernet => (u16_at(bytes, ETHERNET - 2)?, ETHERNET),
        LinkType::Cooked => (u16_at(bytes, COOKED - 2)?, COOKED),
        LinkType::Cooked2 => (u16_at(bytes, 0)?, COOKED2),
        LinkType::Other(_) => return None,
    };
    for _ in 0..MAX_VLAN_TAGS {
        if !VLAN_TAG_TYPES.contains(&ether_type) {
            break;
        }
        ether_type = u16_at(bytes, length + 2)?;
        length += VLAN_TAG;
    }
    matches!(ether_type, IPV4 | IPV6).then_some(length)
}

/// Whether this is the outgoing copy of a packet on the loopback interface. A cooked capture contains each loopback
/// packet twice: when it leaves and when it arrives.
pub(super) fn is_second_copy(link_type: LinkType, bytes: &[u8]) -> bool {
    /// `PACKET_OUTGOING` (packet(7)).
    const OUTGOING: u16 = 4;
    /// `ARPHRD_LOOPBACK` (`include/uapi/linux/if_arp.h`).
    const LOOPBACK: u16 = 772;
    let (packet_type, interface_type) = match link_type {
        LinkType::Cooked => (u16_at(bytes, 0), u16_at(bytes, 2)),
        LinkType::Cooked2 => (bytes.get(10).copied().map(u16::from), u16_at(bytes, 8)),
        _ => return false,
    };
    packet_type == Some(OUTGOING) && interface_type == Some(LOOPBACK)
}
