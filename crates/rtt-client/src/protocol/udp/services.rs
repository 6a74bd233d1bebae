//! The services over UDP.

use crate::model::service::{
    Identifier, ReplyEnd, ReplyRule, ReplyStart, Service, never_closes, no_error,
};
use std::borrow::Cow;

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
    reported_error: dns_error,
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
    reported_error: no_error,
    source: "RFC 5905, section 7.3",
};

/// The response code (RCODE, RFC 1035, section 4.1.1), if it is not 0. The names are those of the IANA registry "DNS RCODEs".
fn dns_error(reply: &[u8]) -> Option<Cow<'_, [u8]>> {
    let code = reply.get(3)? & 0x0F;
    let name = match code {
        0 => return None,
        1 => "FormErr",
        2 => "ServFail",
        3 => "NXDomain",
        4 => "NotImp",
        5 => "Refused",
        _ => return Some(format!("RCODE {code}").into_bytes().into()),
    };
    Some(format!("RCODE {code} ({name})").into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_code_except_0_is_an_error() {
        for (flags, error) in
            [(0x80, None), (0x85, Some("RCODE 5 (Refused)")), (0x09, Some("RCODE 9"))]
        {
            let reply = [0, 0, 0x81, flags];
            assert_eq!(dns_error(&reply).as_deref(), error.map(str::as_bytes), "{flags:#x}");
        }
        assert_eq!(dns_error(&[0, 0, 0x81]), None);
    }
}
