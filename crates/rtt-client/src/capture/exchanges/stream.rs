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
    /// With known lengths: the number of replies, from the first one on, that the capture contains completely.
    complete_replies: u64,
}

/// The bytes of a segment. `start` is their offset in the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamBytes {
    pub(crate) start: u64,
    /// The number of bytes that the capture contains. The length in a forged header can be larger.
    pub(crate) captured: u64,
    pub(crate) time: Duration,
    /// The number of bytes from the server before the first gap in the capture.
    pub(crate) reply_end: u64,
}

impl StreamPairing {
    pub(crate) fn new(lengths: Option<MessageLengths>) -> Self {
        Self { lengths, last_was_reply: true, complete_replies: 0 }
    }

    /// The exchange of bytes from the client. Starts new exchanges if necessary.
    ///
    /// The bytes of the segment start at most one exchange for each captured byte, and at least one exchange. This bounds
    /// the number of exchanges by the size of the capture, whatever the sequence numbers are.
    pub(crate) fn add_request(
        &mut self,
        bytes: StreamBytes,
        exchanges: &mut Exchanges,
    ) -> Option<u64> {
        if let Some(MessageLengths { request, .. }) = self.lengths {
            let first = bytes.start / request + 1;
            let last_byte = bytes.start + bytes.captured.saturating_sub(1);
            for number in first..=last_byte / request + 1 {
                exchanges.start_number(number, bytes.time);
            }
            return Some(first);
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
        if let Some(MessageLengths { reply, .. }) = self.lengths {
            // If the bytes fill a gap, they can complete several replies.
            let complete = bytes.reply_end / reply;
            exchanges.record_complete_replies(self.complete_replies + 1..=complete, bytes.time);
            self.complete_replies = complete;
        } else if let Some(number) = exchanges.latest() {
            exchanges.record_reply(number, bytes.time);
        }
        self.exchange_of_reply(bytes.start, exchanges)
    }

    /// The exchange of bytes from the server. Does not change the times of replies, so repeated bytes are allowed.
    pub(crate) fn exchange_of_reply(&mut self, start: u64, exchanges: &Exchanges) -> Option<u64> {
        if let Some(MessageLengths { reply, .. }) = self.lengths {
            return Some(start / reply + 1).filter(|number| exchanges.get(*number).is_some());
        }
        self.last_was_reply = true;
        exchanges.latest()
    }
}
