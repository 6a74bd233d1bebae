//! [`Accounting`]: decides the outcome of each request and counts it. Callers pass the time.
//!
//! # From a request to its outcome
//!
//! **Matching.** Each request of a series contains its number (see
//! [`Payload`](crate::plan::payload::Payload)), and the reply contains the same number. Replies can therefore
//! arrive in any order. A reply without a number can only be matched if exactly one request is in flight. On a
//! stream, replies arrive in the order of the requests. The next reply belongs to the oldest request of the
//! connection.
//!
//! **Classification.** The [`RequestTracker`] determines the class of each reply ([`ReplyClass`]):
//!
//! - first: the first correct reply to a request in flight. The request is received, and the exchange has an RTT.
//! - late: the first reply to a lost request. The request stays lost.
//! - duplicate: a further reply to a request.
//! - unmatched: a reply that belongs to no request of this run. Stray packets also count here. A transport recognises
//!   them before they are compared with a request, for example because of a wrong identifier.
//!
//! A wrong reply never counts as a reply. Over a stream, its request is corrupt at once. A datagram can be forged, so
//! the client waits for the correct reply. The request is corrupt if none arrives in time ([`expiry`]). An exchange with
//! a corrupt reply has no RTT.
//!
//! **Loss.** A request is lost if its reply has not arrived within the timeout after the first send. A request is
//! also lost if the system refuses to send it, or if a connection fails. An ICMP error can be forged too, so it decides the
//! outcome only if no reply arrives in time ([`expiry`]). An error of a datagram socket can lack a request number. Such an
//! error belongs to the oldest request in flight without an error.
//!
//! **Second send.** A connection ends if the server closes it. It also ends after a wrong reply, because the position
//! of the next reply is then unknown. It also ends if the client replaces it by a new one, because it does not work
//! ([`Accounting::channel_replaced`]). Some requests can still wait for a reply on this connection. The client sends
//! these requests again on a new connection ([`Accounting::request_resent`]) under two conditions. First, the server
//! has replied on the old connection. Second, no part of a further reply has arrived. Otherwise these requests are
//! lost. The number of sends of a request is limited ([`MAX_SENDS`]). A request that is sent again keeps its number and
//! the time of its first send. Its RTT therefore contains the lost time.
//!
//! Each request has exactly one outcome: `sent = received + lost + corrupt`.

mod expiry;
mod parts;
mod path_evidence;
mod reachability;
mod received_reply;
mod second_send;
mod undecided;

pub(crate) use expiry::wait_after_error;
pub(crate) use received_reply::{ReceivedReply, beginning_of};
pub(crate) use second_send::MAX_SENDS;

use crate::analysis::loss_attribution::LossAttribution;
use crate::analysis::loss_pattern::LossPattern;
use crate::analysis::outages::OutageDetector;
use crate::analysis::request_tracker::{InFlight, ReplyClass, RequestTracker};
use crate::analysis::statistics::Summary;
use crate::model::address_change::AddressChange;
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure, Verification};
use crate::model::exchange::{Connection, ConnectionPosition, Exchange, Outcome};
use crate::model::loss_place::{LossPlace, LossReason};
use crate::model::protocol::{Framing, Responder};
use crate::model::receive_queue::ReceiveDrops;
use crate::model::replacement::Replacement;
use crate::plan::payload::Mismatch;
use crate::plan::{Plan, ShownText};
use echo_core::Stamp;
use echo_core::header::version2::ClockState;
use path_evidence::{PathEvidence, PathResult};
use reachability::Reachability;
use std::time::{Duration, Instant, SystemTime};
use undecided::Undecided;

/// The requests of a run, their outcomes and the resulting figures.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each field is an independent property of the run"
)]
pub(crate) struct Accounting {
    tracker: RequestTracker,
    summary: Summary,
    timeout: Duration,
    breakdown: bool,
    responder: Responder,
    framing: Framing,
    has_connections: bool,
    /// Whether the requests have a schedule. Only then can they be late.
    scheduled: bool,
    shown_text: Option<ShownText>,
    /// Whether exchanges report the time of the first byte of a reply.
    has_first_byte: bool,
    undecided: Undecided,
    /// The errors without a number are assigned to requests from this number on.
    next_without_error: u64,
    evidence: PathEvidence,
    reachability: Reachability,
    outages: OutageDetector,
}

/// The results of a run.
pub(crate) struct AccountingResult {
    /// The counts and distributions.
    pub(crate) summary: Summary,
    /// The pattern of the missing replies, if it is regular.
    pub(crate) loss_pattern: Option<LossPattern>,
}

/// A request whose outcome has just been decided.
struct Decided {
    request: InFlight,
    position: Option<ConnectionPosition>,
}

impl Accounting {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            tracker: RequestTracker::new(plan.settings.timeout),
            summary: Summary::default(),
            timeout: plan.settings.timeout,
            breakdown: plan.settings.breakdown,
            responder: plan.protocol.responder,
            framing: plan.protocol.framing,
            has_connections: plan.protocol.has_connections(),
            scheduled: !plan.pacing.waits_for_replies(),
            shown_text: plan.shown_text(),
            has_first_byte: plan.payload.service().is_some()
                && plan.protocol.framing == Framing::Stream,
            undecided: Undecided::default(),
            next_without_error: 0,
            evidence: PathEvidence::default(),
            reachability: Reachability::new(plan.settings.keep_going),
            outages: OutageDetector::new(plan.settings.keep_going),
        }
    }

    /// The counts and distributions so far.
    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The results at the end. `receive_drops` is the number of replies that this host's receive queue has dropped, if it is
    /// known. `clock` is the state of this host's wall clock. `end` is the current time.
    pub(crate) fn finish(
        self,
        receive_drops: Option<ReceiveDrops>,
        clock: ClockState,
        end: Instant,
    ) -> AccountingResult {
        let PathResult { lost_where, variation, loss_pattern } =
            self.evidence.finish(receive_drops, clock);
        let mut summary = Summary { lost_where, variation, ..self.summary };
        self.outages.finish(end, &mut summary.outages);
        AccountingResult { summary, loss_pattern }
    }

    /// Whether the series ends because further requests will probably have no reply. Only errors before the first reply set
    /// this state.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.reachability.is_unreachable()
    }

    /// The number of the next request.
    pub(crate) fn next_seq(&self) -> u64 {
        self.tracker.next_seq()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.tracker.in_flight()
    }

    /// The number of the request in flight, if there is exactly one.
    pub(crate) fn only_in_flight(&self) -> Option<u64> {
        self.tracker.only()
    }

    pub(crate) fn oldest_in_flight(&self) -> Option<u64> {
        self.tracker.oldest()
    }

    /// The numbers of all requests in flight, in ascending order.
    pub(crate) fn numbers_in_flight(&self) -> Vec<u64> {
        self.tracker.numbers_in_flight().collect()
    }

    /// The time of the first send of request `seq`, if it is in flight.
    pub(crate) fn sent_at(&mut self, seq: u64) -> Option<Stamp> {
        self.tracker.find(seq).map(|request| request.sent)
    }

    /// The time at which the first request in flight expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.tracker.next_expiry()
    }

    /// A channel was opened. The next request is the first one on it.
    pub(crate) fn channel_opened(&mut self) {
        self.evidence.losses.channel_opened(self.tracker.next_seq());
    }

    /// Counts a new connection.
    pub(crate) fn connection(&mut self, connection: &Connection) {
        self.summary.add_connection(connection);
    }

    /// Counts a channel that was replaced.
    pub(crate) fn channel_replaced(&mut self, replacement: Replacement) {
        self.summary.replacements.add(replacement);
    }

    /// Counts a change of the measured address.
    pub(crate) fn address_changed(&mut self, change: AddressChange) {
        self.summary.address_changes.add(change);
    }

    /// Adds the next request. It was due at `due`.
    pub(crate) fn request_sent(&mut self, sent: Stamp, due: Instant, timestamp_id: TimestampId) {
        self.tracker.add(sent, due, timestamp_id);
    }

    /// Adds the next request, which could not be sent. It has a number, and it is lost.
    pub(crate) fn request_not_sent(
        &mut self,
        attempted: Stamp,
        failure: Failure,
        verification: Verification,
    ) -> Exchange {
        let seq = self.tracker.next_seq();
        self.tracker.add(attempted, attempted.monotonic(), TimestampId::default());
        self.tracker.lose(seq);
        // Any host can forge the refusal of an earlier request. It shows nothing about a request that was not sent.
        if verification == Verification::Verified {
            self.reachability.error_reported(&failure, verification);
        }
        let reason = LossReason::of_failure(&failure, false, self.has_connections);
        let reason = reason.filter(|_| verification == Verification::Verified);
        let exchange = Exchange::not_sent(seq, failure);
        self.evidence.losses.not_sent(seq, exchange.lost_where, reason);
        self.count(exchange, attempted)
    }

    /// Decides that request `seq` failed, because of an error of this host or of its connection. Returns `None` if the
    /// request is not in flight.
    pub(crate) fn request_failed(
        &mut self,
        seq: u64,
        failure: Failure,
        position: Option<ConnectionPosition>,
    ) -> Option<Exchange> {
        let request = self.tracker.lose(seq)?;
        self.undecided.take(seq);
        Some(self.fail(&Decided { request, position }, failure, Verification::Verified))
    }

    /// Counts a reply with the expected bytes. Returns the exchange if this reply determines its outcome.
    ///
    /// `transmitted` returns the kernel's timestamp of a request, if there is one.
    pub(crate) fn reply(
        &mut self,
        reply: ReceivedReply,
        position: Option<ConnectionPosition>,
        transmitted: impl FnOnce(TimestampId) -> Option<SystemTime>,
    ) -> Option<Exchange> {
        let Some(seq) = reply.seq else {
            self.summary.unmatched += 1;
            return None;
        };
        let sent = self.sent_at(seq);
        if sent.is_some_and(|sent| reply.received.monotonic() < sent.monotonic()) {
            let reply = ReceivedReply { bytes: beginning_of(&reply.bytes), ..reply };
            return self.wrong_reply(reply, Mismatch::ArrivedBeforeRequest, position);
        }
        // A reply can arrive after the timeout, but before the client checks for expired requests.
        let elapsed = sent.map(|sent| reply.received.since(&sent));
        let expired = elapsed.filter(|elapsed| *elapsed > self.timeout).and_then(|elapsed| {
            let request = self.tracker.lose(seq)?;
            let failure = Failure::new(Condition::Silent, elapsed);
            Some(self.decide_expired(&Decided { request, position }, failure))
        });
        match self.tracker.classify_reply(seq) {
            ReplyClass::First { request, out_of_order } => {
                self.refute(seq);
                self.reachability.reply_received();
                self.evidence.answered(seq, &reply);
                self.summary.out_of_order += u64::from(out_of_order);
                let transmitted =
                    if self.breakdown { transmitted(request.timestamp_id) } else { None };
                return Some(self.answered(&Decided { request, position }, reply, transmitted));
            }
            ReplyClass::Late => {
                self.summary.late += 1;
                self.evidence.losses.late();
                self.evidence.answered(seq, &reply);
            }
            ReplyClass::Duplicate => self.summary.duplicates += 1,
            ReplyClass::Unmatched => self.summary.unmatched += 1,
        }
        expired
    }

    /// The evidence about lost exchanges.
    pub(crate) fn losses(&self) -> &LossAttribution {
        &self.evidence.losses
    }

    /// Adds the evidence of the reply to a closing request. This request is not a part of the run.
    pub(crate) fn closing_reply(&mut self, seq: u64, reply: &ReceivedReply) {
        self.evidence.answered(seq, reply);
    }

    /// Counts a packet that cannot be a reply to a request of this run.
    pub(crate) fn stray_received(&mut self) {
        self.summary.unmatched += 1;
    }

    fn answered(
        &mut self,
        decided: &Decided,
        reply: ReceivedReply,
        transmitted: Option<SystemTime>,
    ) -> Exchange {
        let breakdown = match self.split(&decided.request, &reply, transmitted) {
            Ok(breakdown) => breakdown,
            Err(mismatch) => return self.corrupt(decided, reply, mismatch),
        };
        self.evidence.add_delays(decided.request.sent, &reply, transmitted);
        let report = reply.report.version2();
        let limit_delay = report.map_or(Duration::ZERO, |report| report.limit_delay);
        if !limit_delay.is_zero() {
            self.summary.limit_delays.add(limit_delay);
        }
        let breakdown = breakdown.map(|breakdown| breakdown.with_limit(limit_delay));
        let ReceivedReply { received, bytes, hop_limit, first_byte, retransmitted, .. } = reply;
        let first_byte = first_byte.filter(|_| self.has_first_byte);
        let text = self.shown_text.map(|shown| shown.of(&bytes));
        let exchange = self.exchange(decided, Outcome::Reply { received, text });
        let exchange = Exchange { breakdown, first_byte, hop_limit, retransmitted, ..exchange };
        self.count(exchange, decided.request.sent)
    }

    /// Decides that a request is lost, because its timeout has expired.
    fn lose(&mut self, decided: &Decided, failure: Failure) -> Exchange {
        let seq = decided.request.seq;
        let lost_where = if failure.condition == Condition::OtherAddress {
            self.evidence.losses.answered_by_other_address(seq);
            Some(LossPlace::Unknown)
        } else {
            self.evidence.losses.expired(seq)
        };
        let exchange = self.exchange(decided, Outcome::Lost(failure));
        self.count(Exchange { lost_where, ..exchange }, decided.request.sent)
    }

    fn exchange(&self, decided: &Decided, outcome: Outcome) -> Exchange {
        let Decided { request, position } = decided;
        let lateness = request.sent.monotonic().saturating_duration_since(request.due);
        Exchange {
            seq: request.seq,
            sent: Some(request.sent),
            lateness: self.scheduled.then_some(lateness),
            connection_position: *position,
            lost_where: outcome
                .failure()
                .and_then(|failure| LossPlace::of_failed(failure, self.responder)),
            outcome,
            breakdown: None,
            hop_limit: None,
            first_byte: None,
            retransmitted: None,
        }
    }

    /// Counts an exchange. `sent` is the time at which its request was sent, or at which the client tried to send it.
    fn count(&mut self, exchange: Exchange, sent: Stamp) -> Exchange {
        if matches!(exchange.outcome, Outcome::Lost(_)) {
            self.evidence.pattern.add(exchange.seq);
        }
        self.summary.add(&exchange);
        let condition = exchange.outcome.failure().map(|failure| failure.condition);
        self.outages.add(exchange.seq, sent, condition, &mut self.summary.outages);
        exchange
    }
}

#[cfg(test)]
mod tests;
