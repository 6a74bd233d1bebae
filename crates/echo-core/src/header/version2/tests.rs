//! Tests of version 2 of the timing header.

use super::*;
use proptest::prelude::*;

fn report() -> Report {
    Report {
        timing: Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(36_912) },
        arrival: Duration::from_nanos(1_764_226_800_123_456_789),
        clock: ClockState::Synchronised { max_error: Duration::from_micros(500) },
        flow: Some(FlowCounts {
            id: NonZeroU32::new(0xDEAD_BEEF).unwrap(),
            received: 11,
            sent: 9,
            refused_rate: 2,
            refused_list: 0,
            queue_drops: Some(3),
            has_foreign_drops: false,
            has_uncounted_requests: false,
        }),
        limit_delay: Duration::from_nanos(255),
    }
}

#[test]
fn headers_have_the_bytes_of_the_specification() {
    let request = concat!(
        "echo-rtt/2?00000128 000000000000000000000000000000000000 ",
        "0000ABCD0000000000000000000000000000000000000000000000000000 "
    );
    assert_eq!(&request_header(128, Requested::Counts, 0xABCD)[..], request.as_bytes());
    let reply = concat!(
        "ECHO-RTT/2!00000128 K187BCAED6C952D15000000009030S0001F4 ",
        "DEADBEEF0000000B000000090000000200000000000000030000000000FF "
    );
    assert_eq!(&reply_header(128, &report())[..], reply.as_bytes());
}

#[test]
fn reply_of_a_server_without_version_2_is_recognised() {
    let mut text = bytes::BytesMut::from(&request_header(128, Requested::Counts, 0xABCD)[..]);
    crate::uppercase(&mut text);
    assert_eq!(parse_reply_header(text[..].try_into().unwrap(), 128), ReplyHeader::Plain);
}

#[test]
fn incomplete_or_invalid_request_is_text() {
    let mut valid = request_header(128, Requested::CountsAndTimestamps, 9).to_vec();
    valid.extend_from_slice(b"0000000042");
    let requested = Requested::CountsAndTimestamps;
    assert_eq!(
        parse_request(&valid),
        Some(RequestHeader { length: 128, requested, run: 9, number: 42 })
    );
    for cut in 0..MIN_LEN {
        assert_eq!(parse_request(&valid[..cut]), None, "{cut}");
        assert!(could_be_request(&valid[..cut]), "{cut}");
    }
    for index in 0..MIN_LEN {
        let mut invalid = valid.clone();
        invalid[index] ^= 0x10;
        let parsed = parse_request(&invalid);
        let is_field = parsed.is_some_and(|header| (header.length, header.run) != (128, 9));
        assert!(parsed.is_none() || is_field, "{index}: {parsed:?}");
    }
    valid[..HEADER_LEN].copy_from_slice(&request_header(MAX_TIMED_LEN, requested, 9));
    assert!(parse_request(&valid).is_some());
    valid[LENGTH].copy_from_slice(b"00065508");
    assert_eq!(parse_request(&valid), None);
    valid[LENGTH].copy_from_slice(b"00000127");
    assert_eq!(parse_request(&valid), None);
}

#[test]
fn malformed_reply_header_is_recognised() {
    let valid = reply_header(128, &report());
    assert_eq!(parse_reply_header(&valid, 128), ReplyHeader::Report(report()));
    assert_eq!(parse_reply_header(&valid, 129), ReplyHeader::Malformed);
    for index in 0..HEADER_LEN {
        let mut invalid = valid;
        invalid[index] = b'x';
        assert_eq!(parse_reply_header(&invalid, 128), ReplyHeader::Malformed, "{index}");
    }
}

#[test]
fn flow_without_counts_and_numbers_that_are_too_large_have_a_defined_form() {
    let without_drops = FlowCounts { queue_drops: None, ..report().flow.unwrap() };
    let uncertain = FlowCounts { has_foreign_drops: true, ..without_drops };
    let incomplete = FlowCounts { has_uncounted_requests: true, ..without_drops };
    let both = FlowCounts { has_foreign_drops: true, ..incomplete };
    for flow in [None, Some(without_drops), Some(uncertain), Some(incomplete), Some(both)] {
        let unknown = Report { flow, ..report() };
        let header = reply_header(128, &unknown);
        assert_eq!(parse_reply_header(&header, 128), ReplyHeader::Report(unknown));
    }
    let long = Report {
        timing: Timing { arrival: ArrivalClock::Program, server: Duration::MAX },
        limit_delay: Duration::MAX,
        ..report()
    };
    let ReplyHeader::Report(parsed) = parse_reply_header(&reply_header(128, &long), 128) else {
        panic!("the header is valid");
    };
    assert_eq!(parsed.timing.server, Duration::from_nanos(MAX_12_DIGITS));
    assert_eq!(parsed.limit_delay, Duration::from_nanos(MAX_12_DIGITS));
}

proptest! {
    #[test]
    fn parsing_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let mut header = request_header(MIN_LEN, Requested::Counts, 0);
        let length = bytes.len().min(HEADER_LEN - 8);
        header[8..8 + length].copy_from_slice(&bytes[..length]);
        let _ = (parse_request(&bytes), parse_request(&header), parse_reply_header(&header, 64));
    }
}
