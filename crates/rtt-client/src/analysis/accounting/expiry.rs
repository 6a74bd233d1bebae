//! The effects of wrong datagrams and ICMP errors on a request, and the outcome of the request when it expires.
//!
//! Any host can forge a wrong datagram or an ICMP error. So neither decides the outcome of a request at once: a correct
//! reply that arrives in time still counts. When the request expires, the first of these observations decides:
//!
//! 1. a verified error
//! 2. a correct reply from another address
//! 3. a wrong reply: the request is corrupt
//! 4. an error that is not verified
//! 5. none of them: the request is lost
//!
//! A request expires at its timeout. A verified error shortens this time ([`wait_after_error`]), because its sender has
//! received the request. Over a stream, a wrong reply decides at once: the peer's system has verified its position in the
//! stream.

use super::undecided::{Observations, WrongReply};
use super::{Accounting, Decided, ReceivedReply, beginning_of};
use crate::analysis::request_tracker::ReplyClass;
use crate::model::condition::{Condition, Failure, Verification};
use crate::model::exchange::{ConnectionPosition, Exchange, Outcome};
use crate::model::failure_context::FailureContext;
use crate::model::loss_place::LossReason;
use crate::model::protocol::Framing;
use crate::plan::payload::Mismatch;
use std::time::{Duration, Instant};

/// After a verified error, the client still accepts a reply for this multiple of the time until the error. A reply takes
/// about as long as the error if both come from the same host.
const ERROR_WAIT_FACTOR: u32 = 3;

/// The minimum of this wait. It is longer than a pause of a busy host.
const MIN_ERROR_WAIT: Duration = Duration::from_millis(10);

/// The time for which the client still accepts a reply after a verified error. The error arrived `after` this time.
pub(crate) fn wait_after_error(after: Duration) -> Duration {
    (ERROR_WAIT_FACTOR * after).max(MIN_ERROR_WAIT)
}

impl Accounting {
    /// Records an ICMP error about request `seq`. It decides the outcome of the request if no reply arrives in time.
    pub(crate) fn error_reported(
        &mut self,
        seq: u64,
        failure: Failure,
        verification: Verification,
        now: Instant,
    ) {
        let Some(sent) = self.sent_at(seq) else { return };
        let after = now.saturating_duration_since(sent.monotonic());
        if verification == Verification::Verified {
            self.tracker.shorten_wait(seq, now + wait_after_error(after));
        }
        self.undecided.add_error(seq, Failure { after, ..failure }, verification);
    }

    /// The request to which the next error without a number belongs. It is the oldest request in flight to which this
    /// function has not assigned an error. `None` if there is no such request.
    pub(crate) fn request_of_unassigned_error(&mut self) -> Option<u64> {
        let seq = self.tracker.first_in_flight_from(self.next_without_error);
        // If all requests so far have an error or an outcome, the next search starts at the next request. So a flood of
        // forged errors does not search the same requests again.
        self.next_without_error = seq.map_or(self.tracker.next_seq(), |seq| seq + 1);
        seq
    }

    /// Counts a message that is not the expected reply. Returns the exchange if this message determines its outcome.
    pub(crate) fn wrong_reply(
        &mut self,
        reply: ReceivedReply,
        mismatch: Mismatch,
        position: Option<ConnectionPosition>,
    ) -> Option<Exchange> {
        let has_wrong_token = mismatch == Mismatch::WrongToken;
        self.summary.wrong_token += u64::from(has_wrong_token);
        let timeout = self.timeout;
        let seq = reply.seq.filter(|seq| {
            self.sent_at(*seq).is_some_and(|sent| reply.received.since(&sent) <= timeout)
        });
        match (seq, self.framing) {
            (Some(seq), Framing::Stream) => {
                if let ReplyClass::First { request, .. } = self.tracker.classify_reply(seq) {
                    return Some(self.corrupt(&Decided { request, position }, reply, mismatch));
                }
            }
            (Some(seq), Framing::Datagrams) => {
                let ReceivedReply { received, bytes: text, .. } = reply;
                let wrong_reply = WrongReply { received, text, mismatch };
                if self.undecided.add_wrong_reply(seq, wrong_reply) {
                    return None;
                }
            }
            (None, _) => {}
        }
        self.summary.unmatched += u64::from(!has_wrong_token);
        None
    }

    /// Decides that the request of an incomplete reply is corrupt, because its timeout has expired. Returns `None` if even
    /// the first byte arrived after the timeout, or if the request is not in flight: the reply then belongs to no request.
    pub(crate) fn unfinished_reply(
        &mut self,
        reply: ReceivedReply,
        mismatch: Mismatch,
        position: Option<ConnectionPosition>,
    ) -> Option<Exchange> {
        let timeout = self.timeout;
        let first_byte = reply.first_byte.unwrap_or(reply.received);
        let seq = reply.seq.filter(|seq| {
            self.sent_at(*seq).is_some_and(|sent| first_byte.since(&sent) <= timeout)
        });
        if let Some(seq) = seq
            && let ReplyClass::First { request, .. } = self.tracker.classify_reply(seq)
        {
            return Some(self.corrupt(&Decided { request, position }, reply, mismatch));
        }
        self.summary.unmatched += 1;
        None
    }

    /// Decides the outcome of the first request to expire, if its wait for a reply is over. `failure` returns the reason
    /// for a request without an observation. Its arguments are the number of the request and the time since the send.
    /// Several requests can expire together, so call this function until it returns `None`.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        position: Option<ConnectionPosition>,
        failure: impl FnOnce(u64, Duration) -> Failure,
    ) -> Option<Exchange> {
        let request = self.tracker.expire(now)?;
        let after = now.saturating_duration_since(request.sent.monotonic());
        let failure = failure(request.seq, after);
        Some(self.decide_expired(&Decided { request, position }, failure))
    }

    /// Decides the outcome of a request without a correct reply in time. `failure` is the reason if there is no other
    /// observation.
    pub(super) fn decide_expired(&mut self, decided: &Decided, failure: Failure) -> Exchange {
        let Observations { error, wrong_reply } = self.undecided.take(decided.request.seq);
        match (error, wrong_reply) {
            (Some((error, Verification::Verified)), _) => {
                self.fail(decided, error, Verification::Verified)
            }
            _ if failure.condition == Condition::OtherAddress => self.lose(decided, failure),
            (_, Some(wrong_reply)) => {
                self.tracker.mark_answered(decided.request.seq);
                self.corrupt_by(decided, wrong_reply, Some(FailureContext::WaitedForCorrectReply))
            }
            (Some((error, verification)), None) => self.fail(decided, error, verification),
            (None, None) => self.lose(decided, failure),
        }
    }

    /// Decides that a request is corrupt, because of a reply that decides at once.
    pub(super) fn corrupt(
        &mut self,
        decided: &Decided,
        reply: ReceivedReply,
        mismatch: Mismatch,
    ) -> Exchange {
        let ReceivedReply { received, bytes, .. } = reply;
        let text = beginning_of(&bytes);
        self.corrupt_by(decided, WrongReply { received, text, mismatch }, None)
    }

    fn corrupt_by(
        &mut self,
        decided: &Decided,
        reply: WrongReply,
        context: Option<FailureContext>,
    ) -> Exchange {
        let WrongReply { received, text, mismatch } = reply;
        self.evidence.losses.corrupt(decided.request.seq);
        let failure = Failure {
            context,
            detail: Some(mismatch.to_string()),
            ..Failure::new(Condition::WrongAnswer, received.since(&decided.request.sent))
        };
        let outcome = Outcome::Corrupt { received, text, failure };
        let exchange = self.exchange(decided, outcome);
        self.count(exchange, decided.request.sent)
    }

    /// Counts the observations about a request that a correct reply has refuted.
    pub(super) fn refute(&mut self, seq: u64) {
        let Observations { error, wrong_reply } = self.undecided.take(seq);
        self.summary.refuted_errors += u64::from(error.is_some());
        let is_unmatched = wrong_reply.is_some_and(|reply| reply.mismatch != Mismatch::WrongToken);
        self.summary.unmatched += u64::from(is_unmatched);
    }

    /// Decides that a request failed because of this error.
    pub(super) fn fail(
        &mut self,
        decided: &Decided,
        failure: Failure,
        verification: Verification,
    ) -> Exchange {
        self.reachability.error_reported(&failure, verification);
        let seq = decided.request.seq;
        let reason = LossReason::of_failure(&failure, true, self.has_connections);
        let mut exchange = self.exchange(decided, Outcome::failed(failure));
        match verification {
            Verification::Verified => self.evidence.losses.failed(seq, exchange.lost_where, reason),
            // Any host can have sent the error, so it shows no place.
            Verification::Unverified => exchange.lost_where = self.evidence.losses.expired(seq),
        }
        self.count(exchange, decided.request.sent)
    }
}
