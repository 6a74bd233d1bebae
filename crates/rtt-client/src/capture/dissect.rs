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

use crate::capture::file::{CapturedPacket, LinkType};
use crate::model::headers::{
    ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ICMP, ICMP_ERROR_TYPES, ICMPV6, TCP, UDP,
};
use crate::model::icmp::IcmpError;
use ip::IpPacket;
use std::net::SocketAddr;
use std::time::Duration;

/// Lengths of link headers, in bytes.
const VLAN_TAG: usize = 4;
const COOKED_HEADER: usize = 16;
const COOKED2_HEADER: usize = 20;
const NULL_HEADER: usize = 4;

/// Lengths of headers after the IP header, in bytes. A TCP header with options is longer.
const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;

/// The maximum number of VLAN tags (IEEE 802.1Q) in a packet. One or two are usual.
const MAX_VLAN_TAGS: usize = 4;

/// `EtherType` values that identify a VLAN tag. The first two are from IEEE 802.1Q. Older switches also use
/// 0x9100.
const VLAN_TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// The types of `ICMPv6` errors are below this number (RFC 4443, section 2.1).
const ICMPV6_ERROR_TYPES_END: u8 = 128;

/// A UDP datagram, a TCP segment, an ICMP error about one of these, or an IP fragment that is not the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The time since 1970-01-01 00:00 UTC.
    pub(crate) time: Duration,
    pub(crate) sizes: LayerSizes,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
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
    /// The header of UDP, TCP or ICMP.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketKind {
    Udp,
    Tcp(TcpHeader),
    /// An ICMP error. It contains the beginning of the packet that caused it.
    Icmp {
        error: IcmpError,
        quoted: Endpoints,
    },
    /// A fragment of an IP packet, but not the first one. It has no ports.
    Fragment {
        ip_protocol: u8,
    },
}

/// The protocol, the source and the destination of a UDP datagram or a TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// The protocol number in the IP header.
    pub(crate) ip_protocol: u8,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

impl Endpoints {
    pub(crate) fn of(packet: &Packet, ip_protocol: u8) -> Self {
        Self { ip_protocol, source: packet.source, destination: packet.destination }
    }
}

/// The fields of a TCP header that the analysis uses (RFC 9293, section 3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the TCP header")]
pub(crate) struct TcpHeader {
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// Dissects a packet. Returns `None` if [`Packet`] does not describe this kind of packet, or if a header is
/// incomplete or invalid. Also returns `None` for the outgoing copy of a loopback packet.
pub(crate) fn dissect(captured: &CapturedPacket) -> Option<Packet> {
    let bytes = &captured.bytes[..];
    if is_second_copy(captured.link_type, bytes) {
        return None;
    }
    let link = link_header_length(captured.link_type, bytes)?;
    let ip = IpPacket::parse(bytes.get(link..)?)?;
    let ip_payload_size = match ip.total_length {
        // With segmentation offload, the captured header can have no length: the network card writes it later.
        0 => captured.original_length.checked_sub(link + ip.header_length)?,
        length => length.checked_sub(ip.header_length)?,
    };
    let transport = Transport::parse(&ip)?;
    let sizes = LayerSizes {
        link,
        ip: ip.header_length,
        transport: transport.header_length,
        payload: ip_payload_size.checked_sub(transport.header_length)?,
    };
    let payload = &transport.payload[..transport.payload.len().min(sizes.payload)];
    Some(Packet {
        time: captured.time,
        sizes,
        source: SocketAddr::new(ip.source, transport.ports.source),
        destination: SocketAddr::new(ip.destination, transport.ports.destination),
        kind: transport.kind,
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
struct Transport<'a> {
    kind: PacketKind,
    header_length: usize,
    ports: Ports,
    payload: &'a [u8],
}

/// The ports of a packet. They are 0 for ICMP and for a fragment that is not the first.
#[derive(Clone, Copy, Default)]
struct Ports {
    source: u16,
    destination: u16,
}

impl<'a> Transport<'a> {
    fn parse(ip: &IpPacket<'a>) -> Option<Self> {
        let without_ports = |kind, header_length| {
            let payload = ip.payload.get(header_length..)?;
            Some(Self { kind, header_length, ports: Ports::default(), payload })
        };
        if ip.is_later_fragment {
            return without_ports(PacketKind::Fragment { ip_protocol: ip.protocol }, 0);
        }
        match ip.protocol {
            UDP => Some(Self {
                kind: PacketKind::Udp,
                header_length: UDP_HEADER,
                ports: Ports::parse(ip.payload)?,
                payload: ip.payload.get(UDP_HEADER..)?,
            }),
            TCP => Some(Self {
                kind: PacketKind::Tcp(tcp_header(ip.payload)?),
                header_length: tcp_header_length(ip.payload)?,
                ports: Ports::parse(ip.payload)?,
                // The capture can end within the options. The fixed part of the header is sufficient.
                payload: ip.payload.get(tcp_header_length(ip.payload)?..).unwrap_or_default(),
            }),
            ICMP | ICMPV6 => without_ports(icmp_error(ip)?, ICMP_HEADER),
            _ => None,
        }
    }
}

impl Ports {
    /// The ports are the first fields of a UDP header and of a TCP header.
    fn parse(transport: &[u8]) -> Option<Self> {
        Some(Self { source: u16_at(transport, 0)?, destination: u16_at(transport, 2)? })
    }
}

/// The length of a TCP header with its options, in bytes.
fn tcp_header_length(bytes: &[u8]) -> Option<usize> {
    let length = usize::from(*bytes.get(12)? >> 4) * 4;
    (length >= TCP_HEADER).then_some(length)
}

fn tcp_header(bytes: &[u8]) -> Option<TcpHeader> {
    let u32_at = |offset: usize| Some(u32::from_be_bytes(*bytes.get(offset..)?.first_chunk()?));
    let flags = *bytes.get(13)?;
    let has_flag = |bit: u8| flags & bit != 0;
    Some(TcpHeader {
        sequence: u32_at(4)?,
        acknowledgement: u32_at(8)?,
        fin: has_flag(0x01),
        syn: has_flag(0x02),
        rst: has_flag(0x04),
        ack: has_flag(0x10),
    })
}

/// Parses an ICMP error about a UDP or TCP packet. The beginning of that packet follows the ICMP header.
/// Returns `None` for other ICMP messages.
fn icmp_error(ip: &IpPacket<'_>) -> Option<PacketKind> {
    let (kind, code) = (*ip.payload.first()?, *ip.payload.get(1)?);
    let is_v6 = ip.protocol == ICMPV6;
    let is_error =
        if is_v6 { kind < ICMPV6_ERROR_TYPES_END } else { ICMP_ERROR_TYPES.contains(&kind) };
    let quoted = IpPacket::parse(ip.payload.get(ICMP_HEADER..)?)?;
    let has_ports = matches!(quoted.protocol, TCP | UDP) && !quoted.is_later_fragment;
    let ports = Ports::parse(quoted.payload)?;
    (is_error && has_ports).then_some(PacketKind::Icmp {
        error: IcmpError { is_v6, kind, code, from: Some(ip.source) },
        quoted: Endpoints {
            ip_protocol: quoted.protocol,
            source: SocketAddr::new(quoted.source, ports.source),
            destination: SocketAddr::new(quoted.destination, ports.destination),
        },
    })
}

/// The 16-bit integer at `offset`, in network byte order.
fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}
