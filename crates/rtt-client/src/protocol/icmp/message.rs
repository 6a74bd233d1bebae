//! ICMP echo messages: writes requests, and parses replies and quoted requests (pure).
//!
//! An echo message has a header of eight bytes and a payload (RFC 792; RFC 4443, sections 4.1 and 4.2):
//!
//! | bytes | field |
//! |---|---|
//! | 0 | type |
//! | 1 | code, always 0 |
//! | 2–3 | checksum |
//! | 4–5 | identifier: the same for all requests of a socket |
//! | 6–7 | sequence number |

use super::facts::{ECHO_V4, ECHO_V6, EchoTypes, HEADER_LEN, IDENTIFIER, SEQUENCE};
use std::net::SocketAddr;

/// The length of the shortest IPv4 header, in bytes (RFC 791).
const MIN_IPV4_HEADER: usize = 20;

/// The position of the TTL in an IPv4 header.
const IPV4_TTL: usize = 8;

/// The two versions of ICMP. Their messages have the same format and different types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    /// The version for a peer.
    pub(super) fn for_address(peer: SocketAddr) -> Self {
        if peer.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The types of its echo messages.
    pub(super) fn types(self) -> EchoTypes {
        match self {
            Self::V4 => ECHO_V4,
            Self::V6 => ECHO_V6,
        }
    }
}

/// The fields that identify an echo message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EchoId {
    pub(super) identifier: u16,
    pub(super) sequence: u16,
}

/// The content of a received packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// An echo reply with the identifier of this socket.
    Reply { sequence: u16, payload: &'a [u8] },
    /// An echo request. A raw socket also receives the requests to this host, for example its own on loopback.
    Request,
    /// Any other message.
    Other,
}

/// A request that an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QuotedRequest<'a> {
    pub(super) id: EchoId,
    /// The quoted part of the payload.
    pub(super) payload: &'a [u8],
}

/// A packet from a socket: the ICMP message, and the TTL if the packet has an IPv4 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) message: &'a [u8],
    pub(super) ttl: Option<u8>,
}

/// Writes an echo request to `buffer`. The kernel computes the checksum of `ICMPv6`, because it includes the IPv6
/// addresses.
pub(super) fn write_request(buffer: &mut Vec<u8>, version: Version, id: EchoId, payload: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(&[version.types().request, 0, 0, 0]);
    buffer.extend_from_slice(&id.identifier.to_be_bytes());
    buffer.extend_from_slice(&id.sequence.to_be_bytes());
    buffer.extend_from_slice(payload);
    if version == Version::V4 {
        let checksum = checksum(buffer);
        buffer[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Removes the IPv4 header, if there is one. A raw socket returns it with each packet. On some systems, a ping socket
/// does too. The first byte of such a header is 0x45 or larger, and no echo message has this type. Returns `None` if
/// the header is malformed.
pub(super) fn without_ip_header(version: Version, packet: &[u8]) -> Option<Packet<'_>> {
    let first = *packet.first()?;
    if version == Version::V6 || first >> 4 != 4 {
        return Some(Packet { message: packet, ttl: None });
    }
    let header_len = usize::from(first & 0x0f) * 4;
    if header_len < MIN_IPV4_HEADER {
        return None;
    }
    let (header, message) = packet.split_at_checked(header_len)?;
    Some(Packet { message, ttl: Some(header[IPV4_TTL]) })
}

/// Parses a received message. `identifier` is the identifier of this socket.
pub(super) fn parse(version: Version, identifier: u16, message: &[u8]) -> Message<'_> {
    let Some((kind, id, payload)) = header(message) else { return Message::Other };
    if kind == version.types().request {
        Message::Request
    } else if kind == version.types().reply && id.identifier == identifier {
        Message::Reply { sequence: id.sequence, payload }
    } else {
        Message::Other
    }
}

/// Parses the quote of an ICMP error. Returns `None` if it is shorter than a header, or if it is not a request.
pub(super) fn parse_quote(version: Version, quote: &[u8]) -> Option<QuotedRequest<'_>> {
    let (kind, id, payload) = header(quote)?;
    (kind == version.types().request).then_some(QuotedRequest { id, payload })
}

/// Whether the checksum of an IPv4 message is correct.
pub(super) fn has_correct_checksum(message: &[u8]) -> bool {
    // The checksum of a message with its checksum is 0.
    checksum(message) == 0
}

/// The type, the identification and the payload of an echo message. `None` if the message is too short, or its code is
/// not 0.
fn header(message: &[u8]) -> Option<(u8, EchoId, &[u8])> {
    let (header, payload) = message.split_first_chunk::<HEADER_LEN>()?;
    let [kind, code, ..] = *header;
    let field = |at: u8| Some(u16::from_be_bytes(*header[usize::from(at)..].first_chunk()?));
    let id = EchoId { identifier: field(IDENTIFIER)?, sequence: field(SEQUENCE)? };
    (code == 0).then_some((kind, id, payload))
}

/// The Internet checksum (RFC 1071) of a message.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    // A message has at most 32,768 words, so the sum has at most 31 bits.
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    #[expect(clippy::cast_possible_truncation, reason = "after folding, the sum has 16 bits")]
    let sum = folded as u16;
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: EchoId = EchoId { identifier: 0x1234, sequence: 2 };

    /// The reply to a request of `version`.
    fn reply(version: Version, id: EchoId, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        write_request(&mut message, version, id, payload);
        message[0] = version.types().reply;
        message
    }

    /// An IPv4 header with options (24 bytes) and this TTL.
    fn ipv4_header(ttl: u8) -> [u8; 24] {
        let mut header = [0; 24];
        (header[0], header[IPV4_TTL]) = (0x46, ttl);
        header
    }

    #[test]
    fn request_has_the_checksum_of_a_known_packet() {
        // Captured from `ping -c 1 -s 11 -p 61 -e 4660` (iputils): eleven times the letter a.
        let mut message = Vec::new();
        let id = EchoId { identifier: 0x1234, sequence: 1 };
        write_request(&mut message, Version::V4, id, &[b'a'; 11]);
        assert_eq!(message[..HEADER_LEN], [8, 0, 0x9d, 0xe3, 0x12, 0x34, 0, 1]);
        // RFC 1071, section 3: the sum of these bytes is 0xddf2.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&vec![0xff; 65_515]), !0xff00);
        // The kernel computes the checksum of ICMPv6.
        write_request(&mut message, Version::V6, id, b"a");
        assert_eq!(message, [128, 0, 0, 0, 0x12, 0x34, 0, 1, b'a']);
    }

    #[test]
    fn reply_with_the_identifier_of_the_socket_is_accepted() {
        for version in [Version::V4, Version::V6] {
            for payload in [&b"hello"[..], b""] {
                let message = reply(version, ID, payload);
                let expected = Message::Reply { sequence: 2, payload };
                assert_eq!(parse(version, ID.identifier, &message), expected);
            }
        }
    }

    #[test]
    fn other_messages_are_not_replies() {
        for version in [Version::V4, Version::V6] {
            let message = reply(version, ID, b"hello");
            assert_eq!(parse(version, ID.identifier ^ 1, &message), Message::Other);
            let other_version = if version == Version::V4 { Version::V6 } else { Version::V4 };
            assert_eq!(parse(other_version, ID.identifier, &message), Message::Other);
            for len in 0..HEADER_LEN {
                assert_eq!(parse(version, ID.identifier, &message[..len]), Message::Other);
            }
            let code = [&[message[0], 1], &message[2..]].concat();
            assert_eq!(parse(version, ID.identifier, &code), Message::Other);
            let request = [&[version.types().request], &message[1..]].concat();
            assert_eq!(parse(version, ID.identifier, &request), Message::Request);
            let unreachable = [&[3], &message[1..]].concat();
            assert_eq!(parse(version, ID.identifier, &unreachable), Message::Other);
        }
    }

    #[test]
    fn ipv4_header_is_removed_and_its_ttl_is_kept() {
        let message = reply(Version::V4, ID, b"hello");
        let packet = [&ipv4_header(61)[..], &message].concat();
        let expected = Packet { message: &message, ttl: Some(61) };
        assert_eq!(without_ip_header(Version::V4, &packet), Some(expected));
        // A ping socket returns no header, and IPv6 never does.
        for version in [Version::V4, Version::V6] {
            let message = reply(version, ID, b"hello");
            let expected = Packet { message: &message, ttl: None };
            assert_eq!(without_ip_header(version, &message), Some(expected));
        }
    }

    #[test]
    fn malformed_ipv4_header_is_rejected() {
        let header = ipv4_header(61);
        for len in 0..header.len() {
            assert_eq!(without_ip_header(Version::V4, &header[..len]), None, "{len}");
        }
        let mut too_short = header;
        too_short[0] = 0x44;
        assert_eq!(without_ip_header(Version::V4, &too_short), None);
    }

    #[test]
    fn only_a_complete_quote_of_a_request_is_used() {
        for version in [Version::V4, Version::V6] {
            let mut request = Vec::new();
            write_request(&mut request, version, ID, b"0000000007");
            let parse = |quote| parse_quote(version, quote);
            let quoted = |payload| Some(QuotedRequest { id: ID, payload });
            assert_eq!(parse(&request), quoted(&b"0000000007"[..]));
            // RFC 792 requires only eight bytes of the message.
            assert_eq!(parse(&request[..HEADER_LEN]), quoted(b""));
            assert_eq!(parse(&request[..HEADER_LEN - 1]), None, "truncated");
            assert_eq!(parse(b""), None);
            let reply = reply(version, ID, b"0000000007");
            assert_eq!(parse(&reply), None, "this host did not send it");
        }
    }

    proptest! {
        #[test]
        fn no_packet_makes_the_parser_panic(packet: Vec<u8>, identifier: u16) {
            for version in [Version::V4, Version::V6] {
                if let Some(Packet { message, .. }) = without_ip_header(version, &packet) {
                    let _ = parse(version, identifier, message);
                }
                let _ = parse_quote(version, &packet);
            }
        }

        #[test]
        fn every_request_has_a_valid_checksum(payload: Vec<u8>, identifier: u16, sequence: u16) {
            let mut message = Vec::new();
            write_request(&mut message, Version::V4, EchoId { identifier, sequence }, &payload);
            prop_assert!(has_correct_checksum(&message));
            for byte in 0..message.len() {
                message[byte] ^= 1;
                prop_assert!(!has_correct_checksum(&message));
                message[byte] ^= 1;
            }
        }
    }
}
