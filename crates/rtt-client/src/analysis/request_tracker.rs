//! [`RequestTracker`]: tracks requests in flight by number, and classifies replies. Callers pass the time.

use crate::model::breakdown::TimestampId;
use crate::plan::MAX_IN_FLIGHT;
use echo_core::Stamp;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// The number of latest requests whose state is stored, one byte for each. The state of an older request is unknown,
/// so its replies count as unmatched.
///
/// [`MAX_IN_FLIGHT`] limits rate × timeout. The client can check a timeout late. Until the check, it sends further
/// requests. So the number of requests in flight can slightly exceed the limit. Therefore this number is 5 % larger
/// than the limit.
pub(crate) const MAX_STORED_STATES: usize = MAX_IN_FLIGHT as usize / 20 * 21;

/// The state of a request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestState {
    InFlight,
    /// The first reply has arrived.
    Answered,
    /// The request is lost, and no reply has arrived.
    Lost,
}

/// A request in flight. Its outcome is not decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) seq: u64,
    /// The time of the first send. A second send on a new connection does not change it.
    pub(crate) sent: Stamp,
    /// The time at which the schedule required the send.
    pub(crate) due: Instant,
    pub(crate) timestamp_id: TimestampId,
    /// The end of the wait for a reply, if it is before the timeout.
    shortened_wait: Option<Instant>,
    /// The number of sends, at least 1.
    pub(crate) sends: u8,
    decided: bool,
}

/// The class of a reply.
#[derive(Debug)]
pub(crate) enum ReplyClass {
    /// The first reply to a request in flight.
    First {
        request: InFlight,
        /// Whether the reply to a later request arrived earlier.
        out_of_order: bool,
    },
    /// The first reply to a lost request.
    Late,
    /// Not the first reply to its request.
    Duplicate,
    /// There is no such request, or its state is no longer stored.
    Unmatched,
}

/// The requests of a run.
#[derive(Debug)]
pub(crate) struct RequestTracker {
    timeout: Duration,
    /// The states of the latest requests, in the order of their numbers.
    states: VecDeque<RequestState>,
    /// The requests in flight, in the order of their numbers. A decided request stays until all requests before it
    /// are decided, too.
    requests: VecDeque<InFlight>,
    /// The requests in flight with a shortened wait: the end of the wait, and the number.
    shortened: BTreeSet<(Instant, u64)>,
    undecided: usize,
    next_seq: u64,
    highest_answered: u64,
}

impl RequestTracker {
    /// A tracker without requests. The first request will have number 1. A request without a reply is lost after
    /// `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            states: VecDeque::new(),
            requests: VecDeque::new(),
            shortened: BTreeSet::new(),
            undecided: 0,
            next_seq: 1,
            highest_answered: 0,
        }
    }

    /// The number of the next request.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Adds the next request.
    pub(crate) fn add(&mut self, sent: Stamp, due: Instant, timestamp_id: TimestampId) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.undecided += 1;
        self.requests.push_back(InFlight {
            seq,
            sent,
            due,
            timestamp_id,
            shortened_wait: None,
            sends: 1,
            decided: false,
        });
        if self.states.len() == MAX_STORED_STATES {
            self.states.pop_front();
        }
        self.states.push_back(RequestState::InFlight);
    }

    /// Records that a request in flight was sent again. Its timeout and its RTT still count from the first send.
    pub(crate) fn resend(&mut self, seq: u64, timestamp_id: TimestampId) {
        if let Some(request) = self.find(seq) {
            request.timestamp_id = timestamp_id;
            request.sends = request.sends.saturating_add(1);
        }
    }

    /// The number of requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.undecided
    }

    /// The request with number `seq`, if it is in flight.
    pub(crate) fn find(&mut self, seq: u64) -> Option<&mut InFlight> {
        let first = self.requests.front()?.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.requests.get_mut(index).filter(|request| !request.decided)
    }

    /// The number of the oldest request in flight.
    pub(crate) fn oldest(&self) -> Option<u64> {
        // The front is never a decided request.
        self.requests.front().map(|request| request.seq)
    }

    /// The first request in flight with this number or a higher one.
    pub(crate) fn first_in_flight_from(&self, number: u64) -> Option<u64> {
        let first = self.requests.front()?.seq;
        let start = usize::try_from(number.saturating_sub(first)).ok()?;
        let mut later = self.requests.range(start.min(self.requests.len())..);
        later.find(|request| !request.decided).map(|request| request.seq)
    }

    /// The numbers of the requests in flight, in ascending order.
    pub(crate) fn numbers_in_flight(&self) -> impl Iterator<Item = u64> + '_ {
        self.requests.iter().filter(|request| !request.decided).map(|request| request.seq)
    }

    /// The number of the request in flight, if there is exactly one.
    pub(crate) fn only(&self) -> Option<u64> {
        self.oldest().filter(|_| self.undecided == 1)
    }

    /// Classifies a reply to request `seq`. After the first reply, the request is decided.
    pub(crate) fn classify_reply(&mut self, seq: u64) -> ReplyClass {
        let Some(state) = self.state(seq) else { return ReplyClass::Unmatched };
        match std::mem::replace(state, RequestState::Answered) {
            RequestState::Answered => ReplyClass::Duplicate,
            RequestState::Lost => ReplyClass::Late,
            RequestState::InFlight => {
                let out_of_order = seq < self.highest_answered;
                self.highest_answered = self.highest_answered.max(seq);
                match self.take(seq) {
                    Some(request) => ReplyClass::First { request, out_of_order },
                    None => ReplyClass::Unmatched,
                }
            }
        }
    }

    /// Decides that request `seq` is lost. Returns `None` if it is not in flight.
    pub(crate) fn lose(&mut self, seq: u64) -> Option<InFlight> {
        let request = self.take(seq)?;
        if let Some(state) = self.state(seq) {
            *state = RequestState::Lost;
        }
        Some(request)
    }

    /// Ends the wait for the reply to request `seq` at `end`, if the wait would otherwise end later.
    pub(crate) fn shorten_wait(&mut self, seq: u64, end: Instant) {
        let timeout = self.timeout;
        let Some(request) = self.find(seq) else { return };
        let timeout_end = request.sent.monotonic() + timeout;
        if end >= request.shortened_wait.unwrap_or(timeout_end) {
            return;
        }
        if let Some(earlier) = request.shortened_wait.replace(end) {
            self.shortened.remove(&(earlier, seq));
        }
        self.shortened.insert((end, seq));
    }

    /// Records that a lost request has an answer.
    pub(crate) fn mark_answered(&mut self, seq: u64) {
        if let Some(state) = self.state(seq) {
            *state = RequestState::Answered;
        }
    }

    /// The time at which the first request in flight expires: its wait for a reply ends.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.first_to_expire().map(|(end, _)| end)
    }

    /// Decides that the first request to expire is lost, if its wait for a reply is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<InFlight> {
        let (end, seq) = self.first_to_expire()?;
        if end <= now { self.lose(seq) } else { None }
    }

    /// The request in flight whose wait for a reply ends first, and the time of this end.
    fn first_to_expire(&self) -> Option<(Instant, u64)> {
        let oldest = self.requests.front()?;
        let end = oldest.sent.monotonic() + self.timeout;
        let first_shortened = self.shortened.first().copied();
        Some(
            first_shortened.map_or((end, oldest.seq), |shortened| shortened.min((end, oldest.seq))),
        )
    }

    /// Marks a request in flight as decided, and returns it.
    fn take(&mut self, seq: u64) -> Option<InFlight> {
        let request = self.find(seq)?;
        request.decided = true;
        let taken = *request;
        self.undecided -= 1;
        if let Some(end) = taken.shortened_wait {
            self.shortened.remove(&(end, seq));
        }
        while self.requests.front().is_some_and(|request| request.decided) {
            self.requests.pop_front();
        }
        Some(taken)
    }

    fn state(&mut self, seq: u64) -> Option<&mut RequestState> {
        let oldest = self.next_seq.checked_sub(self.states.len() as u64)?;
        let index = usize::try_from(seq.checked_sub(oldest)?).ok()?;
        self.states.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn tracker_with(requests: u64) -> (RequestTracker, Instant) {
        let mut tracker = RequestTracker::new(TIMEOUT);
        for _ in 0..requests {
            let stamp = Stamp::just_before();
            tracker.add(stamp, stamp.monotonic(), TimestampId::default());
        }
        (tracker, Instant::now())
    }

    #[test]
    fn each_reply_has_exactly_one_class() {
        let (mut tracker, now) = tracker_with(5);
        assert_eq!(tracker.in_flight(), 5);
        assert!(matches!(tracker.classify_reply(1), ReplyClass::First { out_of_order: false, .. }));
        assert!(matches!(tracker.classify_reply(3), ReplyClass::First { out_of_order: false, .. }));
        assert!(matches!(tracker.classify_reply(2), ReplyClass::First { out_of_order: true, .. }));
        assert!(matches!(tracker.classify_reply(3), ReplyClass::Duplicate));
        assert!(matches!(tracker.classify_reply(6), ReplyClass::Unmatched));
        assert!(matches!(tracker.classify_reply(0), ReplyClass::Unmatched));
        assert_eq!(tracker.numbers_in_flight().collect::<Vec<_>>(), [4, 5]);
        assert_eq!(tracker.oldest(), Some(4));
        assert_eq!(
            [0, 4, 5, 6].map(|number| tracker.first_in_flight_from(number)),
            [Some(4), Some(4), Some(5), None]
        );
        assert_eq!(tracker.only(), None);
        assert!(tracker.expire(now).is_none());
        assert_eq!(tracker.expire(now + TIMEOUT).unwrap().seq, 4);
        assert_eq!(tracker.only(), Some(5));
        assert!(matches!(tracker.classify_reply(4), ReplyClass::Late));
        assert!(matches!(tracker.classify_reply(4), ReplyClass::Duplicate));
        assert_eq!(tracker.expire(now + TIMEOUT).unwrap().seq, 5);
        assert!(tracker.expire(now + TIMEOUT).is_none());
        assert_eq!((tracker.in_flight(), tracker.next_expiry()), (0, None));
    }

    #[test]
    fn second_send_does_not_restart_the_timeout() {
        let (mut tracker, _) = tracker_with(1);
        let expiry = tracker.next_expiry();
        tracker.resend(1, TimestampId { id: Some(7) });
        assert_eq!(tracker.next_expiry(), expiry);
        let request = tracker.find(1).unwrap();
        assert_eq!((request.timestamp_id.id, request.sends), (Some(7), 2));
    }

    #[test]
    fn shortened_wait_ends_before_the_timeout_of_older_requests() {
        let (mut tracker, now) = tracker_with(3);
        let wait = Duration::from_millis(10);
        tracker.shorten_wait(2, now + wait);
        tracker.shorten_wait(2, now + 2 * wait);
        tracker.shorten_wait(3, now + 2 * TIMEOUT);
        assert_eq!(tracker.next_expiry(), Some(now + wait), "a wait never becomes longer");
        assert!(tracker.expire(now).is_none());
        assert_eq!(tracker.expire(now + wait).unwrap().seq, 2);
        assert!(tracker.expire(now + wait).is_none());
        tracker.shorten_wait(3, now + wait);
        tracker.classify_reply(3);
        assert_eq!(tracker.expire(now + TIMEOUT).unwrap().seq, 1);
        assert_eq!((tracker.next_expiry(), tracker.shortened.len()), (None, 0));
    }

    #[test]
    fn reply_to_a_request_without_a_stored_state_is_unmatched() {
        let (mut tracker, now) = tracker_with(1);
        tracker.expire(now + TIMEOUT).unwrap();
        for _ in 0..MAX_STORED_STATES {
            let stamp = Stamp::just_before();
            tracker.add(stamp, stamp.monotonic(), TimestampId::default());
            tracker.classify_reply(tracker.next_seq() - 1);
        }
        assert!(matches!(tracker.classify_reply(1), ReplyClass::Unmatched));
        assert!(matches!(tracker.classify_reply(2), ReplyClass::Duplicate));
        assert_eq!(tracker.states.len(), MAX_STORED_STATES);
        assert!(tracker.requests.is_empty());
    }
}
