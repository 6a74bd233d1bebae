//! [`ServicePayload`]: requests to a service that is not an echo server, and the check of its replies.

use super::permutation::Permutation;
use super::{ExtraBytes, Matching, Mismatch, Quotation, ReplyCheck, ServerReport};
use crate::model::protocol::Framing;
use crate::model::service::{HOST, Identifier, ReplyEnd, ReplyRule, ReplyStart, Service};
use std::borrow::Cow;
use std::ops::Range;

/// The requests of a run to a service. They differ only in their identifier.
#[derive(Debug, Clone)]
pub(crate) struct ServicePayload {
    request: Vec<u8>,
    identifier: Option<(Identifier, Permutation)>,
    /// Whether the server sends first, after the client has connected. Over a protocol with datagrams, an empty request is a
    /// datagram without data.
    server_sends_first: bool,
    rule: ReplyRule,
    /// The maximum length of a reply, in bytes.
    max_len: usize,
    /// The facts about the replies of a predefined service. Absent for the user's requests.
    service: Option<ReplyFacts>,
    /// The largest number of a request so far.
    latest: u64,
}

/// See the fields of [`Service`] with the same names.
#[derive(Debug, Clone, Copy)]
struct ReplyFacts {
    closes_after: fn(&[u8]) -> bool,
    reported_error: fn(&[u8]) -> Option<Cow<'_, [u8]>>,
}

impl ServicePayload {
    /// The requests to a predefined service. `host` is the host and the port of the target.
    pub(crate) fn of_service(
        service: &Service,
        host: &str,
        max_len: usize,
        framing: Framing,
    ) -> Self {
        let identifier = service.identifier.clone().map(|identifier| {
            let permutation = Permutation::random(identifier.request.len());
            (identifier, permutation)
        });
        Self {
            request: replace_host(service.request, host),
            identifier,
            server_sends_first: is_greeting(service.request, framing),
            rule: service.reply.clone(),
            max_len,
            service: Some(ReplyFacts {
                closes_after: service.closes_after,
                reported_error: service.reported_error,
            }),
            latest: 0,
        }
    }

    /// The user's requests. Their replies have no number.
    pub(crate) fn of_user(
        request: &[u8],
        rule: ReplyRule,
        max_len: usize,
        framing: Framing,
    ) -> Self {
        Self {
            request: request.to_vec(),
            identifier: None,
            server_sends_first: is_greeting(request, framing),
            rule,
            max_len,
            service: None,
            latest: 0,
        }
    }

    /// The same requests with other identifiers.
    pub(super) fn with_other_identifiers(&self) -> Self {
        let identifier = self.identifier.clone().map(|(identifier, _)| {
            let permutation = Permutation::random(identifier.request.len());
            (identifier, permutation)
        });
        Self { identifier, latest: 0, ..self.clone() }
    }

    /// The largest number of requests in flight whose identifiers are different. Absent without identifiers.
    pub(crate) fn max_in_flight(&self) -> Option<u64> {
        self.identifier.as_ref().map(|(_, permutation)| permutation.mask())
    }

    /// Whether the server sends first, after the client has connected.
    pub(crate) fn server_sends_first(&self) -> bool {
        self.server_sends_first
    }

    /// Whether the rule determines the end of a reply on a stream.
    pub(crate) fn has_reply_end(&self) -> bool {
        self.rule.end != ReplyEnd::FirstBytes
    }

    pub(super) fn request(&mut self, seq: u64) -> &[u8] {
        self.latest = self.latest.max(seq);
        if let Some((identifier, permutation)) = &self.identifier {
            let bytes = permutation.apply(seq).to_be_bytes();
            let field = &mut self.request[identifier.request.clone()];
            field.copy_from_slice(&bytes[bytes.len() - field.len()..]);
        }
        &self.request
    }

    pub(super) fn request_len(&self) -> usize {
        self.request.len()
    }

    pub(super) fn reply_len(&self) -> Option<usize> {
        match self.rule.end {
            ReplyEnd::Length(len) => Some(len),
            ReplyEnd::FirstBytes | ReplyEnd::Text(_) => None,
        }
    }

    pub(super) fn matching(&self) -> Matching {
        if self.identifier.is_some() { Matching::ByNumber } else { Matching::InOrder }
    }

    pub(super) fn number_in_reply(&self, bytes: &[u8]) -> Option<u64> {
        let (identifier, permutation) = self.identifier.as_ref()?;
        self.number_at(&identifier.reply, *permutation, bytes)
    }

    pub(super) fn number_in_request(&self, bytes: &[u8]) -> Option<u64> {
        let (identifier, permutation) = self.identifier.as_ref()?;
        self.number_at(&identifier.request, *permutation, bytes)
    }

    /// The latest request with the identifier at this position.
    fn number_at(&self, position: &Range<usize>, key: Permutation, bytes: &[u8]) -> Option<u64> {
        let identifier = bytes.get(position.clone())?;
        let identifier = identifier.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let lowest_bits = key.invert(identifier);
        let age = self.latest.wrapping_sub(lowest_bits) & key.mask();
        self.latest.checked_sub(age).filter(|number| *number > 0)
    }

    pub(super) fn check_quotation(&mut self, seq: Option<u64>, quoted: &[u8]) -> Quotation {
        let Some(seq) = seq.or_else(|| self.identifier.is_none().then_some(0)) else {
            return Quotation::Incomplete;
        };
        let request = self.request(seq);
        let compared = quoted.len().min(request.len());
        if quoted[..compared] != request[..compared] {
            Quotation::Different
        } else if compared < request.len() {
            Quotation::Incomplete
        } else {
            Quotation::Complete
        }
    }

    /// See [`super::Payload::check`].
    pub(super) fn check(
        &self,
        seq: u64,
        received: &[u8],
        checked: usize,
        extra: ExtraBytes,
    ) -> ReplyCheck {
        if let Some(mismatch) = self.wrong_start(received) {
            return ReplyCheck::Wrong(mismatch);
        }
        if !self.has_identifier_of(seq, received) {
            return ReplyCheck::Wrong(Mismatch::WrongIdentifier);
        }
        let end = match &self.rule.end {
            // A stream can deliver the expected beginning in several pieces.
            ReplyEnd::FirstBytes => {
                (received.len() >= self.start_len().max(1)).then_some(received.len())
            }
            ReplyEnd::Length(len) => (received.len() >= *len).then_some(*len),
            ReplyEnd::Text(end) => {
                // The end can begin before the new bytes.
                let start = checked.min(received.len()).saturating_sub(end.len());
                find(&received[start..], end).map(|position| start + position + end.len())
            }
        };
        let Some(len) = end else {
            return if received.len() > self.max_len {
                ReplyCheck::Wrong(Mismatch::NoEnd { max: self.max_len })
            } else {
                ReplyCheck::Incomplete
            };
        };
        if len < self.start_len() {
            let expected = self.start_len();
            return ReplyCheck::Wrong(Mismatch::ShorterThanStart { received: len, expected });
        }
        // A server that sends first can send more than its greeting.
        if received.len() > len && extra == ExtraBytes::Wrong && !self.server_sends_first {
            let extra = received.len() - len;
            return ReplyCheck::Wrong(Mismatch::BytesAfterEnd { extra });
        }
        ReplyCheck::Complete { len, report: ServerReport::None }
    }

    pub(super) fn ends_connection(&self, reply: &[u8]) -> bool {
        self.service.is_some_and(|service| (service.closes_after)(reply))
    }

    /// The error that a correct reply reports, for people.
    pub(crate) fn reported_error<'a>(&self, reply: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        (self.service?.reported_error)(reply)
    }

    /// Whether any reply of sufficient length is correct.
    pub(crate) fn accepts_any_reply(&self) -> bool {
        self.service.is_none()
            && matches!(&self.rule.start, ReplyStart::Text(text) if text.is_empty())
    }

    /// See [`super::Payload::mismatch_of_part`].
    pub(super) fn mismatch_of_part(&self, received: usize) -> Mismatch {
        match self.rule.end {
            ReplyEnd::Length(expected) => Mismatch::TooShort { received, expected },
            ReplyEnd::Text(_) => Mismatch::Unfinished { received },
            ReplyEnd::FirstBytes => {
                Mismatch::ShorterThanStart { received, expected: self.start_len().max(1) }
            }
        }
    }

    /// Whether the reply contains the identifier of request `seq`, or ends before its position. True if the service has no
    /// identifier.
    fn has_identifier_of(&self, seq: u64, received: &[u8]) -> bool {
        let Some((identifier, permutation)) = &self.identifier else { return true };
        let Some(field) = received.get(identifier.reply.clone()) else { return true };
        let expected = permutation.apply(seq).to_be_bytes();
        *field == expected[expected.len() - field.len()..]
    }

    /// The difference between the received bytes and the beginning of a correct reply.
    fn wrong_start(&self, received: &[u8]) -> Option<Mismatch> {
        let equal = match &self.rule.start {
            ReplyStart::Text(text) => {
                let compared = text.len().min(received.len());
                let pairs = text.iter().zip(received);
                let equal = pairs.take_while(|(text, received)| text == received).count();
                (equal < compared).then_some(equal)
            }
            ReplyStart::Bits { position, mask, value } => received
                .get(*position)
                .is_some_and(|byte| byte & mask != *value)
                .then_some(*position),
        }?;
        Some(Mismatch::WrongStart { position: equal + 1 })
    }

    /// The length of the shortest correct reply, in bytes. It contains the identifier.
    fn start_len(&self) -> usize {
        let start = match &self.rule.start {
            ReplyStart::Text(text) => text.len(),
            ReplyStart::Bits { position, .. } => position + 1,
        };
        let identifier = self.identifier.as_ref().map(|(identifier, _)| identifier.reply.end);
        start.max(identifier.unwrap_or(0))
    }
}

/// Whether an exchange with this request is the greeting of a server that sends first.
fn is_greeting(request: &[u8], framing: Framing) -> bool {
    request.is_empty() && framing == Framing::Stream
}

/// Replaces [`HOST`] in a request.
fn replace_host(request: &[u8], host: &str) -> Vec<u8> {
    match find(request, HOST) {
        Some(position) => {
            let (before, after) = (&request[..position], &request[position + HOST.len()..]);
            [before, host.as_bytes(), after].concat()
        }
        None => request.to_vec(),
    }
}

/// The position of `text` in `bytes`. `text` is not empty.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests;
