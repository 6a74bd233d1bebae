//! Dissects a captured packet: its layers and their sizes, its addresses, and its payload.
//!
//! A packet can come from any host, so its content is treated as hostile. Every byte is read through a bounds check, and
//! a packet that ends too early gives `None`. There is no `unsafe` code.
//!
//! # Why this is our own code
//!
//! An earlier version used `etherparse` 0.21. The fuzz target (`fuzz/fuzz_targets/capture.rs`) found undefined behaviour
//! in it within seconds: an IPv6 extension header with a length beyond the packet made it read beyond the slice.

mod ip;
mod link;
#[cfg(test)]
mod tests;

use crate::capture::file::CapturedPacket;
use crate::model::icmp::IcmpError;
use ip::IpPacket;
use std::net::SocketAddr;
use std::time::Duration;

/// Protocol numbers in the IP header (IANA "Protocol Numbers").
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// Header lengths, in bytes. The TCP header can be longer, because it has options.
const UDP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;

/// A UDP datagram, a TCP segment, an ICMP error about one of these, or a later IP fragment.
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

/// The size of each layer on the wire, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LayerSizes {
    pub(crate) link: usize,
    pub(crate) ip: usize,
    pub(crate) transport: usize,
    pub(crate) payload: usize,
}

impl LayerSizes {
    pub(crate) fn total(self) -> usize {
        self.link + self.ip + self.transport + self.payload
    }
}

/// The kind of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketKind {
    Udp,
    Tcp(TcpHeader),
    /// An ICMP error. It quotes the packet that caused it.
    Icmp {
        error: IcmpError,
        quoted: Endpoints,
    },
    /// A fragment of an IP packet other than the first one. It has no ports.
    Fragment {
        ip_protocol: u8,
    },
}

/// The IP protocol number, the source and the destination of a packet with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoints {
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

/// Dissects a packet. The result is `None` for other protocols, for packets whose headers are not completely captured,
/// and for the second copy of a loopback packet.
pub(crate) fn dissect(captured: &CapturedPacket) -> Option<Packet> {
    let bytes = &captured.bytes[..];
    if link::is_second_copy(captured.link_type, bytes) {
        return None;
    }
    let link = link::header_length(captured.link_type, bytes)?;
    let ip = IpPacket::parse(bytes.get(link..)?)?;
    let ip_payload_size = match ip.total_length {
        // With segmentation offload, the network card fills in the length after the capture.
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
        source: SocketAddr::new(ip.source, transport.source_port),
        destination: SocketAddr::new(ip.destination, transport.destination_port),
        kind: transport.kind,
        payload: payload.to_vec(),
        is_truncated: captured.bytes.len() < captured.original_length,
    })
}

/// The content of an IP packet.
struct Transport<'a> {
    kind: PacketKind,
    header_length: usize,
    /// 0 for ICMP and for later fragments.
    source_port: u16,
    destination_port: u16,
    payload: &'a [u8],
}

impl<'a> Transport<'a> {
    fn parse(ip: &IpPacket<'a>) -> Option<Self> {
        let without_ports = |kind, header_length| {
            let payload = ip.payload.get(header_length..)?;
            Some(Self { kind, header_length, source_port: 0, destination_port: 0, payload })
        };
        if ip.is_later_fragment {
            return without_ports(PacketKind::Fragment { ip_protocol: ip.protocol }, 0);
        }
        match ip.protocol {
            UDP => {
                let payload = ip.payload.get(UDP_HEADER..)?;
                Self::with_ports(ip, PacketKind::Udp, UDP_HEADER, payload)
            }
            TCP => {
                let (header, header_length) = tcp_header(ip.payload)?;
                // The capture can end within the options. The fixed part of the header is sufficient.
                let payload = ip.payload.get(header_length..).unwrap_or_default();
                Self::with_ports(ip, PacketKind::Tcp(header), header_length, payload)
            }
            ICMP | ICMPV6 => without_ports(icmp_error(ip)?, ICMP_HEADER),
            _ => None,
        }
    }

    fn with_ports(
        ip: &IpPacket<'a>,
        kind: PacketKind,
        header_length: usize,
        payload: &'a [u8],
    ) -> Option<Self> {
        let (source_port, destination_port) = ports(ip.payload)?;
        Some(Self { kind, header_length, source_port, destination_port, payload })
    }
}

/// Source and destination port: the first fields of UDP and of TCP.
fn ports(transport: &[u8]) -> Option<(u16, u16)> {
    Some((u16_at(transport, 0)?, u16_at(transport, 2)?))
}

/// The TCP header and its length in bytes.
fn tcp_header(bytes: &[u8]) -> Option<(TcpHeader, usize)> {
    let u32_at = |offset: usize| Some(u32::from_be_bytes(*bytes.get(offset..)?.first_chunk()?));
    let length = usize::from(*bytes.get(12)? >> 4) * 4;
    let flags = *bytes.get(13)?;
    let has_flag = |bit: u8| flags & bit != 0;
    let header = TcpHeader {
        sequence: u32_at(4)?,
        acknowledgement: u32_at(8)?,
        fin: has_flag(0x01),
        syn: has_flag(0x02),
        rst: has_flag(0x04),
        ack: has_flag(0x10),
    };
    (length >= TCP_HEADER).then_some((header, length))
}

/// An ICMP message, if it is an error about a UDP or TCP packet. The quoted packet follows the ICMP header.
fn icmp_error(ip: &IpPacket<'_>) -> Option<PacketKind> {
    let (kind, code) = (*ip.payload.first()?, *ip.payload.get(1)?);
    let is_v6 = ip.protocol == ICMPV6;
    // ICMPv6 reserves the types below 128 for errors (RFC 4443). For IPv4: destination unreachable, time exceeded, and
    // parameter problem (RFC 792).
    let is_error = if is_v6 { kind < 128 } else { matches!(kind, 3 | 11 | 12) };
    let quoted = IpPacket::parse(ip.payload.get(ICMP_HEADER..)?)?;
    let has_ports = matches!(quoted.protocol, TCP | UDP) && !quoted.is_later_fragment;
    let (source_port, destination_port) = ports(quoted.payload)?;
    (is_error && has_ports).then_some(PacketKind::Icmp {
        error: IcmpError { is_v6, kind, code, from: Some(ip.source) },
        quoted: Endpoints {
            ip_protocol: quoted.protocol,
            source: SocketAddr::new(quoted.source, source_port),
            destination: SocketAddr::new(quoted.destination, destination_port),
        },
    })
}

/// The 16-bit integer at `offset`, in network byte order.
fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}
