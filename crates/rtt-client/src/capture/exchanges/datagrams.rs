//! Pairs the datagrams of a flow. Each request starts an exchange, and each reply belongs to one exchange.
//!
//! A request matches a reply if the reply has the correct form: the request in upper case, or the unchanged request
//! ([`ReplyForm`]). The first of these rules that applies determines the exchange of a reply:
//!
//! 1. The reply belongs to the newest matching request that has no reply.
//! 2. If all matching requests already have a reply, the new reply is a duplicate. It belongs to the newest
//!    matching request.
//! 3. If no request matches, the server is probably not an echo server. The reply belongs to the oldest
//!    request that has no reply.
//! 4. If no request matches and all requests have a reply, the new reply belongs to the latest exchange.

use super::Exchanges;
use crate::model::protocol::ReplyForm;
use echo_core::header::{self, version2};
use std::time::Duration;

/// The rules above apply to this number of newest requests. Older requests are ignored.
const MAX_CANDIDATES: usize = 1000;

/// The maximum number of payload bytes that are compared.
const COMPARED_BYTES: usize = 2048;

/// The requests of a flow, for the comparison with its replies.
#[derive(Debug)]
pub(crate) struct DatagramPairing {
    reply_form: ReplyForm,
    /// The beginning of the expected reply of each exchange. Empty for an old request that is ignored.
    expected_replies: Vec<Vec<u8>>,
}

/// The exchange of a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairedReply {
    pub(crate) exchange: Option<u64>,
    pub(crate) is_duplicate: bool,
}

impl DatagramPairing {
    pub(crate) fn new(reply_form: ReplyForm) -> Self {
        Self { reply_form, expected_replies: Vec::new() }
    }

    /// Starts the exchange of a request. Returns its number.
    pub(crate) fn add_request(
        &mut self,
        payload: &[u8],
        time: Duration,
        exchanges: &mut Exchanges,
    ) -> u64 {
        self.expected_replies.push(expected_reply(payload, self.reply_form));
        if let Some(index) = self.expected_replies.len().checked_sub(MAX_CANDIDATES + 1) {
            self.expected_replies[index] = Vec::new();
        }
        exchanges.start(time)
    }

    /// Finds the exchange of a reply, and stores the time of the reply there.
    pub(crate) fn add_reply(
        &self,
        payload: &[u8],
        time: Duration,
        exchanges: &mut Exchanges,
    ) -> PairedReply {
        let matches =
            |number: &u64| self.is_expected(&self.expected_replies[index_of(*number)], payload);
        if let Some(number) =
            self.newest_first().filter(matches).find(|number| exchanges.is_open(*number))
        {
            exchanges.record_reply(number, time);
            return PairedReply { exchange: Some(number), is_duplicate: false };
        }
        if let Some(number) = self.newest_first().find(matches) {
            return PairedReply { exchange: Some(number), is_duplicate: true };
        }
        let oldest_open = self.newest_first().rev().find(|number| exchanges.is_open(*number));
        if let Some(number) = oldest_open {
            exchanges.record_reply(number, time);
        }
        PairedReply { exchange: oldest_open.or(exchanges.latest()), is_duplicate: false }
    }

    /// Whether `reply` is equal to the expected reply, up to [`COMPARED_BYTES`]. The comparison skips a timing header,
    /// because a server program writes its processing time into this header. An unchanged reply has the request's header.
    fn is_expected(&self, expected: &[u8], reply: &[u8]) -> bool {
        let reply = &reply[..reply.len().min(COMPARED_BYTES)];
        let start = match self.reply_form {
            ReplyForm::UpperCase => timing_header_len(expected),
            ReplyForm::Unchanged => 0,
        };
        expected.len() == reply.len() && expected.get(start..) == reply.get(start..)
    }

    /// The numbers of the newest exchanges.
    fn newest_first(&self) -> impl DoubleEndedIterator<Item = u64> + use<> {
        let last = self.expected_replies.len();
        let first = last.saturating_sub(MAX_CANDIDATES);
        (first..last).rev().map(|index| index as u64 + 1)
    }
}

/// The index of an exchange in the list of expected replies.
fn index_of(number: u64) -> usize {
    usize::try_from(number - 1).unwrap_or(usize::MAX)
}

/// The beginning of the correct reply to `request`.
fn expected_reply(request: &[u8], form: ReplyForm) -> Vec<u8> {
    let mut expected = bytes::BytesMut::from(&request[..request.len().min(COMPARED_BYTES)]);
    if form == ReplyForm::UpperCase {
        echo_core::uppercase(&mut expected);
    }
    // Some characters have more bytes in upper case.
    expected.truncate(COMPARED_BYTES);
    expected.to_vec()
}

/// The length of the timing header at the beginning of the expected reply, if the comparison can skip it. Other bytes must
/// follow the header. Without them, nothing would be compared, and every reply of this length would match.
fn timing_header_len(expected: &[u8]) -> usize {
    let is_version1 = expected.first_chunk().is_some_and(|header| {
        header::parse_reply_header(header, expected.len()) == header::ReplyHeader::Plain
    });
    let is_version2 = expected.first_chunk().is_some_and(|header| {
        version2::parse_reply_header(header, expected.len()) == version2::ReplyHeader::Plain
    });
    let len = match (is_version1, is_version2) {
        (true, _) => header::HEADER_LEN,
        (false, true) => version2::HEADER_LEN,
        (false, false) => 0,
    };
    if expected.len() > len { len } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of a reply to the requests `hello` and `again`.
    fn exchange_of(reply: &[u8], form: ReplyForm) -> (Option<u64>, bool) {
        let mut pairing = DatagramPairing::new(form);
        let mut exchanges = Exchanges::default();
        for request in [b"hello", b"again"] {
            pairing.add_request(request, Duration::ZERO, &mut exchanges);
        }
        // The exchange of `again` already has its reply.
        exchanges.record_reply(2, Duration::ZERO);
        let PairedReply { exchange, is_duplicate } =
            pairing.add_reply(reply, Duration::ZERO, &mut exchanges);
        (exchange, is_duplicate)
    }

    #[test]
    fn reply_form_determines_which_reply_matches() {
        for (form, matching, other) in
            [(ReplyForm::UpperCase, b"AGAIN", b"again"), (ReplyForm::Unchanged, b"again", b"AGAIN")]
        {
            assert_eq!(exchange_of(matching, form), (Some(2), true), "{form:?}");
            // Without a match, the oldest open request is used.
            assert_eq!(exchange_of(other, form), (Some(1), false), "{form:?}");
        }
    }
}
