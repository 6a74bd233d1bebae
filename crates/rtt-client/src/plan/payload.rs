//! [`Payload`]: the bytes of each request, and the check of a reply against the expected bytes.
//!
//! A request has these parts, in this order:
//!
//! | part | present |
//! |---|---|
//! | timing header, 40 bytes (`docs/protocol.md`) | if the client measures the parts of the RTT |
//! | number of the request, 10 decimal digits | in a series |
//! | space | between a number and a message of the user |
//! | message of the user, or filler text | if it is not empty |
//!
//! The conversion to upper case does not change digits. Every echo server returns the number unchanged, so the
//! number in a reply identifies its request.

use crate::model::protocol::{Protocol, ReplyForm, Responder};
use bytes::BytesMut;
use echo_core::header::{self, HEADER_LEN, MAX_TIMED_LEN, ReplyHeader, Timing};
use std::fmt;

/// The number of digits in the number of a request.
const NUMBER_LEN: usize = 10;

/// The largest number of requests. It is the largest number with [`NUMBER_LEN`] digits.
pub(crate) const MAX_REQUESTS: u64 = 9_999_999_999;

/// The text that fills a request to its size. All its letters are lower case, so the check detects a server that
/// does not convert to upper case.
const FILLER: &[u8] = b"the quick brown fox jumps over the lazy dog ";

/// The length of `ECHO-RTT/1`, the start of every reply header. A server that does not support timing headers
/// converts the header as text, and its reply starts with the same bytes.
const COMMON_HEADER_LEN: usize = 10;

/// Whether a payload with text contains the number of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    Numbered,
    Unnumbered,
}

/// Whether a request contains the timing header. The header requests the server's processing time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimingHeader {
    Requested,
    Absent,
}

impl TimingHeader {
    /// The header of requests that need the server's processing time. A kernel does not report this time, and a reply
    /// that is the unchanged request has no place for it.
    pub(crate) fn requested_from(protocol: &Protocol) -> Self {
        match (protocol.responder, protocol.reply_form) {
            (Responder::Program(_), ReplyForm::UpperCase) => Self::Requested,
            (Responder::Kernel, _) | (_, ReplyForm::Unchanged) => Self::Absent,
        }
    }
}

/// The requests of a run. They differ only in their number.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    request: Vec<u8>,
    /// The reply of a server that does not support timing headers.
    expected: Vec<u8>,
    /// The length of the timing header, or of the bytes that replace it.
    header_len: usize,
    timing: TimingHeader,
    numbering: Numbering,
    form: ReplyForm,
}

/// The result of the comparison of received bytes with the expected reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplyCheck {
    /// The complete reply, with the processing time if the server reported it.
    Complete(Option<Timing>),
    /// The beginning of the expected reply.
    Incomplete,
    /// Not the expected reply.
    Wrong(Mismatch),
}

/// The difference between a received reply and the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    MalformedTimingHeader,
    /// The reported processing time is longer than the RTT.
    ImpossibleServerTime,
    /// The first different byte. The first byte of a reply has position 1.
    DiffersAtByte(usize),
    TooLong {
        extra: usize,
        expected: usize,
    },
    /// Only for datagrams. On a stream, the rest of a reply can still arrive.
    TooShort {
        received: usize,
        expected: usize,
    },
    /// Only for streams: bytes arrived, but no request waits for a reply.
    NoRequestInFlight,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedTimingHeader => f.write_str("the timing header is malformed"),
            Self::ImpossibleServerTime => {
                f.write_str("the reported processing time is longer than the RTT")
            }
            Self::DiffersAtByte(position) => {
                write!(f, "the reply differs from the expected reply at byte {position}")
            }
            Self::TooLong { extra, expected } => {
                write!(f, "the reply is {extra} bytes longer than the expected {expected} bytes")
            }
            Self::TooShort { received, expected } => {
                write!(f, "the reply has {received} bytes instead of {expected}")
            }
            Self::NoRequestInFlight => f.write_str("bytes arrived, but no request was in flight"),
        }
    }
}

impl Payload {
    /// Requests with this text. If the text is too long for a timing header, the requests have no timing header.
    pub(crate) fn of_text(
        text: &[u8],
        numbering: Numbering,
        timing: TimingHeader,
        form: ReplyForm,
    ) -> Self {
        let number_len = number_len(numbering);
        let fits = HEADER_LEN + number_len + text.len() <= MAX_TIMED_LEN;
        let timing = if fits { timing } else { TimingHeader::Absent };
        let mut request = vec![b' '; header_len(timing) + number_len];
        request.extend_from_slice(text);
        Self::new(request, timing, numbering, form)
    }

    /// Numbered requests of `size` bytes, at least [`Payload::min_size`]. If the size is too large for a timing header,
    /// the requests have no timing header.
    pub(crate) fn of_size(size: usize, timing: TimingHeader, form: ReplyForm) -> Self {
        let timing = if size <= MAX_TIMED_LEN { timing } else { TimingHeader::Absent };
        let mut request = vec![b' '; Self::min_size(timing)];
        let filler_len = size.saturating_sub(request.len());
        request.extend(FILLER.iter().cycle().take(filler_len));
        Self::new(request, timing, Numbering::Numbered, form)
    }

    /// The size of the shortest numbered request, in bytes.
    pub(crate) fn min_size(timing: TimingHeader) -> usize {
        header_len(timing) + NUMBER_LEN
    }

    fn new(
        mut request: Vec<u8>,
        timing: TimingHeader,
        numbering: Numbering,
        form: ReplyForm,
    ) -> Self {
        let header_len = header_len(timing);
        if timing == TimingHeader::Requested {
            let header = header::request_header(request.len());
            request[..header_len].copy_from_slice(&header);
        }
        let expected = reply_to(&request, form);
        Self { request, expected, header_len, timing, numbering, form }
    }

    /// The same requests without the timing header. Other bytes replace it, so that the length does not
    /// change.
    pub(crate) fn without_timing(&self) -> Self {
        let mut request = self.request.clone();
        request[..self.header_len].fill(b'.');
        let expected = reply_to(&request, self.form);
        Self { request, expected, timing: TimingHeader::Absent, ..*self }
    }

    /// The request with number `seq`.
    pub(crate) fn request(&mut self, seq: u64) -> &[u8] {
        write_number(&mut self.request, self.header_len, self.numbering, seq);
        &self.request
    }

    pub(crate) fn request_len(&self) -> usize {
        self.request.len()
    }

    pub(crate) fn reply_len(&self) -> usize {
        self.expected.len()
    }

    /// The number in a reply, or in the part of a request that an ICMP error quotes. Returns `None` without a number at
    /// the expected position.
    pub(crate) fn number_in(&self, bytes: &[u8]) -> Option<u64> {
        let digits = bytes.get(self.header_len..self.header_len + NUMBER_LEN)?;
        (self.numbering == Numbering::Numbered).then(|| header::parse_digits(digits)).flatten()
    }

    /// The position of the user's text in a request and in a reply: after the header and the number.
    pub(crate) fn text_offset(&self) -> usize {
        self.header_len + number_len(self.numbering)
    }

    /// Compares the bytes `received` so far with the reply to request `seq`. An earlier call has already compared the
    /// first `checked` bytes.
    pub(crate) fn check(&mut self, seq: u64, received: &[u8], checked: usize) -> ReplyCheck {
        write_number(&mut self.expected, self.header_len, self.numbering, seq);
        let expected = &self.expected[..];
        let mut end = received.len().min(expected.len());
        let mut start = checked;
        let mut timing = None;
        if self.timing == TimingHeader::Requested {
            match received
                .first_chunk()
                .map(|bytes| header::parse_reply_header(bytes, expected.len()))
            {
                // The header is incomplete. It is checked as a whole after its last byte has arrived.
                None => end = end.min(COMMON_HEADER_LEN),
                // A server without support for timing headers.
                Some(ReplyHeader::Plain) => {}
                Some(ReplyHeader::Timed(reported)) => {
                    timing = Some(reported);
                    start = start.max(HEADER_LEN);
                }
                Some(ReplyHeader::Malformed) => {
                    return ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
                }
            }
        }
        let start = start.min(end);
        let pairs = received[start..end].iter().zip(&expected[start..end]);
        let equal = start + pairs.take_while(|(received, expected)| received == expected).count();
        if equal < end {
            ReplyCheck::Wrong(Mismatch::DiffersAtByte(equal + 1))
        } else if received.len() > expected.len() {
            let (extra, expected) = (received.len() - expected.len(), expected.len());
            ReplyCheck::Wrong(Mismatch::TooLong { extra, expected })
        } else if received.len() < expected.len() {
            ReplyCheck::Incomplete
        } else {
            ReplyCheck::Complete(timing)
        }
    }
}

fn header_len(timing: TimingHeader) -> usize {
    match timing {
        TimingHeader::Requested => HEADER_LEN,
        TimingHeader::Absent => 0,
    }
}

/// The length of the number and the space before a text.
fn number_len(numbering: Numbering) -> usize {
    match numbering {
        Numbering::Numbered => NUMBER_LEN + 1,
        Numbering::Unnumbered => 0,
    }
}

fn write_number(bytes: &mut [u8], offset: usize, numbering: Numbering, seq: u64) {
    if numbering == Numbering::Numbered {
        header::write_digits(&mut bytes[offset..offset + NUMBER_LEN], seq);
    }
}

/// The correct reply to `request`, without timings.
fn reply_to(request: &[u8], form: ReplyForm) -> Vec<u8> {
    match form {
        ReplyForm::UpperCase => uppercase(request),
        ReplyForm::Unchanged => request.to_vec(),
    }
}

fn uppercase(text: &[u8]) -> Vec<u8> {
    let mut text = BytesMut::from(text);
    echo_core::uppercase(&mut text);
    text.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_core::header::ArrivalClock;
    use std::time::Duration;

    const UPPER: ReplyForm = ReplyForm::UpperCase;

    fn message(text: &str) -> Payload {
        Payload::of_text(text.as_bytes(), Numbering::Unnumbered, TimingHeader::Absent, UPPER)
    }

    fn differs_at(position: usize) -> ReplyCheck {
        ReplyCheck::Wrong(Mismatch::DiffersAtByte(position))
    }

    #[test]
    fn reply_must_be_the_request_in_upper_case() {
        let mut payload = message("hello");
        assert_eq!(payload.request(1), b"hello");
        assert_eq!(payload.check(1, b"HELLO", 0), ReplyCheck::Complete(None));
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
            Payload::of_text(text, unnumbered, TimingHeader::Absent, ReplyForm::Unchanged);
        assert_eq!(payload.check(1, text, 0), ReplyCheck::Complete(None));
        assert_eq!(payload.check(1, b"STRASSE", 0), differs_at(1));
        let series = Payload::of_size(64, TimingHeader::Absent, ReplyForm::Unchanged);
        for mut payload in [series.without_timing(), series] {
            let reply = payload.request(3).to_vec();
            assert_eq!(payload.check(3, &reply, 0), ReplyCheck::Complete(None));
            assert_eq!(payload.check(4, &reply, 0), differs_at(10));
        }
    }

    #[test]
    fn bytes_that_were_checked_earlier_are_skipped() {
        let mut payload = message("hello");
        assert_eq!(payload.check(1, b"HELLO", 3), ReplyCheck::Complete(None));
        assert_eq!(payload.check(1, b"HELlo", 3), differs_at(4));
    }

    #[test]
    fn conversion_to_upper_case_does_not_change_the_number() {
        let street = "straße".as_bytes();
        for mut payload in [
            Payload::of_size(32, TimingHeader::Absent, UPPER),
            Payload::of_text(street, Numbering::Numbered, TimingHeader::Absent, UPPER),
        ] {
            let reply = uppercase(payload.request(4711));
            assert_eq!(payload.number_in(&reply), Some(4711));
            assert_eq!(payload.check(4711, &reply, 0), ReplyCheck::Complete(None));
            assert_eq!(payload.check(4712, &reply, 0), differs_at(10));
        }
        let mut payload = Payload::of_size(32, TimingHeader::Absent, UPPER);
        assert_eq!(payload.request_len(), 32);
        assert_eq!(payload.number_in(b"GARBAGE THAT IS LONG ENOUGH"), None);
        assert_eq!(payload.number_in(b"000"), None);
        payload = Payload::of_size(10, TimingHeader::Absent, UPPER);
        assert_eq!(payload.request(7), b"0000000007");
    }

    #[test]
    fn reply_is_complete_with_and_without_a_timing_header() {
        let mut payload = Payload::of_size(64, TimingHeader::Requested, UPPER);
        let plain = uppercase(payload.request(7));
        assert_eq!(payload.check(7, &plain, 0), ReplyCheck::Complete(None));
        assert_eq!(payload.number_in(&plain), Some(7));

        let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(3) };
        let mut timed = plain.clone();
        timed[..HEADER_LEN].copy_from_slice(&header::reply_header(64, timing));
        for cut in 0..64 {
            assert_eq!(payload.check(7, &timed[..cut], 0), ReplyCheck::Incomplete, "{cut}");
            assert_eq!(payload.check(7, &timed, cut), ReplyCheck::Complete(Some(timing)), "{cut}");
        }
        timed[30] = b'x';
        let malformed = ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
        assert_eq!(payload.check(7, &timed, 0), malformed);
        assert_eq!(payload.check(7, b"HTTP/1.1", 0), differs_at(1));
    }

    #[test]
    fn request_without_timing_has_the_same_length_and_number() {
        let mut payload = Payload::of_size(64, TimingHeader::Requested, UPPER).without_timing();
        assert_eq!(payload.request_len(), 64);
        let reply = uppercase(payload.request(9));
        assert_eq!(payload.number_in(&reply), Some(9));
        assert_eq!(payload.check(9, &reply, 0), ReplyCheck::Complete(None));
    }

    #[test]
    fn text_of_the_user_follows_the_header_and_the_number() {
        for numbering in [Numbering::Unnumbered, Numbering::Numbered] {
            for timing in [TimingHeader::Absent, TimingHeader::Requested] {
                let mut payload = Payload::of_text(b"hi", numbering, timing, UPPER);
                let offset = payload.text_offset();
                assert_eq!(&payload.request(1)[offset..], b"hi");
            }
        }
    }
}
