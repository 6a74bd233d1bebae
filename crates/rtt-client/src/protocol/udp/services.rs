//! The services over UDP.

use crate::model::service::{Identifier, ReplyEnd, ReplyRule, ReplyStart, Service, never_closes};

/// The services over UDP, in the order of the output.
pub(super) const SERVICES: &[Service] = &[DNS, NTP];

/// Any message with the bit QR and the opcode 0 is a correct reply, even a refusal: the server has answered.
const DNS: Service = Service {
    name: "dns",
    title: "DNS",
    about: "query for the name servers of the root",
    port: 53,
    // The identifier, then the flags (recursion desired), one question, and the question `. NS IN`.
    request: b"\0\0\x01\x00\x00\x01\0\0\0\0\0\0\x00\x00\x02\x00\x01",
    identifier: Some(Identifier { request: 0..2, reply: 0..2 }),
    reply: ReplyRule {
        start: ReplyStart::Bits { position: 2, mask: 0xF8, value: 0x80 },
        end: ReplyEnd::FirstBytes,
    },
    closes_after: never_closes,
    source: "RFC 1035, section 4.1",
};

/// The server copies the transmit timestamp of the request to the origin timestamp of its reply. The timestamp of the
/// request is a random number, as draft-ietf-ntp-data-minimization recommends.
const NTP: Service = Service {
    name: "ntp",
    title: "NTP",
    about: "time request of a client",
    port: 123,
    // Version 4, mode 3 (client), and zeros.
    request: b"\x23\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    identifier: Some(Identifier { request: 40..48, reply: 24..32 }),
    // Mode 4 (server).
    reply: ReplyRule {
        start: ReplyStart::Bits { position: 0, mask: 0x07, value: 0x04 },
        end: ReplyEnd::FirstBytes,
    },
    closes_after: never_closes,
    source: "RFC 5905, section 7.3",
};
