//! [`Payload`]: the bytes of each request, and the check of a reply against the expected bytes.
//!
//! A request has these parts, in this order:
//!
//! | part | present |
//! |---|---|
//! | timing header, 40 or 118 bytes (`docs/protocol.md`) | if the client measures the parts of the RTT, or the places of losses |
//! | number of the request, 10 decimal digits | in a series |
//! | token of the request, 13 characters of base32, or its beginning if the space is too small | in a series |
//! | space | between a token and a message of the user |
//! | message of the user, or filler text | if it is not empty |
//!
//! The conversion to upper case does not change the number and the token. Every echo server returns them unchanged. So
//! the number in a reply identifies its request, and the token shows that the server has received this request. A single
//! message of the user has neither a number nor a token.

mod number_field;
mod reply_check;
mod request_header;
mod token;

pub(crate) use reply_check::{Mismatch, Quotation, ReplyCheck};
pub(crate) use request_header::{HeaderContent, ServerReport};
pub(crate) use token::{MIN_TOKEN_BITS, TOKEN_BITS, TOKEN_LEN};

use crate::model::protocol::ReplyForm;
use bytes::BytesMut;
use echo_core::header::MAX_TIMED_LEN;
use echo_core::header::version2::{self, Requested};
use number_field::NumberField;
use request_header::{ReplyStart, RequestHeader};
use std::ops::Range;

/// The number of digits in the number of a request.
const NUMBER_LEN: usize = 10;

/// The length of the space between a token and a message of the user.
const SPACE_LEN: usize = 1;

/// The largest number of requests. It is the largest number with [`NUMBER_LEN`] digits.
pub(crate) const MAX_REQUESTS: u64 = 9_999_999_999;

/// The text that fills a request to its size. All its letters are lower case, so the check detects a server that
/// does not convert to upper case.
const FILLER: &[u8] = b"the quick brown fox jumps over the lazy dog ";

/// The length of `ECHO-RTT/1` or `ECHO-RTT/2`, the start of every reply header. A server that does not support timing
/// headers converts the header as text, and its reply starts with the same bytes.
const COMMON_HEADER_LEN: usize = 10;

/// The largest number of bytes of a request up to the end of its token. A quotation of a request is compared up to this
/// position.
pub(crate) const MAX_VERIFIED_LEN: usize = version2::MIN_LEN + TOKEN_LEN;

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
    number: NumberField,
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

impl Payload {
    /// Requests with this text. If the text is too long for a header, the requests have no header. `max_len` is the maximum
    /// length of a request and a reply. If it leaves too little space for the token, the token is shorter.
    pub(crate) fn of_text(
        text: &[u8],
        numbering: Numbering,
        content: HeaderContent,
        form: ReplyForm,
        max_len: usize,
    ) -> Self {
        let number_len = match numbering {
            Numbering::Numbered => NUMBER_LEN + SPACE_LEN,
            Numbering::Unnumbered => 0,
        };
        let header = RequestHeader::for_text(content, numbering, number_len + text.len());
        let max_len = if header.len() == 0 { max_len } else { max_len.min(MAX_TIMED_LEN) };
        let longest = header.len() + number_len + text.len().max(reply_to(text, form).len());
        let number = NumberField::new(header.len(), numbering, max_len.saturating_sub(longest));
        let mut request = vec![b' '; number.text_offset()];
        request.extend_from_slice(text);
        Self::new(request, header, number, form)
    }

    /// Numbered requests of `size` bytes, at least [`Payload::min_size`]. If the header does not fit in this size, the
    /// requests have no header. If the token does not fit, it is shorter.
    pub(crate) fn of_size(size: usize, content: HeaderContent, form: ReplyForm) -> Self {
        let header = RequestHeader::for_size(content, size);
        let space = size.saturating_sub(header.len() + NUMBER_LEN);
        let number = NumberField::new(header.len(), Numbering::Numbered, space);
        let mut request = vec![b' '; number.end()];
        let filler_len = size.saturating_sub(request.len());
        request.extend(FILLER.iter().cycle().take(filler_len));
        Self::new(request, header, number, form)
    }

    /// The size of the shortest numbered request, in bytes.
    pub(crate) fn min_size(content: HeaderContent) -> usize {
        RequestHeader::shortest(content).len() + NUMBER_LEN
    }

    fn new(request: Vec<u8>, header: RequestHeader, number: NumberField, form: ReplyForm) -> Self {
        Self { bytes: Variant::new(request, header, form), version1: None, number, form }
    }

    /// The same requests without the header, and with other tokens. Other bytes replace the header, so that the length does
    /// not change.
    pub(crate) fn without_header(&self) -> Self {
        let mut request = self.bytes.request.clone();
        request[..self.number.offset()].fill(b'.');
        let bytes = Variant::new(request, RequestHeader::Absent, self.form);
        let mut payload = Self { bytes, version1: None, ..*self };
        payload.number.choose_key();
        payload
    }

    /// Starts a run: chooses a new key for the tokens, and sets the random number of the run, which is a part of the
    /// header.
    pub(crate) fn start_run(&mut self, run: u32) {
        self.number.choose_key();
        let Variant { header, request, expected } = &mut self.bytes;
        header.write(request, run);
        *expected = reply_to(request, self.form);
    }

    /// Whether the header of the requests requests the server's counts.
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
        request[..self.number.offset()].fill(b'.');
        let variant = Variant::new(request, RequestHeader::Version1, self.form);
        self.version1 = Some((seq, Box::new(variant)));
    }

    /// The request with number `seq`.
    pub(crate) fn request(&mut self, seq: u64) -> &[u8] {
        let number = self.number;
        let request = &mut self.variant_mut(seq).request;
        number.write(request, seq);
        request
    }

    /// The number of bits in the token of a request. Absent if the request is a message without a number.
    pub(crate) fn token_bits(&self) -> Option<u32> {
        self.number.token_bits()
    }

    /// Compares the bytes that an ICMP error quotes with request `seq`. `seq` is `None` if neither the error nor the bytes
    /// contain a number.
    pub(crate) fn check_quotation(&mut self, seq: Option<u64>, quoted: &[u8]) -> Quotation {
        let token_bits = self.token_bits();
        let is_numbered = token_bits.is_some();
        let can_verify = token_bits.is_none_or(|bits| bits >= MIN_TOKEN_BITS);
        let (number_end, token_end) = (self.number.offset() + NUMBER_LEN, self.number.end());
        if is_numbered && seq.is_none() {
            let has_space = quoted.len() >= number_end;
            return if has_space { Quotation::Different } else { Quotation::Incomplete };
        }
        let request = self.request(seq.unwrap_or(0));
        let needed = if is_numbered { token_end } else { request.len().min(MAX_VERIFIED_LEN) };
        let compared = quoted.len().min(request.len());
        if quoted[..compared] != request[..compared] {
            Quotation::Different
        } else if compared < needed || !can_verify {
            Quotation::Incomplete
        } else {
            Quotation::Complete
        }
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
        self.number.parse(bytes)
    }

    /// The position of the user's text in a request and in a reply: after the header, the number and the token.
    pub(crate) fn text_offset(&self) -> usize {
        self.number.text_offset()
    }

    /// Compares the bytes `received` so far with the reply to request `seq`. An earlier call has already compared the
    /// first `checked` bytes.
    pub(crate) fn check(&mut self, seq: u64, received: &[u8], checked: usize) -> ReplyCheck {
        let number = self.number;
        let variant = self.variant_mut(seq);
        number.write(&mut variant.expected, seq);
        match variant.check(received, checked) {
            ReplyCheck::Wrong(Mismatch::DiffersAtByte(position))
                if number.token().contains(&(position - 1))
                    && !has_token_in_other_case(received, &variant.expected, number.token()) =>
            {
                ReplyCheck::Wrong(Mismatch::WrongToken)
            }
            check => check,
        }
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

/// Whether the received part of the token is the expected one, apart from the case of ASCII letters. A server that converts
/// to lower case changes the token, but it has received the request.
fn has_token_in_other_case(received: &[u8], expected: &[u8], token: Range<usize>) -> bool {
    let token = token.start..token.end.min(received.len());
    received[token.clone()].eq_ignore_ascii_case(&expected[token])
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
