//! The replies in a stream of bytes.

use super::{Channel, ChannelEvent};
use crate::analysis::accounting::{ReceivedReply, beginning_of};
use crate::model::protocol::Framing;
use crate::net::system::WaitUntil;
use crate::net::transport::Received;
use crate::plan::payload::{ExtraBytes, Mismatch, Payload, ReplyCheck};
use std::time::Instant;

/// The maximum number of reads that discard bytes. A server that sends without a pause must not delay the next request.
const MAX_DISCARDED_READS: u32 = 64;

impl Channel {
    /// Discards the bytes that have arrived before a request, if replies have no end. They belong to an earlier reply. A
    /// datagram can be the late reply to another request, so it is not discarded.
    pub(in crate::engine) fn discard_rest_of_reply(&mut self, payload: &Payload) {
        let has_rest = self.framing == Framing::Stream && self.replies > 0;
        if has_rest && payload.allows_bytes_after_reply() {
            self.discard_received();
        }
    }

    fn discard_received(&mut self) {
        self.partial.clear();
        for _ in 0..MAX_DISCARDED_READS {
            let until = WaitUntil::Exact(Instant::now());
            // The end of the connection, or an error, makes the next send or receive call fail.
            let Ok(Received::Bytes { .. }) = self.transport.receive(until) else { return };
            self.discarded_since_request = true;
        }
    }

    /// Removes the incomplete reply to the oldest request. It will not be complete in time. The channel must not be used
    /// again.
    pub(in crate::engine) fn take_unfinished(
        &mut self,
        payload: &Payload,
    ) -> Option<(ReceivedReply, Mismatch)> {
        let arrival = self.last_arrival.filter(|_| !self.partial.is_empty())?;
        let seq = self.unanswered.pop_front()?;
        let mismatch = payload.mismatch_of_part(self.partial.len());
        let bytes = beginning_of(&std::mem::take(&mut self.partial));
        let reply = arrival.reply(Some(seq), bytes);
        Some((ReceivedReply { first_byte: self.first_arrival, ..reply }, mismatch))
    }

    /// The next message of a stream: a complete reply, or bytes that differ from the expected reply.
    pub(super) fn next_in_stream(&mut self, payload: &mut Payload) -> Option<ChannelEvent> {
        let arrival = self.last_arrival.filter(|_| !self.partial.is_empty())?;
        let seq = self.unanswered.front().copied();
        if seq.is_none() && payload.allows_bytes_after_reply() {
            self.partial.clear();
            self.discarded_since_request = true;
            return None;
        }
        // If later requests also have no reply, the bytes after this reply belong to the next reply.
        let extra = match self.unanswered.len() {
            0 | 1 => ExtraBytes::Wrong,
            _ => ExtraBytes::NextReply,
        };
        let check = match seq {
            Some(seq) => payload.check(seq, &self.partial, self.checked, extra),
            None => ReplyCheck::Wrong(Mismatch::NoRequestInFlight),
        };
        match check {
            ReplyCheck::Incomplete => {
                self.checked = self.partial.len();
                None
            }
            ReplyCheck::Complete { len, report } => {
                self.checked = 0;
                self.replies += 1;
                self.unanswered.pop_front();
                let bytes = self.partial.split_to(len).freeze();
                let first_byte = self.first_arrival;
                // The remaining bytes arrived together with the last bytes of this reply.
                self.first_arrival = Some(arrival.received);
                let reply = arrival.reply(seq, bytes);
                Some(ChannelEvent::Reply(ReceivedReply { first_byte, report, ..reply }))
            }
            ReplyCheck::Wrong(mismatch) => {
                self.unanswered.pop_front();
                let bytes = beginning_of(&std::mem::take(&mut self.partial));
                Some(ChannelEvent::Wrong { reply: arrival.reply(seq, bytes), mismatch })
            }
        }
    }
}
