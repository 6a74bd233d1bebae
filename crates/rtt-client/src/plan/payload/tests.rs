//! Tests of the payloads.

use super::*;
use echo_core::header::version2::{self, ClockState, FlowCounts, Report};
use echo_core::header::{ArrivalClock, HEADER_LEN, Timing};
use std::time::Duration;

const UPPER: ReplyForm = ReplyForm::UpperCase;

fn message(text: &str) -> Payload {
    Payload::of_text(text.as_bytes(), Numbering::Unnumbered, HeaderContent::Nothing, UPPER)
}

fn differs_at(position: usize) -> ReplyCheck {
    ReplyCheck::Wrong(Mismatch::DiffersAtByte(position))
}

#[test]
fn reply_must_be_the_request_in_upper_case() {
    let mut payload = message("hello");
    assert_eq!(payload.request(1), b"hello");
    assert_eq!(payload.check(1, b"HELLO", 0), ReplyCheck::Complete(ServerReport::None));
    assert_eq!(payload.check(1, b"HEL", 0), ReplyCheck::Incomplete);
    assert_eq!(payload.check(1, b"", 0), ReplyCheck::Incomplete);
    assert_eq!(payload.check(1, b"Hello", 0), differs_at(2));
    let too_long = Mismatch::TooLong { extra: 2, expected: 5 };
    assert_eq!(payload.check(1, b"HELLO!!", 0), ReplyCheck::Wrong(too_long));
    assert_eq!(payload.number_in(b"HELLO"), None);
}

#[test]
fn reply_of_the_unchanged_form_must_be_the_request() {
    let (text, unnumbered) = ("straße".as_bytes(), Numbering::Unnumbered);
    let mut payload =
        Payload::of_text(text, unnumbered, HeaderContent::Nothing, ReplyForm::Unchanged);
    assert_eq!(payload.check(1, text, 0), ReplyCheck::Complete(ServerReport::None));
    assert_eq!(payload.check(1, b"STRASSE", 0), differs_at(1));
    let series = Payload::of_size(64, HeaderContent::Nothing, ReplyForm::Unchanged);
    for mut payload in [series.without_header(), series] {
        let reply = payload.request(3).to_vec();
        assert_eq!(payload.check(3, &reply, 0), ReplyCheck::Complete(ServerReport::None));
        assert_eq!(payload.check(4, &reply, 0), differs_at(10));
    }
}

#[test]
fn bytes_that_were_checked_earlier_are_skipped() {
    let mut payload = message("hello");
    assert_eq!(payload.check(1, b"HELLO", 3), ReplyCheck::Complete(ServerReport::None));
    assert_eq!(payload.check(1, b"HELlo", 3), differs_at(4));
}

#[test]
fn conversion_to_upper_case_does_not_change_the_number() {
    let street = "straße".as_bytes();
    for mut payload in [
        Payload::of_size(32, HeaderContent::Nothing, UPPER),
        Payload::of_text(street, Numbering::Numbered, HeaderContent::Nothing, UPPER),
    ] {
        let reply = uppercase(payload.request(4711));
        assert_eq!(payload.number_in(&reply), Some(4711));
        assert_eq!(payload.check(4711, &reply, 0), ReplyCheck::Complete(ServerReport::None));
        assert_eq!(payload.check(4712, &reply, 0), differs_at(10));
    }
    let mut payload = Payload::of_size(32, HeaderContent::Nothing, UPPER);
    assert_eq!(payload.request_len(), 32);
    assert_eq!(payload.number_in(b"GARBAGE THAT IS LONG ENOUGH"), None);
    assert_eq!(payload.number_in(b"000"), None);
    payload = Payload::of_size(10, HeaderContent::Nothing, UPPER);
    assert_eq!(payload.request(7), b"0000000007");
}

#[test]
fn reply_is_complete_with_and_without_a_timing_header() {
    let mut payload = Payload::of_size(64, HeaderContent::Timing, UPPER);
    let plain = uppercase(payload.request(7));
    assert_eq!(payload.check(7, &plain, 0), ReplyCheck::Complete(ServerReport::None));
    assert_eq!(payload.number_in(&plain), Some(7));

    let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(3) };
    let mut timed = plain.clone();
    timed[..HEADER_LEN].copy_from_slice(&header::reply_header(64, timing));
    for cut in 0..64 {
        assert_eq!(payload.check(7, &timed[..cut], 0), ReplyCheck::Incomplete, "{cut}");
        assert_eq!(
            payload.check(7, &timed, cut),
            ReplyCheck::Complete(ServerReport::Version1(timing)),
            "{cut}"
        );
    }
    timed[30] = b'x';
    let malformed = ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
    assert_eq!(payload.check(7, &timed, 0), malformed);
    assert_eq!(payload.check(7, b"HTTP/1.1", 0), differs_at(1));
}

#[test]
fn request_without_header_has_the_same_length_and_number() {
    let mut payload = Payload::of_size(64, HeaderContent::Timing, UPPER).without_header();
    assert_eq!(payload.request_len(), 64);
    let reply = uppercase(payload.request(9));
    assert_eq!(payload.number_in(&reply), Some(9));
    assert_eq!(payload.check(9, &reply, 0), ReplyCheck::Complete(ServerReport::None));
}

#[test]
fn text_of_the_user_follows_the_header_and_the_number() {
    for numbering in [Numbering::Unnumbered, Numbering::Numbered] {
        for timing in [HeaderContent::Nothing, HeaderContent::Timing] {
            let mut payload = Payload::of_text(b"hi", numbering, timing, UPPER);
            let offset = payload.text_offset();
            assert_eq!(&payload.request(1)[offset..], b"hi");
        }
    }
}

#[test]
fn size_of_a_request_selects_its_header() {
    let header = |size, content| Payload::of_size(size, content, UPPER).bytes.header;
    for (size, content, expected) in [
        (64, HeaderContent::Counts, RequestHeader::Absent),
        (127, HeaderContent::Timing, RequestHeader::Version1),
        (128, HeaderContent::Counts, RequestHeader::Version2(Requested::Counts)),
        (128, HeaderContent::Timing, RequestHeader::Version2(Requested::CountsAndTimestamps)),
        (65_507, HeaderContent::Counts, RequestHeader::Version2(Requested::Counts)),
        (65_508, HeaderContent::Timing, RequestHeader::Absent),
        (128, HeaderContent::Nothing, RequestHeader::Absent),
    ] {
        assert_eq!(header(size, content), expected, "{size}");
    }
    let message = Payload::of_text(b"hi", Numbering::Unnumbered, HeaderContent::Timing, UPPER);
    assert_eq!(message.bytes.header, RequestHeader::Version1, "version 2 needs a number");
}

#[test]
fn report_of_version_2_is_part_of_a_complete_reply() {
    let mut payload = Payload::of_size(200, HeaderContent::Counts, UPPER);
    let request = payload.request(7).to_vec();
    let number = version2::parse_request(&request).map(|header| header.number);
    assert_eq!(number, Some(7));
    let plain = uppercase(&request);
    assert_eq!(payload.check(7, &plain, 0), ReplyCheck::Complete(ServerReport::None));
    let timing = Timing { arrival: ArrivalClock::Program, server: Duration::from_micros(3) };
    let report = Report {
        timing,
        arrival: Duration::from_secs(1),
        clock: ClockState::Unsynchronised,
        flow: Some(FlowCounts { received: 9, ..FlowCounts::default() }),
        limit_delay: Duration::ZERO,
    };
    let mut reply = plain.clone();
    reply[..version2::HEADER_LEN].copy_from_slice(&version2::reply_header(200, &report));
    let complete = ReplyCheck::Complete(ServerReport::Version2(report));
    for cut in 0..200 {
        assert_eq!(payload.check(7, &reply[..cut], 0), ReplyCheck::Incomplete, "{cut}");
        assert_eq!(payload.check(7, &reply, cut), complete, "{cut}");
    }
    assert_eq!(payload.check(8, &reply, 0), differs_at(version2::MIN_LEN));
    reply[60] = b'x';
    let malformed = ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
    assert_eq!(payload.check(7, &reply, 0), malformed);
}

#[test]
fn version_1_is_used_if_the_server_does_not_support_version_2() {
    let mut payload = Payload::of_size(128, HeaderContent::Timing, UPPER);
    let plain = uppercase(payload.request(1));
    assert!(payload.needs_version1(1, ServerReport::None));
    payload.use_version1_from(2);
    let request = payload.request(2).to_vec();
    assert_eq!(header::timed_request_length(&request), Some(128));
    assert_eq!(payload.number_in(&request), Some(2));
    // Replies to earlier requests are still expected with version 2.
    assert_eq!(payload.check(1, &plain, 0), ReplyCheck::Complete(ServerReport::None));
    let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(3) };
    let mut timed = uppercase(&request);
    timed[..HEADER_LEN].copy_from_slice(&header::reply_header(128, timing));
    let complete = ReplyCheck::Complete(ServerReport::Version1(timing));
    assert_eq!(payload.check(2, &timed, 0), complete);
    // A server that supports no version at all.
    let plain = uppercase(&request);
    assert_eq!(payload.check(2, &plain, 0), ReplyCheck::Complete(ServerReport::None));
    assert!(!payload.needs_version1(2, ServerReport::None));
    let counts = Payload::of_size(128, HeaderContent::Counts, UPPER);
    assert!(!counts.needs_version1(1, ServerReport::None), "counts exist only in version 2");
}
