//! The exchanges of a [`Series`]: sends requests and processes received messages, errors and timeouts.

use super::connections::{CloseReason, LookUpTime, Ready};
use super::{Series, Sink};
use crate::engine::PROGRESS_INTERVAL;
use crate::engine::channel::ChannelEvent;
use crate::engine::run::RunError;
use crate::model::condition::{Condition, Failure, Verification};
use crate::model::exchange::{Exchange, Outcome};
use crate::model::icmp::Origin;
use crate::model::protocol::Framing;
use crate::net::failure::{Call, condition_of, failure_from_error};
use crate::net::system::{MAX_PAUSE, REPORTS_ICMP_ORIGIN, WaitUntil};
use crate::net::transport::SentRequest;
use crate::plan::payload::Matching;
use bytes::Bytes;
use echo_core::Stamp;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{io, thread};
use tracing::{debug, trace};

/// The result of sending a request.
enum SendResult {
    Sent,
    Failed(Failure, Verification),
    /// The user has interrupted the wait for a connection or for space in the send buffer. The request does not count.
    Interrupted,
}

/// Whether the client sends a request again after an error. The error can belong to an earlier request. The error can
/// also mean that the server has closed an idle connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    Allowed,
    /// Allowed only after a refusal, at most this number of times. Without a connection, a refusal always belongs to an
    /// earlier request.
    AfterRefusal(u32),
}

impl Retry {
    /// The value after the first error. Further refusals can arrive between two attempts. The number of attempts is
    /// limited, because another host can forge any number of refusals.
    const EXHAUSTED: Self = Self::AfterRefusal(16);
}

impl Series<'_> {
    /// Sends the next request. It was due at `due`.
    pub(super) fn send(&mut self, due: Instant, sink: &mut dyn Sink) -> Result<(), RunError> {
        let started = Stamp::just_before();
        self.pacer.request_started(started.monotonic());
        match self.try_to_send(due, Retry::Allowed, sink)? {
            SendResult::Sent | SendResult::Interrupted => Ok(()),
            SendResult::Failed(mut failure, verification) => {
                if failure.after.is_zero() {
                    failure.after = started.monotonic().elapsed();
                }
                let exchange = self.accounting.request_not_sent(started, failure, verification);
                self.report(exchange, sink)
            }
        }
    }

    fn try_to_send(
        &mut self,
        due: Instant,
        retry: Retry,
        sink: &mut dyn Sink,
    ) -> Result<SendResult, RunError> {
        let channel = match self.connections.ready(LookUpTime::Now) {
            Ready::Open(channel) => channel,
            Ready::Failed(failure) => {
                return Ok(SendResult::Failed(failure, Verification::Verified));
            }
            Ready::Interrupted => return Ok(SendResult::Interrupted),
        };
        channel.discard_rest_of_reply(&self.payload);
        let seq = self.accounting.next_seq();
        let error = match channel.send(seq, self.payload.request(seq), self.stop) {
            Ok(SentRequest { stamp, timestamp_id }) => {
                self.pacer.request_sent(stamp.monotonic());
                if self.connections.take_opened() {
                    self.accounting.channel_opened();
                }
                self.accounting.request_sent(stamp, due, timestamp_id);
                return Ok(SendResult::Sent);
            }
            Err(error) => error,
        };
        if self.stop.load(Ordering::Relaxed) {
            return Ok(SendResult::Interrupted);
        }
        let has_replied = channel.replies() > 0;
        let path_mtu = channel.path_mtu();
        let is_local = matches!(
            condition_of(&error, Call::Send),
            Condition::LocalLimit | Condition::PermissionDenied | Condition::Unsupported
        );
        let is_refusal = condition_of(&error, Call::Send) == Condition::Refused;
        match (self.protocol.has_connections(), retry) {
            // An error of an earlier request never indicates a limit or a rule of this host.
            (false, Retry::Allowed) if !is_local => {
                self.process_network_errors();
                self.try_to_send(due, Retry::EXHAUSTED, sink)
            }
            (false, Retry::AfterRefusal(attempts @ 1..)) if is_refusal => {
                self.process_network_errors();
                self.try_to_send(due, Retry::AfterRefusal(attempts - 1), sink)
            }
            (false, Retry::AfterRefusal(_)) if self.replace_after_send_error() => {
                self.try_to_send(due, Retry::EXHAUSTED, sink)
            }
            (false, _) => {
                let mut failure = failure_from_error(error, Call::Send, Duration::ZERO);
                // After the first attempt, the client has read all errors from the network. This error is therefore
                // from this host. Only a refusal can still belong to an earlier request.
                if REPORTS_ICMP_ORIGIN && !is_refusal {
                    failure.origin = Some(Origin::ThisHost);
                }
                let verification =
                    if is_refusal { Verification::Unverified } else { Verification::Verified };
                if failure.condition == Condition::TooBig {
                    failure = failure.with_mtu(path_mtu);
                }
                Ok(SendResult::Failed(failure, verification))
            }
            // After an error, the connection cannot be used again.
            (true, _) => {
                let failure = failure_from_error(error, Call::Send, Duration::ZERO);
                self.channel_ended(CloseReason::ByServer(failure.condition), sink)?;
                if has_replied && retry == Retry::Allowed {
                    self.try_to_send(due, Retry::EXHAUSTED, sink)
                } else {
                    Ok(SendResult::Failed(failure, Verification::Verified))
                }
            }
        }
    }

    /// Waits for a message, and processes it.
    pub(super) fn receive(
        &mut self,
        until: WaitUntil,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let without_number = match self.payload.matching() {
            Matching::ByNumber => self.accounting.only_in_flight(),
            Matching::InOrder => self.accounting.oldest_in_flight(),
        };
        let until = self.limited_during_attempt(limited_to_max_pause(until));
        let Some(channel) = self.connections.channel() else {
            thread::sleep(until.deadline().saturating_duration_since(Instant::now()));
            return Ok(());
        };
        let event = channel.receive(until, &mut self.payload, without_number);
        self.process(event, sink)
    }

    /// Processes the result of a wait for a message.
    pub(super) fn process(
        &mut self,
        event: io::Result<ChannelEvent>,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        match event {
            Ok(ChannelEvent::Nothing) => {
                self.read_other_replies_if_due();
                Ok(())
            }
            Ok(ChannelEvent::Stray) => {
                self.accounting.stray_received();
                Ok(())
            }
            Ok(ChannelEvent::Failed { seq, failure }) => {
                // Like a missing reply, an error can mean that the server has another address now.
                self.replacement.request_expired(seq);
                self.request_failed(seq, failure, sink)
            }
            Ok(ChannelEvent::Reply(reply)) => {
                let needs_version1 =
                    reply.seq.is_some_and(|seq| self.payload.needs_version1(seq, reply.report));
                let ends_connection = self.payload.ends_connection(&reply.bytes);
                let bytes = reply.bytes.clone();
                self.replacement.message_received(reply.seq, reply.received.monotonic());
                let position = self.connections.exchange_position();
                let channel = self.connections.channel();
                let exchange = self.accounting.reply(reply, position, |timestamp_id| {
                    channel.and_then(|channel| channel.transmitted(timestamp_id))
                });
                if let Some(exchange) = exchange {
                    if matches!(exchange.outcome, Outcome::Reply { .. }) {
                        self.add_content(&bytes);
                    }
                    self.discard_other_reply(exchange.seq);
                    self.report(exchange, sink)?;
                }
                if needs_version1 {
                    self.use_version1(sink)
                } else if ends_connection {
                    self.connection_ended_by_reply(sink)
                } else {
                    Ok(())
                }
            }
            Ok(ChannelEvent::Wrong { reply, mismatch }) => {
                // A wrong datagram can be forged, so it does not show that the channel works.
                if self.protocol.framing == Framing::Stream {
                    self.replacement.message_received(reply.seq, reply.received.monotonic());
                }
                let position = self.connections.exchange_position();
                if let Some(exchange) = self.accounting.wrong_reply(reply, mismatch, position) {
                    self.report(exchange, sink)?;
                }
                match self.protocol.framing {
                    Framing::Stream => self.channel_ended(CloseReason::WrongReply, sink),
                    Framing::Datagrams => Ok(()),
                }
            }
            Ok(ChannelEvent::End) => {
                self.channel_ended(CloseReason::ByServer(Condition::Closed), sink)
            }
            Err(error) => self.receive_failed(error, sink),
        }
    }

    /// Adds the content of a correct reply of a service.
    fn add_content(&mut self, reply: &Bytes) {
        let Some(service) = self.payload.service() else { return };
        if service.accepts_any_reply() {
            self.replies.unchecked(reply);
        } else if let Some(error) = service.reported_error(reply) {
            self.replies.error(&error);
        }
    }

    /// Counts, logs and reports the changes of the address, and the connections that were requested, since the last call.
    pub(super) fn report_connections(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        for change in self.connections.take_address_changes() {
            debug!(protocol = self.protocol.name, old = ?change.old, new = %change.new, "address changed");
            if let Some(control) = &mut self.control {
                control.set_address(change.new);
            }
            sink.address_changed(&change)?;
            self.accounting.address_changed(change);
        }
        for connection in self.connections.new_connections() {
            self.accounting.connection(&connection);
            self.first_packet.connection(&connection);
            self.other_service.connection(&connection);
            sink.connection(connection)?;
        }
        Ok(())
    }

    /// Closes a connection whose last reply states that the server closes it. Sends the requests in flight again on a
    /// new connection.
    fn connection_ended_by_reply(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        if self.accounting.in_flight() > 0 {
            return self.channel_ended(CloseReason::ByReply, sink);
        }
        self.connections.close(CloseReason::ByReply);
        Ok(())
    }

    /// Uses version 1 of the timing header from now on.
    fn use_version1(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let next = self.accounting.next_seq();
        if !self.protocol.has_connections() {
            self.payload.use_version1_from(next);
            return Ok(());
        }
        // The requests in flight are sent again on a new connection.
        self.payload.use_version1_from(self.accounting.oldest_in_flight().unwrap_or(next));
        self.channel_ended(CloseReason::HeaderVersion, sink)
    }

    /// Reports that a request in flight failed. The time until the failure counts from the request's first send.
    pub(super) fn request_failed(
        &mut self,
        seq: u64,
        failure: Failure,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let Some(sent) = self.accounting.sent_at(seq) else { return Ok(()) };
        let failure = Failure { after: sent.monotonic().elapsed(), ..failure };
        let position = self.connections.exchange_position();
        let exchange = self.accounting.request_failed(seq, failure, position);
        exchange.map_or(Ok(()), |exchange| self.report(exchange, sink))
    }

    /// Reports an exchange whose outcome is decided.
    pub(super) fn report(
        &mut self,
        exchange: Exchange,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        self.report_connections(sink)?;
        // A fixed rate limits the requests, also if each of them fails immediately.
        if matches!(exchange.outcome, Outcome::Error(_)) && self.pacing.waits_for_replies() {
            self.pacer.rest_after_error(Instant::now());
        }
        if let Some(control) = &mut self.control {
            control.exchange_decided(&exchange);
        }
        self.first_packet.exchange(&exchange);
        self.other_service.exchange(self.protocol, &exchange);
        let is_lost = matches!(exchange.outcome, Outcome::Lost(_) | Outcome::Error(_));
        self.report_held(sink)?;
        if self.can_wait_for_evidence(&exchange) {
            self.held = Some(exchange);
        } else {
            self.log(&exchange);
            sink.exchange(exchange)?;
        }
        // If a timeout is longer than the interval, no pause follows, and the output would stay in its buffer.
        if is_lost && self.pacing.waits_for_replies() {
            sink.idle()?;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.last_progress) >= PROGRESS_INTERVAL {
            self.last_progress = now;
            let elapsed = now.saturating_duration_since(self.pacer.start());
            sink.progress(self.accounting.summary(), elapsed)?;
        }
        Ok(())
    }

    /// Reports a lost exchange that waited for evidence. The latest reply can contain it.
    pub(super) fn report_held(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let Some(mut exchange) = self.held.take() else { return Ok(()) };
        exchange.lost_where = self.accounting.losses().place_of(exchange.seq);
        self.log(&exchange);
        sink.exchange(exchange)?;
        Ok(())
    }

    /// Whether the next reply will probably show where this exchange was lost. If the series waits for each reply, the
    /// next reply is to the next request, so the report is not delayed for long.
    fn can_wait_for_evidence(&self, exchange: &Exchange) -> bool {
        self.pacing.waits_for_replies()
            && self.settings.locate_losses
            && self.accounting.losses().has_counts()
            && exchange.lost_where.is_none()
            && matches!(exchange.outcome, Outcome::Lost(_))
    }

    fn log(&self, exchange: &Exchange) {
        let condition = exchange.outcome.failure().map(|failure| failure.condition);
        trace!(
            protocol = self.protocol.name,
            address = self.connections.address().map(tracing::field::display),
            seq = exchange.seq,
            outcome = %exchange.outcome.name(),
            rtt = exchange.rtt().map(tracing::field::debug),
            condition = condition.map(tracing::field::display),
            "exchange"
        );
    }
}

/// Limits a wait to [`MAX_PAUSE`], because the client checks the stop flag only after each wait. The socket's receive
/// timeout already limits a coarse wait.
fn limited_to_max_pause(until: WaitUntil) -> WaitUntil {
    let pause = Instant::now() + MAX_PAUSE;
    match until {
        WaitUntil::Exact(deadline) => WaitUntil::Exact(deadline.min(pause)),
        WaitUntil::ExactAwake(deadline, _) if deadline > pause => WaitUntil::Exact(pause),
        until => until,
    }
}
