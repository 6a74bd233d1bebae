//! Dissects a captured packet: its layers and their sizes, its addresses, and its payload.
//!
//! A packet can come from any host, so its content is not trusted. Every read checks the bounds. There is no
//! `unsafe` code.
//!
//! # Why this is our own code
//!
//! An earlier version used `etherparse` 0.21. The fuzz target (`fuzz/fuzz_targets/capture.rs`) found
//! undefined behaviour in it within seconds. The cause was an IPv6 extension header with a length beyond the
//! end of the packet: `etherparse` read beyond the end of the slice.

mod ip;
#[cfg(test)]
mod tests;

use crate::capture::dissector::{Dissector, IpPayload, u16_at};
use crate::capture::file::{CapturedPacket, LinkType};
use crate::model::headers::{
    ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ICMP, ICMP_ERROR_TYPES, ICMPV6,
};
use crate::model::icmp::IcmpError;
use crate::protocol::dissectors::DISSECTORS;
use ip::IpPacket;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The dissectors of all protocols. `None` for a protocol that cannot be dissected.
type Dissectors = &'static [Option<&'static dyn Dissector>];

/// Lengths of link headers, in bytes.
const VLAN_TAG: usize = 4;
const COOKED_HEADER: usize = 16;
const COOKED2_HEADER: usize = 20;
const NULL_HEADER: usize = 4;

/// The length of the header of an ICMP error, in bytes (RFC 792, RFC 4443).
const ICMP_HEADER: usize = 8;

/// The maximum number of header bytes that are kept of a packet. The longest header, with all its options, has 60 bytes
/// (RFC 9293, section 3.1).
const MAX_KEPT_HEADER: usize = 60;

/// The maximum number of VLAN tags (IEEE 802.1Q) in a packet. One or two are usual.
const MAX_VLAN_TAGS: usize = 4;

/// `EtherType` values that identify a VLAN tag. The first two are from IEEE 802.1Q. Older switches also use
/// 0x9100.
const VLAN_TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The types of `ICMPv6` errors are below this number (RFC 4443, section 2.1).
const ICMPV6_ERROR_TYPES_END: u8 = 128;

/// A packet of a registered protocol, an ICMP error about such a packet, or an IP fragment that is not the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The time since 1970-01-01 00:00 UTC.
    pub(crate) time: Duration,
    pub(crate) sizes: LayerSizes,
    /// The addresses in the IP header.
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) kind: PacketKind,
    /// The captured part of the payload.
    pub(crate) payload: Vec<u8>,
    /// Whether the capture contains only a part of the packet.
    pub(crate) is_truncated: bool,
}

/// The sizes of a packet's layers on the wire, in bytes. A capture can contain fewer bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerSizes {
    /// The link header, for example of Ethernet.
    pub link: usize,
    /// The IP header with its options or extension headers.
    pub ip: usize,
    /// The header that follows the IP header.
    pub transport: usize,
    /// The data after all headers.
    pub payload: usize,
}

impl LayerSizes {
    /// The size of the whole packet.
    #[must_use]
    pub fn total(self) -> usize {
        self.link + self.ip + self.transport + self.payload
    }
}

/// The kind of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PacketKind {
    /// A packet of a registered protocol.
    Protocol(ProtocolPacket),
    /// An ICMP error. It contains the beginning of the packet that caused it.
    IcmpError { error: IcmpError, quoted: ProtocolPacket },
    /// A fragment of an IP packet, but not the first one. It has no ports.
    Fragment { ip_protocol: u8 },
}

/// A packet of a registered protocol: its protocol, its endpoints and its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProtocolPacket {
    pub(crate) dissector: &'static dyn Dissector,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// The captured part of the header after the IP header. An ICMP error can contain only the first 8 bytes.
    pub(crate) header: Vec<u8>,
}

/// Dissects a packet of a registered protocol. Returns `None` if [`Packet`] does not describe this kind of packet, or if
/// a header is incomplete or invalid. Also returns `None` for the outgoing copy of a loopback packet.
pub(crate) fn dissect(captured: &CapturedPacket) -> Option<Packet> {
    dissect_with(DISSECTORS, captured)
}

/// Dissects a packet with these dissectors.
pub(super) fn dissect_with(dissectors: Dissectors, captured: &CapturedPacket) -> Option<Packet> {
    let bytes = &captured.bytes[..];
    if is_second_copy(captured.link_type, bytes) {
        return None;
    }
    let link = link_header_length(captured.link_type, bytes)?;
    let ip = IpPacket::parse(bytes.get(link..)?)?;
    let on_wire = captured.original_length.max(bytes.len());
    let after_ip_header = on_wire.checked_sub(link + ip.header_length)?;
    let ip_payload_size = match ip.total_length {
        // With segmentation offload, the captured header can have no length: the network card writes it later.
        0 => after_ip_header,
        // The length in a forged header can exceed the packet. Such a packet is cut off.
        length => length.checked_sub(ip.header_length)?.min(after_ip_header),
    };
    let content = Content::parse(&ip, dissectors)?;
    let sizes = LayerSizes {
        link,
        ip: ip.header_length,
        transport: content.header_length,
        payload: ip_payload_size.checked_sub(content.header_length)?,
    };
    let payload = &content.payload[..content.payload.len().min(sizes.payload)];
    Some(Packet {
        time: captured.time,
        sizes,
        source: ip.source,
        destination: ip.destination,
        kind: content.kind,
        payload: payload.to_vec(),
        is_truncated: captured.bytes.len() < captured.original_length,
    })
}

/// The length of the link header with its VLAN tags. Returns `None` if no IP header follows.
fn link_header_length(link_type: LinkType, bytes: &[u8]) -> Option<usize> {
    let ethernet_header = usize::from(ETHERNET_HEADER);
    let (mut ether_type, mut length) = match link_type {
        LinkType::Raw => return Some(0),
        LinkType::Null => return Some(NULL_HEADER),
        LinkType::Ethernet => (u16_at(bytes, ethernet_header - 2)?, ethernet_header),
        LinkType::Cooked => (u16_at(bytes, COOKED_HEADER - 2)?, COOKED_HEADER),
        LinkType::Cooked2 => (u16_at(bytes, 0)?, COOKED2_HEADER),
        LinkType::Other(_) => return None,
    };
    for _ in 0..MAX_VLAN_TAGS {
        if !VLAN_TAG_TYPES.contains(&ether_type) {
            break;
        }
        ether_type = u16_at(bytes, length + 2)?;
        length += VLAN_TAG;
    }
    matches!(ether_type, ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then_some(length)
}

/// Whether this is the outgoing copy of a packet on the loopback interface. A cooked capture can contain each
/// loopback packet twice: when the host sends it and when the host receives it.
fn is_second_copy(link_type: LinkType, bytes: &[u8]) -> bool {
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

/// The content of an IP packet.
struct Content<'a> {
    kind: PacketKind,
    /// The length of the header after the IP header, in bytes. 0 for a fragment.
    header_length: usize,
    payload: &'a [u8],
}

impl<'a> Content<'a> {
    fn parse(ip: &IpPacket<'a>, dissectors: Dissectors) -> Option<Self> {
        let (kind, header_length) = if ip.is_later_fragment {
            (PacketKind::Fragment { ip_protocol: ip.protocol }, 0)
        } else if let Some(error) = icmp_error(ip) {
            let quoted = quoted_packet(ip, dissectors)?;
            (PacketKind::IcmpError { error, quoted }, ICMP_HEADER)
        } else {
            let mut packet = ProtocolPacket::parse(ip, dissectors)?;
            let header_length = packet.dissector.header_len(ip.content())?;
            packet.header.truncate(header_length);
            (PacketKind::Protocol(packet), header_length)
        };
        // The capture can end within the header.
        let payload = ip.payload.get(header_length..).unwrap_or_default();
        Some(Self { kind, header_length, payload })
    }
}

impl ProtocolPacket {
    /// Finds the protocol and the ports of an IP packet. The header can be truncated.
    fn parse(ip: &IpPacket<'_>, dissectors: Dissectors) -> Option<Self> {
        let (dissector, ports) = dissectors.iter().flatten().find_map(|dissector| {
            let numbers = dissector.protocol().ip_numbers?;
            let is_candidate = numbers.for_ip(ip.source) == ip.protocol;
            let ports = is_candidate.then(|| dissector.ports(ip.content())).flatten()?;
            Some((*dissector, ports))
        })?;
        Some(Self {
            dissector,
            source: SocketAddr::new(ip.source, ports.source),
            destination: SocketAddr::new(ip.destination, ports.destination),
            header: ip.payload[..ip.payload.len().min(MAX_KEPT_HEADER)].to_vec(),
        })
    }
}

impl<'a> IpPacket<'a> {
    /// The content, for a dissector.
    fn content(&self) -> IpPayload<'a> {
        IpPayload { ip_protocol: self.protocol, bytes: self.payload }
    }
}

/// Parses the type and the code of an ICMP error. Returns `None` for other packets, for example for other ICMP messages.
fn icmp_error(ip: &IpPacket<'_>) -> Option<IcmpError> {
    let (kind, code) = (*ip.payload.first()?, *ip.payload.get(1)?);
    let is_v6 = ip.source.is_ipv6();
    let is_error = match ip.protocol {
        ICMP if !is_v6 => ICMP_ERROR_TYPES.contains(&kind),
        ICMPV6 if is_v6 => kind < ICMPV6_ERROR_TYPES_END,
        _ => false,
    };
    is_error.then_some(IcmpError { is_v6, kind, code, from: Some(ip.source) })
}

/// Parses the packet that caused an ICMP error. Its beginning follows the ICMP header. Returns `None` if its ports are
/// missing, or if its protocol is not registered.
///
/// A host receives errors only about its own packets. If the quoted packet has another source, the error is forged.
fn quoted_packet(error: &IpPacket<'_>, dissectors: Dissectors) -> Option<ProtocolPacket> {
    let quoted = IpPacket::parse(error.payload.get(ICMP_HEADER..)?)?;
    if quoted.is_later_fragment || quoted.source != error.destination {
        return None;
    }
    ProtocolPacket::parse(&quoted, dissectors)
}
