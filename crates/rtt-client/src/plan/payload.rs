//! [`Payload`]: the bytes of each request, and the check of a reply against the expected bytes.
//!
//! A request has these parts, in this order:
//!
//! | part | present |
//! |---|---|
//! | timing header, 40 or 118 bytes (`docs/protocol.md`) | if the client measures the parts of the RTT, or the places of losses |
//! | number of the request, 10 decimal digits | in a series |
//! | space | between a number and a message of the user |
//! | message of the user, or filler text | if it is not empty |
//!
//! The conversion to upper case does not change digits. Every echo server returns the number unchanged, so the
//! number in a reply identifies its request.

mod request_header;

pub(crate) use request_header::{HeaderContent, ServerReport};

use crate::model::protocol::ReplyForm;
use bytes::BytesMut;
use echo_core::header;
use echo_core::header::version2::Requested;
use request_header::{ReplyStart, RequestHeader};
use std::fmt;

/// The number of digits in the number of a request.
const NUMBER_LEN: usize = 10;

/// The largest number of requests. It is the largest number with [`NUMBER_LEN`] digits.
pub(crate) const MAX_REQUESTS: u64 = 9_999_999_999;

/// The text that fills a request to its size. All its letters are lower case, so the check detects a server that
/// does not convert to upper case.
const FILLER: &[u8] = b"the quick brown fox jumps over the lazy dog ";

/// The length of `ECHO-RTT/1` or `ECHO-RTT/2`, the start of every reply header. A server that does not support timing
/// headers converts the header as text, and its reply starts with the same bytes.
const COMMON_HEADER_LEN: usize = 10;

/// Whether a payload with text contains the number of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    Numbered,
    Unnumbered,
}

/// The requests of a run. They differ only in their number.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    bytes: Variant,
    /// The requests for a server that supports only version 1 of the header, and the number of the first such request.
    version1: Option<(u64, Box<Variant>)>,
    /// The position of the number. A header, or bytes that replace it, precede the number.
    offset: usize,
    numbering: Numbering,
    form: ReplyForm,
}

/// Requests with one kind of header, and the replies to them.
#[derive(Debug, Clone)]
struct Variant {
    header: RequestHeader,
    request: Vec<u8>,
    /// The reply of a server that does not support the header.
    expected: Vec<u8>,
}

/// The result of the comparison of received bytes with the expected reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplyCheck {
    /// The complete reply, with the report of the server.
    Complete(ServerReport),
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
    /// Requests with this text. If the text is too long for a header, the requests have no header.
    pub(crate) fn of_text(
        text: &[u8],
        numbering: Numbering,
        content: HeaderContent,
        form: ReplyForm,
    ) -> Self {
        let number_len = number_len(numbering);
        let header = RequestHeader::for_text(content, numbering, number_len + text.len());
        let mut request = vec![b' '; header.len() + number_len];
        request.extend_from_slice(text);
        Self::new(request, header, numbering, form)
    }

    /// Numbered requests of `size` bytes, at least [`Payload::min_size`]. If the header does not fit in this size, the
    /// requests have no header.
    pub(crate) fn of_size(size: usize, content: HeaderContent, form: ReplyForm) -> Self {
        let header = RequestHeader::for_size(content, size);
        let mut request = vec![b' '; header.len() + NUMBER_LEN];
        let filler_len = size.saturating_sub(request.len());
        request.extend(FILLER.iter().cycle().take(filler_len));
        Self::new(request, header, Numbering::Numbered, form)
    }

    /// The size of the shortest numbered request, in bytes.
    pub(crate) fn min_size(content: HeaderContent) -> usize {
        RequestHeader::shortest(content).len() + NUMBER_LEN
    }

    fn new(request: Vec<u8>, header: RequestHeader, numbering: Numbering, form: ReplyForm) -> Self {
        let bytes = Variant::new(request, header, form);
        Self { bytes, version1: None, offset: header.len(), numbering, form }
    }

    /// The same requests without the header. Other bytes replace it, so that the length does not change.
    pub(crate) fn without_header(&self) -> Self {
        let mut request = self.bytes.request.clone();
        request[..self.offset].fill(b'.');
        let bytes = Variant::new(request, RequestHeader::Absent, self.form);
        Self { bytes, version1: None, ..*self }
    }

    /// Sets the random number of the run, which is a part of the header.
    pub(crate) fn set_run(&mut self, run: u32) {
        let Variant { header, request, expected } = &mut self.bytes;
        header.write(request, run);
        *expected = reply_to(request, self.form);
    }

    /// Whether the requests ask for the server's counts.
    pub(crate) fn requests_counts(&self) -> bool {
        matches!(self.bytes.header, RequestHeader::Version2(_))
    }

    /// Whether the client should use version 1 of the header after this reply to request `seq`: the request has version 2
    /// and needs the processing time, and the server does not support version 2.
    pub(crate) fn needs_version1(&self, seq: u64, report: ServerReport) -> bool {
        self.variant(seq).header == RequestHeader::Version2(Requested::CountsAndTimestamps)
            && report == ServerReport::None
            && self.version1.is_none()
    }

    /// Uses version 1 of the header for request `seq` and all later requests.
    pub(crate) fn use_version1_from(&mut self, seq: u64) {
        let mut request = self.bytes.request.clone();
        request[..self.offset].fill(b'.');
        let variant = Variant::new(request, RequestHeader::Version1, self.form);
        self.version1 = Some((seq, Box::new(variant)));
    }

    /// The request with number `seq`.
    pub(crate) fn request(&mut self, seq: u64) -> &[u8] {
        let (offset, numbering) = (self.offset, self.numbering);
        let variant = self.variant_mut(seq);
        write_number(&mut variant.request, offset, numbering, seq);
        &variant.request
    }

    pub(crate) fn request_len(&self) -> usize {
        self.bytes.request.len()
    }

    pub(crate) fn reply_len(&self) -> usize {
        self.bytes.expected.len()
    }

    /// The number in a reply, or in the part of a request that an ICMP error quotes. Returns `None` without a number at
    /// the expected position.
    pub(crate) fn number_in(&self, bytes: &[u8]) -> Option<u64> {
        let digits = bytes.get(self.offset..self.offset + NUMBER_LEN)?;
        (self.numbering == Numbering::Numbered).then(|| header::parse_digits(digits)).flatten()
    }

    /// The position of the user's text in a request and in a reply: after the header and the number.
    pub(crate) fn text_offset(&self) -> usize {
        self.offset + number_len(self.numbering)
    }

    /// Compares the bytes `received` so far with the reply to request `seq`. An earlier call has already compared the
    /// first `checked` bytes.
    pub(crate) fn check(&mut self, seq: u64, received: &[u8], checked: usize) -> ReplyCheck {
        let (offset, numbering) = (self.offset, self.numbering);
        let variant = self.variant_mut(seq);
        write_number(&mut variant.expected, offset, numbering, seq);
        variant.check(received, checked)
    }

    fn variant(&self, seq: u64) -> &Variant {
        match &self.version1 {
            Some((first, variant)) if seq >= *first => variant,
            _ => &self.bytes,
        }
    }

    fn variant_mut(&mut self, seq: u64) -> &mut Variant {
        match &mut self.version1 {
            Some((first, variant)) if seq >= *first => variant,
            _ => &mut self.bytes,
        }
    }
}

impl Variant {
    /// `request` has space for the header at its beginning.
    fn new(mut request: Vec<u8>, header: RequestHeader, form: ReplyForm) -> Self {
        header.write(&mut request, 0);
        let expected = reply_to(&request, form);
        Self { header, request, expected }
    }

    /// See [`Payload::check`].
    fn check(&self, received: &[u8], checked: usize) -> ReplyCheck {
        let expected = &self.expected[..];
        let mut end = received.len().min(expected.len());
        let mut start = checked;
        let mut report = ServerReport::None;
        match self.header.parse_reply(received, expected.len()) {
            // The header is incomplete. It is checked as a whole after its last byte has arrived.
            ReplyStart::Incomplete => end = end.min(COMMON_HEADER_LEN),
            ReplyStart::Plain => {}
            ReplyStart::Report(reported) => {
                report = reported;
                start = start.max(self.header.len());
            }
            ReplyStart::Malformed => {
                return ReplyCheck::Wrong(Mismatch::MalformedTimingHeader);
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
            ReplyCheck::Complete(report)
        }
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
mod tests;
