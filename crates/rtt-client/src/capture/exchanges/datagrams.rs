//! Pairs the datagrams of a flow: each request starts an exchange, and each reply is assigned to one.
//!
//! The rules for a reply, in this order:
//!
//! 1. An echo server returns the request in upper case. The reply belongs to the newest open request with this content.
//! 2. If only requests that already have a reply match, it is a duplicate reply to the newest of them.
//! 3. If no request matches, the server is not an echo server. The reply belongs to the oldest open request.
//! 4. If no request is open, the reply belongs to the latest exchange.

use super::Exchanges;
use std::time::Duration;

/// The number of latest requests that are compared with a reply.
const MAX_CANDIDATES: usize = 1000;

/// The number of payload bytes that are compared.
const COMPARED_BYTES: usize = 2048;

/// The first bytes of a timing header in upper case (docs/protocol.md).
const TIMING_HEADER_MAGIC: &[u8] = b"ECHO-RTT";

/// Remembers the requests of a flow.
#[derive(Debug, Default)]
pub(in crate::capture) struct DatagramPairing {
    /// The beginning of the expected reply of each exchange. Empty for requests that are no longer compared.
    expected_replies: Vec<Vec<u8>>,
}

/// The exchange of a reply.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct PairedReply {
    pub(in crate::capture) exchange: Option<u64>,
    pub(in crate::capture) is_duplicate: bool,
}

impl DatagramPairing {
    /// Starts the exchange of a request, and returns its number.
    pub(in crate::capture) fn add_request(
        &mut self,
        payload: &[u8],
        time: Duration,
        exchanges: &mut Exchanges,
    ) -> u64 {
        self.expected_replies.push(expected_reply(payload));
        if let Some(index) = self.expected_replies.len().checked_sub(MAX_CANDIDATES + 1) {
            self.expected_replies[index] = Vec::new();
        }
        exchanges.start(time)
    }

    /// Assigns a reply to an exchange.
    pub(in crate::capture) fn add_reply(
        &self,
        payload: &[u8],
        time: Duration,
        exchanges: &mut Exchanges,
    ) -> PairedReply {
        let matches =
            |number: &u64| is_expected(&self.expected_replies[index_of(*number)], payload);
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

    /// The numbers of the latest exchanges.
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

/// The beginning of the reply that an echo server sends: the request in upper case.
fn expected_reply(request: &[u8]) -> Vec<u8> {
    let mut expected = bytes::BytesMut::from(&request[..request.len().min(COMPARED_BYTES)]);
    echo_core::uppercase(&mut expected);
    // Some characters have more bytes in upper case.
    expected.truncate(COMPARED_BYTES);
    expected.to_vec()
}

/// Whether `reply` begins like the expected reply. Our servers write their timing into the header, so a header is not
/// compared.
fn is_expected(expected: &[u8], reply: &[u8]) -> bool {
    const HEADER: usize = echo_core::header::HEADER_LEN;
    let reply = &reply[..reply.len().min(COMPARED_BYTES)];
    let has_header = expected.len() > HEADER && expected.starts_with(TIMING_HEADER_MAGIC);
    let start = if has_header { HEADER } else { 0 };
    expected.len() == reply.len() && expected.get(start..) == reply.get(start..)
}
