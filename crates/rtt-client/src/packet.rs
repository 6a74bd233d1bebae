//! What is in a captured packet: its layers and their lengths, who sent it to whom, and what it says. Pure; the
//! packet may be anybody's.

use crate::capture_file::{Captured, Link};
use crate::icmp::Icmp;
use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The lengths of the headers that cooked captures have, of BSD's loopback, of UDP's; of TCP's and ICMP's
/// without options.
const COOKED: usize = 16;
const COOKED2: usize = 20;
const NULL: usize = 4;
const UDP: usize = 8;
const TCP: usize = 20;
const ICMP: usize = 8;

/// A packet of UDP, TCP or ICMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    /// How many bytes each layer has on the wire.
    pub(crate) sizes: Sizes,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) what: What,
    /// What of the payload was captured.
    pub(crate) payload: Vec<u8>,
    /// Whether less was captured than there was.
    pub(crate) is_cut: bool,
}

/// How many bytes of a packet are whose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) link: usize,
    pub(crate) ip: usize,
    pub(crate) transport: usize,
    pub(crate) payload: usize,
}

impl Sizes {
    pub(crate) fn total(self) -> usize {
        self.link + self.ip + self.transport + self.payload
    }
}

/// What a packet is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Udp,
    Tcp(Segment),
    /// An ICMP error about a packet of that protocol's number from `from` to `to`.
    Icmp {
        icmp: Icmp,
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
pub(crate) fn dissect(captured: &Captured) -> Option<Packet> {
    let bytes = &captured.bytes[..];
    let sliced = match captured.link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(bytes).ok()?,
        Link::Raw => LaxSlicedPacket::from_ip(bytes).ok()?,
        Link::Null => LaxSlicedPacket::from_ip(bytes.get(NULL..)?).ok()?,
        Link::Cooked => {
            LaxSlicedPacket::from_ether_type(ether_type(bytes, 14)?, bytes.get(COOKED..)?)
        }
        Link::Cooked2 => {
            LaxSlicedPacket::from_ether_type(ether_type(bytes, 0)?, bytes.get(COOKED2..)?)
        }
        Link::Other(_) => return None,
    };
    let ip = Ip::of(sliced.net.as_ref()?)?;
    let link = offset(bytes, ip.header)?;
    let header = offset(ip.header, ip.payload)?;
    let sizes = Sizes { link, ip: header, ..Sizes::default() };
    // A length of 0 is what a packet has whose length the network card was to fill in.
    let rest = match ip.length {
        0 => captured.original.checked_sub(link + header)?,
        length => length.checked_sub(header)?,
    };
    let packet = |sizes: Sizes, from: u16, to: u16, what, payload: &[u8]| Packet {
        time: captured.time,
        sizes,
        from: SocketAddr::new(ip.from, from),
        to: SocketAddr::new(ip.to, to),
        what,
        payload: payload[..payload.len().min(sizes.payload)].to_vec(),
        is_cut: captured.bytes.len() < captured.original,
    };
    if ip.is_later_fragment {
        let (sizes, what) =
            (Sizes { payload: rest, ..sizes }, What::Fragment { protocol: ip.protocol });
        return Some(packet(sizes, 0, 0, what, ip.payload));
    }
    let layers = |transport: usize| {
        Some(Sizes { transport, payload: rest.checked_sub(transport)?, ..sizes })
    };
    let port = |at| u16_at(ip.payload, at);
    match ip.protocol {
        17 => {
            let payload = ip.payload.get(UDP..)?;
            Some(packet(layers(UDP)?, port(0)?, port(2)?, What::Udp, payload))
        }
        6 => {
            let (segment, header) = segment(ip.payload)?;
            // Its options may have been cut off with the rest.
            let payload = ip.payload.get(header..).unwrap_or_default();
            Some(packet(layers(header)?, port(0)?, port(2)?, What::Tcp(segment), payload))
        }
        1 | 58 => {
            let what = error(&ip)?;
            Some(packet(layers(ICMP)?, 0, 0, what, ip.payload.get(ICMP..)?))
        }
        _ => None,
    }
}

/// What matters of an IP header of either version.
struct Ip<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    /// Of the whole packet, as the header tells it.
    length: usize,
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    is_later_fragment: bool,
}

impl<'a> Ip<'a> {
    fn of(net: &'a LaxNetSlice<'a>) -> Option<Self> {
        Some(match net {
            LaxNetSlice::Ipv4(ip) => Self {
                header: ip.header().slice(),
                payload: ip.payload().payload,
                length: ip.header().total_len().into(),
                from: ip.header().source_addr().into(),
                to: ip.header().destination_addr().into(),
                protocol: ip.payload().ip_number.0,
                is_later_fragment: ip.header().fragments_offset().value() > 0,
            },
            LaxNetSlice::Ipv6(ip) => {
                let length = match ip.header().payload_length() {
                    0 => 0,
                    length => usize::from(length) + 40,
                };
                Self {
                    header: ip.header().slice(),
                    payload: ip.payload().payload,
                    length,
                    from: ip.header().source_addr().into(),
                    to: ip.header().destination_addr().into(),
                    protocol: ip.payload().ip_number.0,
                    is_later_fragment: ip.extensions().clone().into_iter().any(|extension| {
                        matches!(extension, etherparse::Ipv6ExtensionSlice::Fragment(fragment)
                            if fragment.fragment_offset().value() > 0)
                    }),
                }
            }
            LaxNetSlice::Arp(_) => return None,
        })
    }
}

/// What an ICMP message says, if it is an error about UDP or TCP.
fn error(message: &Ip<'_>) -> Option<What> {
    let (kind, code) = (*message.payload.first()?, *message.payload.get(1)?);
    let is_v6 = message.protocol == 58;
    let is_error = if is_v6 { kind < 128 } else { matches!(kind, 3 | 11 | 12) };
    let quoted = LaxSlicedPacket::from_ip(message.payload.get(ICMP..)?).ok()?;
    let quoted = Ip::of(quoted.net.as_ref()?)?;
    let is_about_us = matches!(quoted.protocol, 6 | 17) && !quoted.is_later_fragment;
    let icmp = Icmp { is_v6, kind, code, from: Some(message.from) };
    (is_error && is_about_us).then_some(What::Icmp {
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

fn ether_type(bytes: &[u8], at: usize) -> Option<EtherType> {
    Some(EtherType(u16_at(bytes, at)?))
}

/// How far `part` begins behind the beginning of `whole`, whose part it is.
fn offset(whole: &[u8], part: &[u8]) -> Option<usize> {
    (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)
}

#[cfg(test)]
mod tests;
