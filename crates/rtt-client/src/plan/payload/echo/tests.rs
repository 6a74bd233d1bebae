//! Tests of the payloads.

mod forms;

use super::EchoPayload as Payload;
use super::*;
use echo_core::header::version2::{self, ClockState, FlowCounts, Report};
use echo_core::header::{self, ArrivalClock, HEADER_LEN, Timing};
use std::time::Duration;

const UPPER: ReplyForm = ReplyForm::UpperCase;

/// The maximum length of a request, as in UDP over IPv4.
const MAX_LEN: usize = 65_507;

fn of_text(
    text: &[u8],
    numbering: Numbering,
    content: HeaderContent,
    form: impl Into<ExpectedForm>,
) -> Payload {
    Payload::of_text(text, numbering, content, form, MAX_LEN)
}

fn message(text: &str) -> Payload {
    message_of_form(text, UPPER)
}

fn message_of_form(text: &str, form: impl Into<ExpectedForm>) -> Payload {
    of_text(text.as_bytes(), Numbering::Unnumbered, HeaderContent::Nothing, form)
}

/// Checks a reply that no other reply follows.
fn check(payload: &mut Payload, seq: u64, received: &[u8], checked: usize) -> ReplyCheck {
    payload.check(seq, received, checked, ExtraBytes::Wrong)
}

fn complete(payload: &Payload, report: ServerReport) -> ReplyCheck {
    ReplyCheck::Complete { len: payload.reply_len(), report }
}

fn differs_at(position: usize) -> ReplyCheck {
    ReplyCheck::Wrong(Mismatch::DiffersAtByte(position))
}

#[test]
fn bytes_that_were_checked_earlier_are_skipped() {
    let mut payload = message("hello");
    assert_eq!(check(&mut payload, 1, b"HELLO", 3), complete(&payload, ServerReport::None));
    assert_eq!(check(&mut payload, 1, b"HELlo", 3), differs_at(4));
}

#[test]
fn conversion_to_upper_case_does_not_change_the_number() {
    let street = "straße".as_bytes();
    for mut payload in [
        Payload::of_size(32, HeaderContent::Nothing, UPPER),
        of_text(street, Numbering::Numbered, HeaderContent::Nothing, UPPER),
    ] {
        let reply = uppercase(payload.request(4711));
        assert_eq!(payload.number_in(&reply), Some(4711));
        assert_eq!(check(&mut payload, 4711, &reply, 0), complete(&payload, ServerReport::None));
        assert_eq!(check(&mut payload, 4712, &reply, 0), differs_at(10));
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
    assert_eq!(check(&mut payload, 7, &plain, 0), complete(&payload, ServerReport::None));
    assert_eq!(payload.number_in(&plain), Some(7));

    let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(3) };
    let mut timed = plain.clone();
    timed[..HEADER_LEN].copy_from_slice(&header::reply_header(64, timing));
    for cut in 0..64 {
        assert_eq!(check(&mut payload, 7, &timed[..cut], 0), ReplyCheck::Incomplete, "{cut}");
        assert_eq!(
            check(&mut payload, 7, &timed, cut),
            complete(&payload, ServerReport::Version1(timing)),
            "{cut}"
        );
    }
    timed[30] = b'x';
    let malformed = ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
    assert_eq!(check(&mut payload, 7, &timed, 0), malformed);
    assert_eq!(check(&mut payload, 7, b"HTTP/1.1", 0), differs_at(1));
    // The greeting of another service is as long as a header.
    let greeting = [&b"SSH-2.0-OpenSSH_9.2p1 "[..], &[b'x'; 42]].concat();
    assert_eq!(check(&mut payload, 7, &greeting, 0), differs_at(1));
    assert_eq!(check(&mut payload, 7, &greeting, 5), differs_at(1));
}

#[test]
fn request_without_header_has_the_same_length_and_number() {
    let mut payload = Payload::of_size(64, HeaderContent::Timing, UPPER).without_header();
    assert_eq!(payload.request_len(), 64);
    let reply = uppercase(payload.request(9));
    assert_eq!(payload.number_in(&reply), Some(9));
    assert_eq!(check(&mut payload, 9, &reply, 0), complete(&payload, ServerReport::None));
}

#[test]
fn text_of_the_user_follows_the_header_and_the_number() {
    for numbering in [Numbering::Unnumbered, Numbering::Numbered] {
        for timing in [HeaderContent::Nothing, HeaderContent::Timing] {
            let mut payload = of_text(b"hi", numbering, timing, UPPER);
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
    let message = of_text(b"hi", Numbering::Unnumbered, HeaderContent::Timing, UPPER);
    assert_eq!(message.bytes.header, RequestHeader::Version1, "version 2 needs a number");
}

#[test]
fn report_of_version_2_is_part_of_a_complete_reply() {
    let mut payload = Payload::of_size(200, HeaderContent::Counts, UPPER);
    let request = payload.request(7).to_vec();
    let number = version2::parse_request(&request).map(|header| header.number);
    assert_eq!(number, Some(7));
    let plain = uppercase(&request);
    assert_eq!(check(&mut payload, 7, &plain, 0), complete(&payload, ServerReport::None));
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
    let with_report = complete(&payload, ServerReport::Version2(report));
    for cut in 0..200 {
        assert_eq!(check(&mut payload, 7, &reply[..cut], 0), ReplyCheck::Incomplete, "{cut}");
        assert_eq!(check(&mut payload, 7, &reply, cut), with_report, "{cut}");
    }
    assert_eq!(check(&mut payload, 8, &reply, 0), differs_at(version2::MIN_LEN));
    reply[60] = b'x';
    let malformed = ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
    assert_eq!(check(&mut payload, 7, &reply, 0), malformed);
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
    assert_eq!(check(&mut payload, 1, &plain, 0), complete(&payload, ServerReport::None));
    let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(3) };
    let mut timed = uppercase(&request);
    timed[..HEADER_LEN].copy_from_slice(&header::reply_header(128, timing));
    let with_timing = complete(&payload, ServerReport::Version1(timing));
    assert_eq!(check(&mut payload, 2, &timed, 0), with_timing);
    // A server that supports no version at all.
    let plain = uppercase(&request);
    assert_eq!(check(&mut payload, 2, &plain, 0), complete(&payload, ServerReport::None));
    assert!(!payload.needs_version1(2, ServerReport::None));
    let counts = Payload::of_size(128, HeaderContent::Counts, UPPER);
    assert!(!counts.needs_version1(1, ServerReport::None), "counts exist only in version 2");
}

/// The tokens of the requests with these numbers.
fn tokens(payload: &mut Payload, numbers: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    let token = payload.number.token();
    numbers.into_iter().map(|seq| payload.request(seq)[token.clone()].to_vec()).collect()
}

#[test]
fn token_follows_the_number_and_gets_the_space_that_is_left() {
    let len = |size, content| Payload::of_size(size, content, UPPER).number.token().len();
    for (size, content, expected) in [
        (10, HeaderContent::Nothing, 0),
        (16, HeaderContent::Nothing, 6),
        (23, HeaderContent::Nothing, 13),
        (50, HeaderContent::Timing, 0),
        (63, HeaderContent::Timing, 13),
        (128, HeaderContent::Counts, 0),
        (140, HeaderContent::Counts, 12),
        (crate::plan::DEFAULT_REQUEST_LEN, HeaderContent::Counts, TOKEN_LEN),
        (65_507, HeaderContent::Counts, TOKEN_LEN),
    ] {
        assert_eq!(len(size, content), expected, "{size}");
        let mut payload = Payload::of_size(size, content, UPPER);
        assert_eq!(payload.request(1).len(), size);
    }
    let text_of = |len: usize| {
        let numbered = Numbering::Numbered;
        let mut payload = of_text(&vec![b'x'; len], numbered, HeaderContent::Timing, UPPER);
        (payload.request(1).len(), payload.number.token().len())
    };
    assert_eq!(text_of(5), (118 + 10 + 13 + 1 + 5, 13));
    assert_eq!(text_of(MAX_LEN - 118 - 15), (MAX_LEN, 4));
    assert_eq!(text_of(MAX_LEN - 118 - 11), (MAX_LEN, 0));
    assert_eq!(message("hi").token_bits(), None);
}

#[test]
fn each_run_has_other_tokens() {
    let mut payload = Payload::of_size(64, HeaderContent::Nothing, UPPER);
    let first = tokens(&mut payload, 1..4);
    assert_eq!(tokens(&mut payload, 1..4), first, "a request always has the same token");
    assert_ne!(first[0], first[1]);
    payload.start_run(7);
    let second = tokens(&mut payload, 1..4);
    assert!(first.iter().all(|token| !second.contains(token)));
    assert_ne!(tokens(&mut payload.without_header(), 1..4), second);
}

#[test]
fn reply_with_another_token_is_wrong() {
    for content in [HeaderContent::Nothing, HeaderContent::Timing] {
        let mut payload = Payload::of_size(200, content, UPPER);
        let correct = uppercase(payload.request(7));
        for position in payload.number.token() {
            let mut reply = correct.clone();
            reply[position] = if reply[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(check(&mut payload, 7, &reply, 0), ReplyCheck::Wrong(Mismatch::WrongToken));
        }
        // A server that predicts the reply to the next request changes only the number.
        let mut predicted = correct;
        let number = payload.number.offset()..payload.number.offset() + NUMBER_LEN;
        predicted[number].copy_from_slice(b"0000000008");
        assert_eq!(check(&mut payload, 8, &predicted, 0), ReplyCheck::Wrong(Mismatch::WrongToken));
    }
}

#[test]
fn token_in_lower_case_is_a_difference_and_not_a_wrong_token() {
    let mut payload = Payload::of_size(200, HeaderContent::Nothing, UPPER);
    let token = payload.number.token();
    // The token of some request contains a letter.
    let has_letter = |request: &[u8]| request[token.clone()].iter().any(u8::is_ascii_alphabetic);
    let seq = (1..100).find(|seq| has_letter(payload.request(*seq))).unwrap();
    let correct = uppercase(payload.request(seq));
    let mut lower = correct.to_ascii_lowercase();
    let first = (0..200).find(|index| lower[*index] != correct[*index]).unwrap();
    assert!(token.contains(&first));
    for len in first + 1..=200 {
        assert_eq!(check(&mut payload, seq, &lower[..len], 0), differs_at(first + 1), "{len}");
    }
    // A further difference in the token is more than another case.
    lower[token.end - 1] = if correct[token.end - 1] == b'2' { b'3' } else { b'2' };
    assert_eq!(check(&mut payload, seq, &lower, 0), ReplyCheck::Wrong(Mismatch::WrongToken));
}

#[test]
fn difference_of_one_byte_is_singular() {
    for (mismatch, expected) in [
        (
            Mismatch::TooLong { extra: 1, expected: 5 },
            "the reply is 1 byte longer than the expected 5 bytes",
        ),
        (
            Mismatch::TooLong { extra: 2, expected: 1 },
            "the reply is 2 bytes longer than the expected 1 byte",
        ),
        (Mismatch::TooShort { received: 1, expected: 5 }, "the reply has 1 byte instead of 5"),
    ] {
        assert_eq!(mismatch.to_string(), expected);
    }
}

#[test]
fn quotation_is_complete_only_with_the_token() {
    for content in [HeaderContent::Nothing, HeaderContent::Timing] {
        let mut payload = Payload::of_size(200, content, UPPER);
        let request = payload.request(7).to_vec();
        let token_end = payload.number.end();
        for len in 0..request.len() {
            let expected =
                if len < token_end { Quotation::Incomplete } else { Quotation::Complete };
            assert_eq!(payload.check_quotation(Some(7), &request[..len]), expected, "{len}");
            let mut forged = request[..=len].to_vec();
            forged[len] ^= 1;
            assert_eq!(payload.check_quotation(Some(7), &forged), Quotation::Different);
        }
        // An IP packet can have padding.
        let padded = [&request[..], b"\0\0"].concat();
        assert_eq!(payload.check_quotation(Some(7), &padded), Quotation::Complete);
    }
}

#[test]
fn quotation_of_a_request_with_a_short_token_is_never_complete() {
    let sizes = [(10, false), (16, false), (17, true), (23, true)];
    let with_header = [(50, false), (56, false), (57, true)];
    let sizes = sizes.map(|(size, expected)| (HeaderContent::Nothing, size, expected));
    let with_header =
        with_header.map(|(size, expected)| (HeaderContent::ProcessingTime, size, expected));
    for (content, size, is_complete) in sizes.into_iter().chain(with_header) {
        let mut payload = Payload::of_size(size, content, UPPER);
        let request = payload.request(7).to_vec();
        let expected = if is_complete { Quotation::Complete } else { Quotation::Incomplete };
        assert_eq!(payload.check_quotation(Some(7), &request), expected, "{size} bytes");
        assert_eq!(payload.check_quotation(Some(8), &request), Quotation::Different);
    }
}

#[test]
fn quotation_of_a_message_without_a_number_must_be_the_message() {
    let mut payload = message("hello");
    assert_eq!(payload.check_quotation(None, b"hello"), Quotation::Complete);
    assert_eq!(payload.check_quotation(None, b"hell"), Quotation::Incomplete);
    assert_eq!(payload.check_quotation(None, b"help!"), Quotation::Different);
    let mut long = message(&"x".repeat(1000));
    assert_eq!(long.check_quotation(None, &[b'x'; MAX_VERIFIED_LEN]), Quotation::Complete);
}
