//! What is in a captured packet: its layers and their lengths, who sent it to whom, and what it says. Pure; the
//! packet may be anybody's, so every byte is looked for before it is read.

use crate::capture::file::{CapturedPacket, LinkType};
use crate::model::icmp::IcmpError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The lengths of headers, in bytes: Ethernet's and a tag's in it, those of cooked captures and of BSD's loopback,
/// IP's, TCP's and ICMP's without options, UDP's.
const ETHERNET: usize = 14;
const TAG: usize = 4;
const COOKED: usize = 16;
const COOKED2: usize = 20;
const NULL: usize = 4;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const TCP: usize = 20;
const ICMP: usize = 8;

/// The most tags and extension headers that are looked behind: nobody has more in earnest.
const MOST_TAGS: usize = 4;
const MOST_EXTENSIONS: usize = 16;

/// A packet of UDP, TCP or ICMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    /// How many bytes each layer has on the wire.
    pub(crate) sizes: HeaderSizes,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) what: PacketKind,
    /// What of the payload was captured.
    pub(crate) payload: Vec<u8>,
    /// Whether less was captured than there was.
    pub(crate) is_truncated: bool,
}

/// How many bytes of a packet are whose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HeaderSizes {
    pub(crate) link: usize,
    pub(crate) ip: usize,
    pub(crate) transport: usize,
    pub(crate) payload: usize,
}

impl HeaderSizes {
    pub(crate) fn total(self) -> usize {
        self.link + self.ip + self.transport + self.payload
    }
}

/// What a packet is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketKind {
    Udp,
    Tcp(Segment),
    /// An ICMP error about a packet of that protocol's number from `from` to `to`.
    Icmp {
        icmp: IcmpError,
        protocol: u8,
        from: SocketAddr,
        to: SocketAddr,
    },
    /// A piece of a packet that is not the first; it has no ports.
    Fragment {
        protocol: u8,
    },
}

/// What TCP's header says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags are TCP's own")]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// What is in `captured`, if it is of UDP, TCP or an ICMP error about these.
pub(crate) fn dissect(captured: &CapturedPacket) -> Option<Packet> {
    let bytes = &captured.bytes[..];
    if is_a_second_sight(captured.link, bytes) {
        return None;
    }
    let link = link_header(captured.link, bytes)?;
    let ip = Ip::of(bytes.get(link..)?)?;
    let header = ip.header;
    let sizes = HeaderSizes { link, ip: header, ..HeaderSizes::default() };
    // A length of 0 is what a packet has whose length the network card was to fill in.
    let rest = match ip.length {
        0 => captured.original.checked_sub(link + header)?,
        length => length.checked_sub(header)?,
    };
    let packet = |sizes: HeaderSizes, from: u16, to: u16, what, payload: &[u8]| Packet {
        time: captured.time,
        sizes,
        from: SocketAddr::new(ip.from, from),
        to: SocketAddr::new(ip.to, to),
        what,
        payload: payload[..payload.len().min(sizes.payload)].to_vec(),
        is_truncated: captured.bytes.len() < captured.original,
    };
    if ip.is_later_fragment {
        let (sizes, what) = (
            HeaderSizes { payload: rest, ..sizes },
            PacketKind::Fragment { protocol: ip.protocol },
        );
        return Some(packet(sizes, 0, 0, what, ip.payload));
    }
    let layers = |transport: usize| {
        Some(HeaderSizes { transport, payload: rest.checked_sub(transport)?, ..sizes })
    };
    let port = |at| u16_at(ip.payload, at);
    match ip.protocol {
        17 => {
            let payload = ip.payload.get(UDP..)?;
            Some(packet(layers(UDP)?, port(0)?, port(2)?, PacketKind::Udp, payload))
        }
        6 => {
            let (segment, header) = segment(ip.payload)?;
            // Its options may have been cut off with the rest.
            let payload = ip.payload.get(header..).unwrap_or_default();
            Some(packet(layers(header)?, port(0)?, port(2)?, PacketKind::Tcp(segment), payload))
        }
        1 | 58 => {
            let what = error(&ip)?;
            Some(packet(layers(ICMP)?, 0, 0, what, ip.payload.get(ICMP..)?))
        }
        _ => None,
    }
}

/// Whether a cooked capture shows a packet of the loopback interface as it leaves: it shows it once more as it
/// arrives (packet(7), `PACKET_OUTGOING`; `ARPHRD_LOOPBACK`).
fn is_a_second_sight(link: LinkType, bytes: &[u8]) -> bool {
    const OUTGOING: u16 = 4;
    const LOOPBACK: u16 = 772;
    let (direction, kind) = match link {
        LinkType::Cooked => (u16_at(bytes, 0), u16_at(bytes, 2)),
        LinkType::Cooked2 => (bytes.get(10).map(|kind| u16::from(*kind)), u16_at(bytes, 8)),
        _ => return false,
    };
    direction == Some(OUTGOING) && kind == Some(LOOPBACK)
}

/// How long the link's header is, tags of virtual LANs included (IEEE 802.1Q), where IP is behind it.
fn link_header(link: LinkType, bytes: &[u8]) -> Option<usize> {
    let (mut kind, mut header) = match link {
        LinkType::Raw => return Some(0),
        LinkType::Null => return Some(NULL),
        LinkType::Ethernet => (u16_at(bytes, ETHERNET - 2)?, ETHERNET),
        LinkType::Cooked => (u16_at(bytes, COOKED - 2)?, COOKED),
        LinkType::Cooked2 => (u16_at(bytes, 0)?, COOKED2),
        LinkType::Other(_) => return None,
    };
    for _ in 0..MOST_TAGS {
        if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        kind = u16_at(bytes, header + 2)?;
        header += TAG;
    }
    matches!(kind, 0x0800 | 0x86dd).then_some(header)
}

/// What matters of an IP header of either version.
struct Ip<'a> {
    /// How long it is, with what stands between it and the payload, in bytes.
    header: usize,
    /// What of the payload is there; what a link adds behind it is left out.
    payload: &'a [u8],
    /// How long the whole packet is, as the header tells it; 0 where it leaves that open.
    length: usize,
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    is_later_fragment: bool,
}

impl<'a> Ip<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::of_v4(bytes),
            6 => Self::of_v6(bytes),
            _ => None,
        }
    }

    /// RFC 791.
    fn of_v4(bytes: &'a [u8]) -> Option<Self> {
        let header = usize::from(*bytes.first()? & 0x0f) * 4;
        let length = usize::from(u16_at(bytes, 2)?);
        let address =
            |at: usize| Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?).into());
        let (from, to) = (address(12)?, address(16)?);
        let payload = payload(bytes, header, length)?;
        (header >= IPV4).then_some(Self {
            header,
            payload,
            length,
            from,
            to,
            protocol: *bytes.get(9)?,
            is_later_fragment: u16_at(bytes, 6)? & 0x1fff > 0,
        })
    }

    /// RFC 8200: extension headers stand between the header and the payload.
    fn of_v6(bytes: &'a [u8]) -> Option<Self> {
        let length = match usize::from(u16_at(bytes, 4)?) {
            0 => 0,
            length => length + IPV6,
        };
        let address =
            |at: usize| Some(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?).into());
        let (mut protocol, mut header) = (*bytes.get(6)?, IPV6);
        let mut is_later_fragment = false;
        for _ in 0..MOST_EXTENSIONS {
            let blocks = || Some(usize::from(*bytes.get(header + 1)?));
            let extension = match protocol {
                // Options, routing, mobility, host identity, shim6.
                0 | 43 | 60 | 135 | 139 | 140 => (blocks()? + 1) * 8,
                44 => {
                    is_later_fragment |= u16_at(bytes, header + 2)? >> 3 > 0;
                    8
                }
                // Authentication counts otherwise (RFC 4302).
                51 => (blocks()? + 2) * 4,
                _ => break,
            };
            protocol = *bytes.get(header)?;
            header += extension;
            if is_later_fragment {
                break;
            }
        }
        Some(Self {
            header,
            payload: payload(bytes, header, length)?,
            length,
            from: address(8)?,
            to: address(24)?,
            protocol,
            is_later_fragment,
        })
    }
}

/// What of the payload is there, of a packet of so many bytes, or of as many as there are.
fn payload(bytes: &[u8], header: usize, length: usize) -> Option<&[u8]> {
    let end = if length == 0 { bytes.len() } else { length.min(bytes.len()) };
    bytes.get(header..end)
}

/// What an ICMP message says, if it is an error about UDP or TCP.
fn error(message: &Ip<'_>) -> Option<PacketKind> {
    let (kind, code) = (*message.payload.first()?, *message.payload.get(1)?);
    let is_v6 = message.protocol == 58;
    let is_error = if is_v6 { kind < 128 } else { matches!(kind, 3 | 11 | 12) };
    let quoted = Ip::of(message.payload.get(ICMP..)?)?;
    let is_about_us = matches!(quoted.protocol, 6 | 17) && !quoted.is_later_fragment;
    let icmp = IcmpError { is_v6, kind, code, from: Some(message.from) };
    (is_error && is_about_us).then_some(PacketKind::Icmp {
        icmp,
        protocol: quoted.protocol,
        from: SocketAddr::new(quoted.from, u16_at(quoted.payload, 0)?),
        to: SocketAddr::new(quoted.to, u16_at(quoted.payload, 2)?),
    })
}

/// What a TCP header says, and how long it is.
fn segment(bytes: &[u8]) -> Option<(Segment, usize)> {
    let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let header = usize::from(*bytes.get(12)? >> 4) * 4;
    let flags = *bytes.get(13)?;
    let flag = |bit: u8| flags & bit != 0;
    let segment = Segment {
        sequence: word(4)?,
        acknowledged: word(8)?,
        fin: flag(1),
        syn: flag(2),
        rst: flag(4),
        ack: flag(16),
    };
    (header >= TCP).then_some((segment, header))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests;
