//! Tests of requests to services.

use super::*;
use crate::model::protocol::Protocol;
use crate::protocol::registry::PROTOCOLS;
use proptest::prelude::*;
use std::borrow::Cow;

const MAX_LEN: usize = 1000;

fn rule(start: &'static [u8], end: ReplyEnd) -> ReplyRule {
    ReplyRule { start: ReplyStart::Text(Cow::Borrowed(start)), end }
}

fn ends(end: &'static [u8]) -> ReplyEnd {
    ReplyEnd::Text(Cow::Borrowed(end))
}

fn payload(rule: ReplyRule) -> ServicePayload {
    ServicePayload::of_user(b"request", rule, MAX_LEN, Framing::Stream)
}

/// The requests to a service over its protocol.
fn payload_of(service: &Service) -> ServicePayload {
    let has_service = |protocol: &&Protocol| {
        protocol.services.iter().any(|candidate| candidate.name == service.name)
    };
    let framing = PROTOCOLS.iter().find(has_service).unwrap().framing;
    ServicePayload::of_service(service, "localhost", MAX_LEN, framing)
}

fn complete(len: usize) -> ReplyCheck {
    ReplyCheck::Complete { len, report: ServerReport::None }
}

#[test]
fn any_first_bytes_are_a_reply_without_a_rule() {
    let payload = payload(rule(b"", ReplyEnd::FirstBytes));
    assert_eq!(payload.check(1, b"", 0, ExtraBytes::Wrong), ReplyCheck::Incomplete);
    assert_eq!(payload.check(1, b"x", 0, ExtraBytes::Wrong), complete(1));
    assert_eq!(payload.check(1, b"xyz", 0, ExtraBytes::NextReply), complete(3));
}

#[test]
fn reply_ends_with_the_requested_text() {
    let payload = payload(rule(b"+", ends(b"\r\n")));
    let reply = b"+PONG\r\n";
    for cut in 0..reply.len() {
        assert_eq!(payload.check(1, &reply[..cut], 0, ExtraBytes::Wrong), ReplyCheck::Incomplete);
        // An earlier call has compared the first bytes. The end can begin among them.
        assert_eq!(payload.check(1, reply, cut, ExtraBytes::Wrong), complete(7), "{cut}");
    }
    let two = b"+PONG\r\n+PONG\r\n";
    assert_eq!(payload.check(1, two, 0, ExtraBytes::NextReply), complete(7));
    let extra = ReplyCheck::Wrong(Mismatch::BytesAfterEnd { extra: 7 });
    assert_eq!(payload.check(1, two, 0, ExtraBytes::Wrong), extra);
    let wrong = ReplyCheck::Wrong(Mismatch::WrongStart { position: 1 });
    assert_eq!(payload.check(1, b"-ERR", 0, ExtraBytes::Wrong), wrong);
}

#[test]
fn reply_has_the_requested_length() {
    let payload = payload(rule(b"ab", ReplyEnd::Length(4)));
    assert_eq!(payload.check(1, b"abc", 0, ExtraBytes::Wrong), ReplyCheck::Incomplete);
    assert_eq!(payload.check(1, b"abcd", 3, ExtraBytes::Wrong), complete(4));
    assert_eq!(payload.check(1, b"abcde", 0, ExtraBytes::NextReply), complete(4));
    assert_eq!(payload.reply_len(), Some(4));
    let wrong = ReplyCheck::Wrong(Mismatch::WrongStart { position: 2 });
    assert_eq!(payload.check(1, b"aX", 0, ExtraBytes::Wrong), wrong);
}

#[test]
fn reply_that_is_shorter_than_its_expected_beginning_is_wrong() {
    let short = |received| {
        let mismatch = Mismatch::ShorterThanStart { received, expected: 9 };
        ReplyCheck::Wrong(mismatch)
    };
    let by_first_bytes = payload(rule(b"HTTP/1.1 ", ReplyEnd::FirstBytes));
    // The rest of the beginning can still arrive.
    assert_eq!(by_first_bytes.check(1, b"HTTP", 0, ExtraBytes::Wrong), ReplyCheck::Incomplete);
    assert_eq!(ReplyCheck::Wrong(by_first_bytes.mismatch_of_part(4)), short(4));
    assert_eq!(by_first_bytes.check(1, b"HTTP/1.1 2", 4, ExtraBytes::Wrong), complete(10));
    let by_end = payload(rule(b"HTTP/1.1 ", ends(b"P")));
    assert_eq!(by_end.check(1, b"HTTP", 0, ExtraBytes::Wrong), short(4));
}

#[test]
fn reply_that_never_ends_is_wrong_after_its_maximum_length() {
    let payload = payload(rule(b"", ends(b"\n")));
    let long = [b'x'; MAX_LEN + 1];
    assert_eq!(payload.check(1, &long[1..], 0, ExtraBytes::Wrong), ReplyCheck::Incomplete);
    let no_end = ReplyCheck::Wrong(Mismatch::NoEnd { max: MAX_LEN });
    assert_eq!(payload.check(1, &long, MAX_LEN, ExtraBytes::Wrong), no_end);
}

#[test]
fn greeting_can_be_followed_by_more_bytes() {
    let empty_request =
        |framing| ServicePayload::of_user(b"", rule(b"SSH-", ends(b"\n")), MAX_LEN, framing);
    let received = b"SSH-2.0\r\n\0\0\x05";
    let greeting = empty_request(Framing::Stream);
    assert!(greeting.server_sends_first());
    assert_eq!(greeting.check(1, received, 0, ExtraBytes::Wrong), complete(9));
    // The reply to an empty datagram has the same rule as any other reply.
    let datagram = empty_request(Framing::Datagrams);
    assert!(!datagram.server_sends_first());
    let extra = ReplyCheck::Wrong(Mismatch::BytesAfterEnd { extra: 3 });
    assert_eq!(datagram.check(1, received, 0, ExtraBytes::Wrong), extra);
}

#[test]
fn host_of_the_target_replaces_its_placeholder() {
    assert_eq!(replace_host(b"Host: {host}\r\n", "[::1]:80"), b"Host: [::1]:80\r\n");
    assert_eq!(replace_host(b"PING", "localhost"), b"PING");
}

/// Every service, with the position of its protocol.
fn services() -> impl Iterator<Item = &'static Service> {
    PROTOCOLS.iter().flat_map(|protocol| protocol.services)
}

#[test]
fn table_of_services_is_consistent() {
    for protocol in PROTOCOLS {
        for service in protocol.services {
            let Service { name, request, identifier, source, about, .. } = service;
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
            let same_name = protocol.services.iter().filter(|other| other.name == *name);
            assert_eq!(same_name.count(), 1, "{name}");
            assert!(!source.is_empty() && !about.is_empty() && service.port > 0, "{name}");
            assert!(request.len() <= protocol.max_message_len, "{name}");
            if let Some(Identifier { request: in_request, reply }) = identifier {
                assert!(in_request.end <= request.len(), "{name}");
                assert_eq!(in_request.len(), reply.len(), "{name}");
            }
            // The list of services and docs/services.md describe such a reply by its identifier.
            let has_text = matches!(service.reply.start, ReplyStart::Text(_));
            assert!(has_text || identifier.is_some(), "{name}");
        }
    }
}

#[test]
fn requests_have_the_lengths_of_their_specifications() {
    let len = |name| services().find(|service| service.name == name).unwrap().request.len();
    // RFC 1035: a header of 12 bytes, an empty name, a type and a class. RFC 5905: 48 bytes.
    assert_eq!((len("dns"), len("ntp")), (12 + 1 + 4, 48));
}

#[test]
fn identifier_of_a_reply_identifies_its_request() {
    for service in services().filter(|service| service.identifier.is_some()) {
        let mut payload = payload_of(service);
        let Identifier { request, reply } = service.identifier.clone().unwrap();
        let mut earlier = Vec::new();
        for seq in 1..=300 {
            let bytes = payload.request(seq)[request.clone()].to_vec();
            assert!(!earlier.contains(&bytes), "{}: request {seq}", service.name);
            earlier.push(bytes);
        }
        for (seq, identifier) in (1..).zip(&earlier) {
            let mut message = vec![0; 60];
            message[reply.clone()].copy_from_slice(identifier);
            assert_eq!(payload.number_in_reply(&message), Some(seq), "{}", service.name);
            assert_eq!(payload.number_in_reply(&message[..reply.end - 1]), None);
        }
        let quoted = payload.request(7).to_vec();
        assert_eq!(payload.number_in_request(&quoted), Some(7));
        assert_eq!(payload.check_quotation(Some(7), &quoted), Quotation::Complete);
        assert_eq!(payload.check_quotation(Some(8), &quoted), Quotation::Different);
        assert_ne!(payload.with_other_identifiers().request(7), quoted, "another run");
    }
}

#[test]
fn identifier_of_a_number_far_in_the_past_identifies_the_latest_request_with_it() {
    let dns = services().find(|service| service.name == "dns").unwrap();
    let mut payload = payload_of(dns);
    let old = payload.request(5).to_vec();
    assert_eq!(payload.request(5 + 0x1_0000), old, "identifiers have 16 bits");
    assert_eq!(payload.number_in_reply(&old), Some(5 + 0x1_0000));
    payload.request(0x2_0000);
    assert_eq!(payload.number_in_reply(&old), Some(5 + 0x1_0000));
}

#[test]
fn replies_of_the_services_are_recognised() {
    let dns_reply = b"\0\0\x81\x85\0\x01\0\0\0\0\0\0\0\0\x02\0\x01";
    let dns_query = b"\0\0\x01\x00\0\x01\0\0\0\0\0\0\0\0\x02\0\x01";
    for (name, reply, is_correct) in [
        ("dns", &dns_reply[..], true),
        ("dns", dns_query, false),
        ("ntp", &[0x24; 48], true),
        ("ntp", &[0x23; 48], false),
        ("http", b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n", true),
        ("http", b"-ERR unknown command\r\n\r\n", false),
        ("redis", b"+PONG\r\n", true),
        ("redis", b"-NOAUTH Authentication required.\r\n", false),
        ("memcached", b"VERSION 1.6.18\r\n", true),
        ("smtp", b"220 mail.example ESMTP\r\n", true),
        ("smtp", b"554 no service\r\n", false),
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1\r\n", true),
    ] {
        let service = services().find(|service| service.name == name).unwrap();
        let mut payload = payload_of(service);
        let reply = with_identifier_of(payload.request(1), reply, service);
        let check = payload.check(1, &reply, 0, ExtraBytes::Wrong);
        assert_eq!(check.is_complete(), is_correct, "{name} {reply:?}: {check:?}");
    }
}

/// The reply with the identifier of the request, if the service has one.
fn with_identifier_of(request: &[u8], reply: &[u8], service: &Service) -> Vec<u8> {
    let mut with_identifier = reply.to_vec();
    if let Some(identifier) = &service.identifier {
        with_identifier[identifier.reply.clone()]
            .copy_from_slice(&request[identifier.request.clone()]);
    }
    with_identifier
}

#[test]
fn reply_with_another_identifier_is_wrong() {
    for service in services().filter(|service| service.identifier.is_some()) {
        let mut payload = payload_of(service);
        // The bits of a correct reply of both services.
        let blank: &[u8] = if service.name == "dns" { &[0x80; 48] } else { &[0x24; 48] };
        let correct = with_identifier_of(payload.request(7), blank, service);
        let end = service.identifier.as_ref().unwrap().reply.end;
        assert_eq!(payload.check(7, &correct, 0, ExtraBytes::Wrong), complete(48));
        let wrong = ReplyCheck::Wrong(Mismatch::WrongIdentifier);
        assert_eq!(payload.check(8, &correct, 0, ExtraBytes::Wrong), wrong, "{}", service.name);
        let short = &correct[..end - 1];
        assert_eq!(payload.check(7, short, 0, ExtraBytes::Wrong), ReplyCheck::Incomplete);
        let shorter = Mismatch::ShorterThanStart { received: end - 1, expected: end.max(3) };
        assert_eq!(payload.mismatch_of_part(end - 1), shorter, "{}", service.name);
    }
}

proptest! {
    #[test]
    fn end_is_found_in_any_division_of_the_reply(
        reply in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'\r'), Just(b'\n')], 0..20),
        cut in 0..20_usize,
    ) {
        let payload = payload(rule(b"", ends(b"\r\n")));
        let cut = cut.min(reply.len());
        let in_one_piece = payload.check(1, &reply, 0, ExtraBytes::NextReply);
        let first = payload.check(1, &reply[..cut], 0, ExtraBytes::NextReply);
        let in_two_pieces = match first {
            ReplyCheck::Incomplete => payload.check(1, &reply, cut, ExtraBytes::NextReply),
            complete => complete,
        };
        prop_assert_eq!(in_one_piece, in_two_pieces);
    }
}
