//! Divides the two byte streams of a connection into exchanges. A byte stream has no message boundaries.
//!
//! There are two methods:
//!
//! - For exchanges of this program, the lengths of a request and of a reply are known
//!   ([`MessageLengths`]). The offset of a byte, divided by the length, gives the index of the exchange.
//!   The last byte completes the reply.
//! - For a capture file, the lengths are not known. Data from the client starts a new exchange under two
//!   conditions. First, the data follows data from the server. Second, the server has sent at least as many bytes
//!   as the client. The first condition is not sufficient, because a server can reply before it has the whole
//!   request. Each new segment from the server becomes the new end of the reply.

use super::Exchanges;
use std::time::Duration;

/// The length of each request and of each reply, in bytes. A length is at least 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageLengths {
    pub(crate) request: u64,
    pub(crate) reply: u64,
}

/// Assigns the bytes of a connection to exchanges.
#[derive(Debug)]
pub(crate) struct StreamPairing {
    lengths: Option<MessageLengths>,
    /// Whether the latest data came from the server.
    last_was_reply: bool,
}

/// The bytes of a segment. `start` is their offset in the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamBytes {
    pub(crate) start: u64,
    pub(crate) length: u64,
    pub(crate) time: Duration,
    /// The number of bytes from the server before the first gap in the capture.
    pub(crate) reply_end: u64,
}

impl StreamPairing {
    pub(crate) fn new(lengths: Option<MessageLengths>) -> Self {
        Self { lengths, last_was_reply: true }
    }

    /// The exchange of bytes from the client. Starts a new exchange if necessary.
    pub(crate) fn add_request(
        &mut self,
        bytes: StreamBytes,
        exchanges: &mut Exchanges,
    ) -> Option<u64> {
        if let Some(MessageLengths { request, .. }) = self.lengths {
            while exchanges.len() as u64 * request < bytes.start + bytes.length {
                exchanges.start(bytes.time);
            }
            return Some(bytes.start / request + 1);
        }
        let is_answered = bytes.reply_end >= bytes.start;
        if exchanges.len() == 0 || (self.last_was_reply && is_answered) {
            self.last_was_reply = false;
            exchanges.start(bytes.time);
        }
        exchanges.latest()
    }

    /// The exchange of new bytes from the server. Stores the time of each reply that these bytes complete.
    pub(crate) fn add_reply(
        &mut self,
        bytes: StreamBytes,
        exchanges: &mut Exchanges,
    ) -> Option<u64> {
        let Some(MessageLengths { reply, .. }) = self.lengths else {
            if let Some(number) = exchanges.latest() {
                exchanges.record_reply(number, bytes.time);
            }
            return self.exchange_of_reply(bytes.start, exchanges);
        };
        // If the bytes fill a gap, they can complete several replies.
        let end = (bytes.start + bytes.length).max(bytes.reply_end);
        for number in bytes.start / reply + 1..=end / reply {
            if number * reply <= bytes.reply_end && exchanges.is_open(number) {
                exchanges.record_reply(number, bytes.time);
            }
        }
        self.exchange_of_reply(bytes.start, exchanges)
    }

    /// The exchange of bytes from the server, without a change of reply times. Suitable for repeated bytes.
    pub(crate) fn exchange_of_reply(&mut self, start: u64, exchanges: &Exchanges) -> Option<u64> {
        if let Some(MessageLengths { reply, .. }) = self.lengths {
            return Some(start / reply + 1).filter(|number| *number <= exchanges.len() as u64);
        }
        self.last_was_reply = true;
        exchanges.latest()
    }
}
