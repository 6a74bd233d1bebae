//! Replies from other addresses than the target's. They explain lost requests.
//!
//! The client reads these replies only while a request waits for its reply, so they cost nothing in other runs.

use super::connections::CloseReason;
use super::{Series, Sink};
use crate::engine::run::RunError;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::ConnectionPosition;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The minimum time between two reads while requests are in flight. The kernel stores more datagrams than arrive in this
/// time, unless they arrive at more than 10,000 per second.
const READ_INTERVAL: Duration = Duration::from_millis(20);

/// The maximum number of stored replies.
const MAX_REPLIES: usize = 65_536;

/// The maximum number of addresses in the summary.
const MAX_SOURCES: usize = 4;

/// The replies to requests in flight.
#[derive(Debug, Default)]
pub(super) struct OtherReplies {
    sources: BTreeMap<u64, SocketAddr>,
    /// The number of lost requests whose reply came from each of the first [`MAX_SOURCES`] addresses.
    counts: BTreeMap<SocketAddr, u64>,
    last_read: Option<Instant>,
}

impl OtherReplies {
    /// The reason why the request has no reply after this time.
    pub(super) fn failure(&self, seq: u64, after: Duration) -> Failure {
        match self.sources.get(&seq) {
            Some(from) => Failure::other_address(*from, after),
            None => Failure::new(Condition::Silent, after),
        }
    }

    /// Counts the reply to a lost request, if there is one.
    fn request_expired(&mut self, seq: u64) {
        let Some(from) = self.sources.remove(&seq) else { return };
        if self.counts.len() < MAX_SOURCES || self.counts.contains_key(&from) {
            *self.counts.entry(from).or_default() += 1;
        }
    }

    /// Removes the reply to a request that has another outcome. Returns whether there was one.
    fn request_decided(&mut self, seq: u64) -> bool {
        self.sources.remove(&seq).is_some()
    }

    /// The addresses whose replies the client did not use, with the number of replies.
    pub(super) fn take_counts(&mut self) -> BTreeMap<SocketAddr, u64> {
        std::mem::take(&mut self.counts)
    }
}

impl Series<'_> {
    /// Reads replies from other addresses, if requests are in flight and the last read was not just now.
    pub(super) fn read_other_replies_if_due(&mut self) {
        let is_due = |last: Instant| last.elapsed() >= READ_INTERVAL;
        if self.accounting.in_flight() > 0 && self.other_replies.last_read.is_none_or(is_due) {
            self.read_other_replies();
        }
    }

    /// Reads replies from other addresses. A datagram that is not a correct reply to a request in flight is a stray
    /// packet.
    pub(super) fn read_other_replies(&mut self) {
        self.other_replies.last_read = Some(Instant::now());
        let only_in_flight = self.accounting.only_in_flight();
        let Some(channel) = self.connections.channel() else { return };
        for (from, seq) in channel.replies_from_others(&mut self.payload, only_in_flight) {
            match seq.filter(|seq| self.accounting.sent_at(*seq).is_some()) {
                Some(seq) if self.other_replies.sources.len() < MAX_REPLIES => {
                    self.other_replies.sources.insert(seq, from);
                }
                _ => self.accounting.stray_received(),
            }
        }
    }

    /// Decides that the requests whose timeout has expired are lost.
    pub(super) fn expire(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let Some(expiry) = self.accounting.next_expiry() else { return Ok(()) };
        let now = Instant::now();
        if now < expiry {
            return Ok(());
        }
        self.read_other_replies();
        let position = self.connections.exchange_position();
        // A reply of a service without an end is wrong. The length of an echo reply is known, so a part of it is missing.
        let unfinished = match self.connections.channel() {
            Some(channel) if self.payload.service().is_some() => {
                channel.take_unfinished(&self.payload)
            }
            _ => None,
        };
        let is_unfinished = unfinished.is_some();
        if let Some((reply, mismatch)) = unfinished {
            let exchange = self.accounting.unfinished_reply(reply, mismatch, position);
            exchange.map_or(Ok(()), |exchange| self.report(exchange, sink))?;
        }
        self.expire_requests(now, position, sink)?;
        if is_unfinished {
            // The expired requests are not in flight any more, so the client does not send them again.
            return self.channel_ended(CloseReason::WrongReply, sink);
        }
        Ok(())
    }

    /// Decides that the requests are lost whose timeout has expired at `now`.
    fn expire_requests(
        &mut self,
        now: Instant,
        position: Option<ConnectionPosition>,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let received = self.connections.channel().map_or(0, |channel| channel.partial_reply_len());
        let part = self.payload.describe_part(received);
        loop {
            let others = &self.other_replies;
            let channel = self.connections.channel();
            let failure = |seq, after| {
                let failure = others.failure(seq, after);
                let observation = channel.and_then(|channel| channel.give_up(seq));
                let partial_reply = || (received > 0).then(|| format!("{part} arrived"));
                let detail = observation.or_else(partial_reply).or(failure.detail);
                Failure { detail, ..failure }
            };
            let Some(exchange) = self.accounting.expire(now, position, failure) else {
                return Ok(());
            };
            self.other_replies.request_expired(exchange.seq);
            self.replacement.request_expired(exchange.seq);
            self.report(exchange, sink)?;
        }
    }

    /// The outcome of request `seq` is decided. An earlier reply from another address is then a stray packet.
    pub(super) fn discard_other_reply(&mut self, seq: u64) {
        if self.other_replies.request_decided(seq) {
            self.accounting.stray_received();
        }
    }

    /// Counts the remaining replies from other addresses as stray packets.
    pub(super) fn finish_other_replies(&mut self) {
        self.read_other_replies();
        for _ in 0..std::mem::take(&mut self.other_replies.sources).len() {
            self.accounting.stray_received();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_reported_addresses_is_limited() {
        let mut others = OtherReplies::default();
        for number in 1..=3 * MAX_SOURCES as u64 {
            let from = SocketAddr::from(([192, 0, 2, 1], u16::try_from(number).unwrap()));
            others.sources.insert(number, from);
            let failure = others.failure(number, Duration::ZERO);
            assert_eq!(failure.reply_from, Some(from));
            others.request_expired(number);
        }
        assert_eq!((others.take_counts().len(), others.sources.len()), (MAX_SOURCES, 0));
    }

    #[test]
    fn reply_from_another_address_is_removed_after_the_reply_of_the_target() {
        let mut others = OtherReplies::default();
        others.sources.insert(1, SocketAddr::from(([192, 0, 2, 1], 7)));
        assert!(others.request_decided(1));
        assert!(!others.request_decided(1));
        assert!(others.sources.is_empty());
        others.request_expired(1);
        assert!(others.take_counts().is_empty());
    }
}
