//! [`EchoPayload`]: requests to an echo server, and the check of a reply against the expected bytes.
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

mod expected_form;
mod number_field;
mod request_header;
mod token;

pub(crate) use expected_form::ExpectedForm;
pub(crate) use request_header::{HeaderContent, ServerReport};
pub(super) use token::TokenKey;
pub(crate) use token::{MIN_TOKEN_BITS, TOKEN_BITS, TOKEN_LEN};

use super::reply_check::{ExtraBytes, Mismatch, Quotation, ReplyCheck};
use crate::model::protocol::ReplyForm;
use bytes::BytesMut;
use echo_core::header::MAX_TIMED_LEN;
use echo_core::header::version2::{self, Requested};
use expected_form::PossibleForms;
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
pub(crate) struct EchoPayload {
    bytes: Variant,
    /// The requests for a server that supports only version 1 of the header, and the number of the first such request.
    version1: Option<(u64, Box<Variant>)>,
    number: NumberField,
    form: ExpectedForm,
    /// The forms that the bytes of the incomplete reply permit, while the form is not known.
    possible: PossibleForms,
}

/// Requests with one kind of header, and the replies to them.
#[derive(Debug, Clone)]
struct Variant {
    header: RequestHeader,
    request: Vec<u8>,
    /// The request in upper case: the reply of a server that converts the text and does not support the header.
    upper_case: Vec<u8>,
}

impl EchoPayload {
    /// Requests with this text. If the text is too long for a header, the requests have no header. `max_len` is the maximum
    /// length of a request and a reply. If it leaves too little space for the token, the token is shorter.
    pub(crate) fn of_text(
        text: &[u8],
        numbering: Numbering,
        content: HeaderContent,
        form: impl Into<ExpectedForm>,
        max_len: usize,
    ) -> Self {
        let form = form.into();
        let number_len = match numbering {
            Numbering::Numbered => NUMBER_LEN + SPACE_LEN,
            Numbering::Unnumbered => 0,
        };
        let header = RequestHeader::for_text(content, numbering, number_len + text.len());
        let max_len = if header.len() == 0 { max_len } else { max_len.min(MAX_TIMED_LEN) };
        let longest = header.len() + number_len + form.longest_reply(text);
        let number = NumberField::new(header.len(), numbering, max_len.saturating_sub(longest));
        let mut request = vec![b' '; number.text_offset()];
        request.extend_from_slice(text);
        Self::new(request, header, number, form)
    }

    /// Numbered requests of `size` bytes, at least [`EchoPayload::min_size`]. If the header does not fit in this size, the
    /// requests have no header. If the token does not fit, it is shorter.
    pub(crate) fn of_size(
        size: usize,
        content: HeaderContent,
        form: impl Into<ExpectedForm>,
    ) -> Self {
        let header = RequestHeader::for_size(content, size);
        let space = size.saturating_sub(header.len() + NUMBER_LEN);
        let number = NumberField::new(header.len(), Numbering::Numbered, space);
        let mut request = vec![b' '; number.end()];
        let filler_len = size.saturating_sub(request.len());
        request.extend(FILLER.iter().cycle().take(filler_len));
        Self::new(request, header, number, form.into())
    }

    /// The size of the shortest numbered request without a header, but with the whole token, in bytes.
    pub(crate) const MIN_SIZE_WITH_TOKEN: usize = NUMBER_LEN + SPACE_LEN + TOKEN_LEN + SPACE_LEN;

    /// The size of the shortest numbered request, in bytes.
    pub(crate) fn min_size(content: HeaderContent) -> usize {
        RequestHeader::shortest(content).len() + NUMBER_LEN
    }

    fn new(
        request: Vec<u8>,
        header: RequestHeader,
        number: NumberField,
        form: ExpectedForm,
    ) -> Self {
        let possible = PossibleForms::Both;
        Self { bytes: Variant::new(request, header), version1: None, number, form, possible }
    }

    /// The same requests without the header, and with other tokens. Other bytes replace the header, so that the length does
    /// not change.
    pub(crate) fn without_header(&self) -> Self {
        let mut request = self.bytes.request.clone();
        request[..self.number.offset()].fill(b'.');
        let bytes = Variant::new(request, RequestHeader::Absent);
        let mut payload = Self { bytes, version1: None, ..*self };
        payload.number.choose_key();
        payload
    }

    /// Starts a run: chooses a new key for the tokens, and sets the random number of the run, which is a part of the
    /// header.
    pub(crate) fn start_run(&mut self, run: u32) {
        self.number.choose_key();
        let Variant { header, request, upper_case } = &mut self.bytes;
        header.write(request, run);
        *upper_case = uppercase(request);
    }

    /// Whether the header of the requests requests the server's counts.
    pub(crate) fn requests_counts(&self) -> bool {
        matches!(self.bytes.header, RequestHeader::Version2(_))
    }

    /// Whether the client should use version 1 of the header after this reply to request `seq`: the request has version 2
    /// and needs the processing time, and the server does not support version 2. A server that returns the request unchanged
    /// supports no version.
    pub(crate) fn needs_version1(&self, seq: u64, report: ServerReport) -> bool {
        self.form != ExpectedForm::Fixed(ReplyForm::Unchanged)
            && self.variant(seq).header == RequestHeader::Version2(Requested::CountsAndTimestamps)
            && report == ServerReport::None
            && self.version1.is_none()
    }

    /// Uses version 1 of the header for request `seq` and all later requests.
    pub(crate) fn use_version1_from(&mut self, seq: u64) {
        let mut request = self.bytes.request.clone();
        request[..self.number.offset()].fill(b'.');
        let variant = Variant::new(request, RequestHeader::Version1);
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

    /// The length of a reply, in bytes. If its form is not known yet, the length of the longest form.
    pub(crate) fn reply_len(&self) -> usize {
        let Variant { request, upper_case, .. } = &self.bytes;
        match self.form {
            ExpectedForm::Fixed(ReplyForm::UpperCase) => upper_case.len(),
            ExpectedForm::Fixed(ReplyForm::Unchanged) => request.len(),
            ExpectedForm::OfFirstReply => upper_case.len().max(request.len()),
        }
    }

    /// The form of correct replies.
    pub(crate) fn form(&self) -> ExpectedForm {
        self.form
    }

    /// The form of the replies, if it is known: the caller has selected it, or a reply has shown it.
    pub(crate) fn reply_form(&self) -> Option<ReplyForm> {
        self.form.known()
    }

    /// Only replies of this form are correct from now on.
    pub(super) fn expect_form(&mut self, form: ReplyForm) {
        self.form = form.into();
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
    /// first `checked` bytes. The first complete reply can select the form of all later replies.
    pub(crate) fn check(
        &mut self,
        seq: u64,
        received: &[u8],
        checked: usize,
        extra: ExtraBytes,
    ) -> ReplyCheck {
        let (number, form, mut possible) = (self.number, self.form, self.possible);
        let variant = self.variant_mut(seq);
        number.write(&mut variant.upper_case, seq);
        number.write(&mut variant.request, seq);
        let check_form = |form, checked| variant.check(received, checked, form, extra);
        let (check, known_form) = match form {
            ExpectedForm::Fixed(form) => {
                let check = check_form(form, checked);
                let is_other_form = || check_form(form.other(), 0).is_complete();
                if matches!(check, ReplyCheck::Wrong(_)) && is_other_form() {
                    return ReplyCheck::Wrong(Mismatch::OtherForm { expected: form });
                }
                (check, Some(form))
            }
            ExpectedForm::OfFirstReply => {
                if checked == 0 {
                    possible = PossibleForms::Both;
                }
                let (check, forms, selected) =
                    expected_form::select(possible, |form| check_form(form, checked));
                possible = forms;
                (check, selected)
            }
        };
        let check = match check {
            ReplyCheck::Wrong(Mismatch::DiffersAtByte(position))
                if number.token().contains(&(position - 1))
                    && !has_token_in_other_case(received, &variant.request, number.token()) =>
            {
                ReplyCheck::Wrong(Mismatch::WrongToken)
            }
            check => check,
        };
        self.possible = possible;
        if let Some(form) = known_form {
            self.form = form.into();
        }
        check
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
    fn new(mut request: Vec<u8>, header: RequestHeader) -> Self {
        header.write(&mut request, 0);
        let upper_case = uppercase(&request);
        Self { header, request, upper_case }
    }

    /// Compares with the reply of this form. See [`EchoPayload::check`].
    fn check(
        &self,
        received: &[u8],
        checked: usize,
        form: ReplyForm,
        extra: ExtraBytes,
    ) -> ReplyCheck {
        // An unchanged reply also contains the unchanged header of the request.
        let (header, expected) = match form {
            ReplyForm::UpperCase => (self.header, &self.upper_case[..]),
            ReplyForm::Unchanged => (RequestHeader::Absent, &self.request[..]),
        };
        let mut end = received.len().min(expected.len());
        let mut start = checked;
        let mut report = ServerReport::None;
        match header.parse_reply(received, expected.len()) {
            // The header is incomplete. It is checked as a whole after its last byte has arrived.
            ReplyStart::Incomplete => end = end.min(COMMON_HEADER_LEN),
            ReplyStart::Plain => {}
            ReplyStart::Report(reported) => {
                report = reported;
                start = start.max(header.len());
            }
            // Other services send no timing header, so the comparison below finds the different byte.
            ReplyStart::Malformed
                if received[..COMMON_HEADER_LEN] != expected[..COMMON_HEADER_LEN] =>
            {
                start = 0;
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
        } else if received.len() > expected.len() && extra == ExtraBytes::Wrong {
            let (extra, expected) = (received.len() - expected.len(), expected.len());
            ReplyCheck::Wrong(Mismatch::TooLong { extra, expected })
        } else if received.len() < expected.len() {
            ReplyCheck::Incomplete
        } else {
            ReplyCheck::Complete { len: expected.len(), report }
        }
    }
}

/// Whether the received part of the token is the expected one, apart from the case of ASCII letters. A server that converts
/// to lower case changes the token, but it has received the request.
fn has_token_in_other_case(received: &[u8], request: &[u8], token: Range<usize>) -> bool {
    let token = token.start..token.end.min(received.len());
    received[token.clone()].eq_ignore_ascii_case(&request[token])
}

fn uppercase(text: &[u8]) -> Vec<u8> {
    let mut text = BytesMut::from(text);
    echo_core::uppercase(&mut text);
    text.to_vec()
}

#[cfg(test)]
mod tests;
