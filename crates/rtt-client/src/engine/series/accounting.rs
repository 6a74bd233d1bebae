//! What becomes of what arrives: every reply, wrong answer and lost connection is booked to the request
//! that it belongs to.

use super::{Series, Sink};
use crate::analysis::request_tracker::{InFlight, ReplyClass};
use crate::engine::channel::{ChannelEvent, ReceivedReply};
use crate::engine::run::{RunError, outcome_of};
use crate::model::breakdown::{self, BreakdownError};
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::{Exchange, Outcome};
use crate::model::icmp::Origin;
use crate::model::protocol::Framing;
use crate::net::system::{MAX_PAUSE, WaitUntil};
use crate::net::transport::{SocketError, SocketOperation};
use crate::net::transport::{failure_from_error, failure_from_icmp};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(100);

impl Series {
    /// Waits for something to arrive, and books it.
    pub(in crate::engine) fn receive(
        &mut self,
        until: WaitUntil,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let only = self.tracker.only();
        let until = no_longer_than_a_pause(until);
        let Some(channel) = &mut self.channel else {
            thread::sleep(until.deadline().saturating_duration_since(Instant::now()));
            return Ok(());
        };
        match channel.receive(until, &mut self.payload, only) {
            Ok(ChannelEvent::Nothing) => Ok(()),
            Ok(ChannelEvent::Reply(arrived)) => self.reply(arrived, sink),
            Ok(ChannelEvent::Wrong { arrived, why }) => self.wrong(arrived, why, sink),
            Ok(ChannelEvent::End) => self.channel_ended(Condition::Closed, sink),
            Err(error) => self.receive_failed(error, sink),
        }
    }

    fn receive_failed(&mut self, error: io::Error, sink: &mut dyn Sink) -> Result<(), RunError> {
        if self.plan.protocol.framing == Framing::Stream {
            let failure = self.failure(error)?;
            return self.channel_ended(failure.condition, sink);
        }
        if self.process_network_errors(sink)? {
            return Ok(());
        }
        let failure = self.failure(error)?;
        // Nobody says which request it is about.
        let oldest = self.tracker.oldest();
        let Some(request) = oldest.and_then(|seq| self.tracker.lose(seq)) else { return Ok(()) };
        let failure = Failure { after: request.sent.monotonic().elapsed(), ..failure };
        self.note_error(&failure);
        self.decide(&request, outcome_of(failure), sink)
    }

    /// Books what the network has said to the requests that it is about; returns whether there was anything.
    pub(in crate::engine) fn process_network_errors(
        &mut self,
        sink: &mut dyn Sink,
    ) -> Result<bool, RunError> {
        let network_errors = self
            .channel
            .as_mut()
            .map(|channel| channel.transport.network_errors())
            .unwrap_or_default();
        for notice in &network_errors {
            // A router may quote too little for a number (RFC 792: 8 bytes behind IP's header).
            let number = self.payload.number_of(&notice.quoted_payload);
            let seq = number.or(self.tracker.only()).or(self.tracker.oldest());
            let Some(failure) = failure_from_icmp(notice, Duration::ZERO) else { continue };
            let Some(request) = seq.and_then(|seq| self.tracker.lose(seq)) else { continue };
            let failure = Failure { after: request.sent.monotonic().elapsed(), ..failure };
            self.note_error(&failure);
            self.decide(&request, outcome_of(failure), sink)?;
        }
        Ok(!network_errors.is_empty())
    }

    /// What an error that came at once says about the peer or the way to it.
    pub(in crate::engine) fn failure(&self, error: io::Error) -> Result<Failure, SocketError> {
        failure_from_error(error, Duration::ZERO).map_err(|error| SocketError {
            operation: SocketOperation::Exchange,
            protocol: self.plan.protocol.title,
            address: self.address,
            error,
        })
    }

    fn reply(&mut self, arrived: ReceivedReply, sink: &mut dyn Sink) -> Result<(), RunError> {
        let Some(seq) = arrived.seq else {
            self.summary.unmatched += 1;
            return Ok(());
        };
        // It may have come after its time and before anybody looked at the clock.
        let timeout = self.plan.settings.timeout;
        let sent = self.tracker.find(seq).map(|request| request.sent);
        if let Some(after) = sent.map(|sent| arrived.received.since(&sent))
            && after > timeout
            && let Some(request) = self.tracker.lose(seq)
        {
            let failure = Failure::new(Condition::Silent, after);
            self.decide(&request, Outcome::Lost(failure), sink)?;
        }
        let (request, out_of_order) = match self.tracker.answered(seq) {
            ReplyClass::First { request, out_of_order } => (request, out_of_order),
            ReplyClass::Late => {
                self.summary.late += 1;
                return Ok(());
            }
            ReplyClass::Duplicate => {
                self.summary.duplicates += 1;
                return Ok(());
            }
            ReplyClass::Unmatched => {
                self.summary.unmatched += 1;
                return Ok(());
            }
        };
        self.unreachable = false;
        self.summary.out_of_order += u64::from(out_of_order);
        let received = arrived.received;
        let mut parts = None;
        if self.plan.settings.breakdown {
            let transport = self.channel.as_mut().map(|channel| &mut channel.transport);
            let transmitted =
                transport.and_then(|transport| transport.transmitted(request.timestamp_id));
            let (sent, timing) = (request.sent, arrived.timing);
            match breakdown::split(sent, transmitted, arrived.stamp, received, timing) {
                Ok(breakdown) => parts = Some(breakdown),
                Err(BreakdownError::ImpossibleServerTime) => {
                    let why = "the server's timing is longer than the round trip".to_owned();
                    return self.corrupt(&request, arrived, why, sink);
                }
                Err(BreakdownError::MissingTimestamp | BreakdownError::ClockWasSet) => {
                    self.summary.without_breakdown += 1
                }
            }
        }
        let text = self.plan.has_a_message().then(|| self.payload.text_of(&arrived.bytes));
        let mut exchange = self.exchange_of(&request, Outcome::Reply { received, text });
        exchange.breakdown = parts;
        self.book(exchange, sink)
    }

    fn wrong(
        &mut self,
        arrived: ReceivedReply,
        why: String,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let seq = arrived.seq.filter(|seq| self.tracker.find(*seq).is_some());
        let answered = seq.map(|seq| self.tracker.answered(seq));
        match answered {
            Some(ReplyClass::First { request, .. }) => {
                self.corrupt(&request, arrived, why, sink)?
            }
            _ => self.summary.unmatched += 1,
        }
        if self.plan.protocol.framing == Framing::Stream {
            // Nobody can say where the next reply would begin.
            self.channel_ended(Condition::WrongAnswer, sink)?;
        }
        Ok(())
    }

    fn corrupt(
        &mut self,
        request: &InFlight,
        arrived: ReceivedReply,
        why: String,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let ReceivedReply { received, bytes: text, .. } = arrived;
        let failure = Failure {
            detail: Some(why),
            ..Failure::new(Condition::WrongAnswer, received.since(&request.sent))
        };
        self.decide(request, Outcome::Corrupt { received, text, failure }, sink)
    }

    /// The link is of no more use. Requests that wait on it are sent again on another, if this one has
    /// served before and no reply had begun; else they came to nothing.
    pub(in crate::engine) fn channel_ended(
        &mut self,
        why: Condition,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let Some(channel) = self.channel.take() else { return Ok(()) };
        self.collect_statistics(&channel);
        let waiting: Vec<u64> = channel
            .waiting
            .iter()
            .copied()
            .filter(|seq| self.tracker.find(*seq).is_some())
            .collect();
        let by_the_server = why != Condition::WrongAnswer;
        if why == Condition::Closed && channel.replies > 0 {
            // Once may be chance; twice after the same number is a habit.
            if self.closed_after == Some(channel.replies) {
                self.closes_after = self.closed_after;
            }
            self.closed_after = Some(channel.replies);
        }
        if channel.replies > 0 && !channel.is_amid_a_reply() {
            return self.resend(&waiting, sink);
        }
        let condition = if by_the_server { why } else { Condition::Closed };
        let (come, length) = (channel.bytes_of_a_reply(), self.payload.reply_len());
        for seq in waiting {
            let Some(request) = self.tracker.lose(seq) else { continue };
            let failure = Failure {
                detail: Some(format!("after {come} of the reply's {length} bytes")),
                origin: by_the_server.then_some(Origin::Peer),
                ..Failure::new(condition, request.sent.monotonic().elapsed())
            };
            self.note_error(&failure);
            self.decide(&request, Outcome::Error(failure), sink)?;
        }
        Ok(())
    }

    fn resend(&mut self, waiting: &[u64], sink: &mut dyn Sink) -> Result<(), RunError> {
        for seq in waiting {
            let opened = self.ensure_channel()?;
            let again = match (opened, &mut self.channel) {
                (Ok(()), Some(channel)) => match channel.send(*seq, self.payload.request(*seq)) {
                    Ok(again) => Ok(again),
                    Err(error) => Err(self.failure(error)?),
                },
                (Err(failure), _) => Err(failure),
                (Ok(()), None) => continue,
            };
            match again {
                Ok((_, timestamp_id)) => {
                    self.summary.resent += 1;
                    self.tracker.resent(*seq, timestamp_id);
                }
                Err(failure) => {
                    let Some(request) = self.tracker.lose(*seq) else { continue };
                    self.note_error(&failure);
                    self.decide(&request, outcome_of(failure), sink)?;
                }
            }
        }
        Ok(())
    }

    fn exchange_of(&self, request: &InFlight, outcome: Outcome) -> Exchange {
        let scheduled = !self.plan.pacing.waits_for_replies();
        let lateness = request.sent.monotonic().saturating_duration_since(request.due);
        let first = self.channel.as_ref().filter(|channel| channel.connection.is_some());
        Exchange {
            seq: request.seq,
            sent: Some(request.sent),
            lateness: scheduled.then_some(lateness),
            first_on_connection: first.map(|channel| channel.replies <= 1),
            outcome,
            breakdown: None,
        }
    }

    pub(in crate::engine) fn decide(
        &mut self,
        request: &InFlight,
        outcome: Outcome,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let exchange = self.exchange_of(request, outcome);
        self.book(exchange, sink)
    }

    /// Counts and tells the connections that have been made since the last time.
    pub(in crate::engine) fn report_connections(
        &mut self,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        for connection in self.made.drain(..) {
            if let Some(handshake) = connection.handshake() {
                self.summary.connect.add(handshake);
            }
            sink.connection(connection)?;
        }
        Ok(())
    }

    fn book(&mut self, exchange: Exchange, sink: &mut dyn Sink) -> Result<(), RunError> {
        self.report_connections(sink)?;
        self.summary.add(&exchange);
        let answered = exchange.rtt().is_some();
        sink.exchange(exchange)?;
        if let Some(control) = &mut self.control {
            // Nobody waits twice for a peer that does not answer.
            control.is_next = answered;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.last_progress) >= PROGRESS {
            self.last_progress = now;
            sink.progress(&self.summary, self.begun)?;
        }
        Ok(())
    }
}

/// The same wait, but short enough for an interruption to be noticed.
fn no_longer_than_a_pause(until: WaitUntil) -> WaitUntil {
    let pause = Instant::now() + MAX_PAUSE;
    match until {
        WaitUntil::Exact(deadline) => WaitUntil::Exact(deadline.min(pause)),
        WaitUntil::ExactAwake(deadline, _) if deadline > pause => WaitUntil::Exact(pause),
        until => until,
    }
}
