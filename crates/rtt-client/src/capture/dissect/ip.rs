//! Parses IP headers of version 4 and 6.

use crate::capture::dissector::u16_at;
use crate::model::headers::IPV6_FRAGMENT;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lengths of an IPv4 header without options and of an IPv6 header without extension headers, in bytes.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The maximum number of IPv6 extension headers in a packet. More are very unusual.
const MAX_EXTENSION_HEADERS: usize = 16;

/// An IP packet, or its captured beginning.
pub(super) struct IpPacket<'a> {
    /// The length of the header with its options or extension headers, in bytes.
    pub(super) header_length: usize,
    /// The captured payload, without the padding that Ethernet adds to short packets.
    pub(super) payload: &'a [u8],
    /// The length of the whole packet according to the header, in bytes. 0 if the header does not contain
    /// the length.
    pub(super) total_length: usize,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// The protocol number of the payload.
    pub(super) protocol: u8,
    /// Whether this is a fragment, but not the first one.
    pub(super) is_later_fragment: bool,
}

impl<'a> IpPacket<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    /// Parses the header of RFC 791, section 3.1.
    fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let header_length = usize::from(*bytes.first()? & 0x0f) * 4;
        if header_length < IPV4_HEADER {
            return None;
        }
        let total_length = usize::from(u16_at(bytes, 2)?);
        let address = |offset: usize| {
            let octets = bytes.get(offset..)?.first_chunk::<4>()?;
            Some(IpAddr::from(Ipv4Addr::from(*octets)))
        };
        Some(Self {
            header_length,
            payload: payload(bytes, header_length, total_length)?,
            total_length,
            source: address(12)?,
            destination: address(16)?,
            protocol: *bytes.get(9)?,
            is_later_fragment: u16_at(bytes, 6)? & 0x1fff > 0,
        })
    }

    /// Parses the header of RFC 8200. Extension headers can follow it.
    fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        let total_length = match usize::from(u16_at(bytes, 4)?) {
            0 => 0,
            payload_length => payload_length + IPV6_HEADER,
        };
        let address = |offset: usize| {
            let octets = bytes.get(offset..)?.first_chunk::<16>()?;
            Some(IpAddr::from(Ipv6Addr::from(*octets)))
        };
        let extensions = skip_extension_headers(bytes)?;
        let header_length = extensions.end;
        Some(Self {
            header_length,
            payload: payload(bytes, header_length, total_length)?,
            total_length,
            source: address(8)?,
            destination: address(24)?,
            protocol: extensions.next_protocol,
            is_later_fragment: extensions.is_later_fragment,
        })
    }
}

/// The facts from the extension headers of an IPv6 packet.
struct Extensions {
    /// The offset at which the payload starts, in bytes.
    end: usize,
    next_protocol: u8,
    is_later_fragment: bool,
}

/// Skips the extension headers. Each header begins with the number of the next header. A length field follows in most
/// headers. The fragment header has no length field.
fn skip_extension_headers(bytes: &[u8]) -> Option<Extensions> {
    let (mut next_protocol, mut end) = (*bytes.get(6)?, IPV6_HEADER);
    let mut is_later_fragment = false;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let length_field = || Some(usize::from(*bytes.get(end + 1)?));
        let length = match next_protocol {
            // Hop-by-hop options, routing, destination options, mobility, host identity, shim6. The length
            // field counts units of 8 bytes, without the first 8 bytes.
            0 | 43 | 60 | 135 | 139 | 140 => (length_field()? + 1) * 8,
            // The header has 8 bytes. The upper 13 bits of its bytes 2 and 3 are the offset of the fragment.
            IPV6_FRAGMENT => {
                is_later_fragment |= u16_at(bytes, end + 2)? >> 3 > 0;
                8
            }
            // Authentication header. The length field counts units of 4 bytes, without the first 8 bytes
            // (RFC 4302, section 2.2).
            51 => (length_field()? + 2) * 4,
            _ => break,
        };
        next_protocol = *bytes.get(end)?;
        end += length;
        if is_later_fragment {
            break;
        }
    }
    Some(Extensions { end, next_protocol, is_later_fragment })
}

/// The captured payload after a header of `header_length` bytes. If `total_length` is 0, the payload ends
/// with the captured bytes.
fn payload(bytes: &[u8], header_length: usize, total_length: usize) -> Option<&[u8]> {
    let end = if total_length == 0 { bytes.len() } else { total_length.min(bytes.len()) };
    bytes.get(header_length..end)
}
