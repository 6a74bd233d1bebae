//! The book of a run's requests: which are in the air, which are decided, and what a reply therefore is.
//!
//! Every request has a number, and every reply is booked by it, so that loss, doubling, reordering and
//! lateness are each counted once, whatever the network does. Pure: no clock is read here.

use crate::model::breakdown::TimestampId;
use echo_core::Stamp;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// For how many of the latest requests it is remembered what became of them. A reply to one before
/// that can't be told late from doubled, and is a stray. A byte each.
const REMEMBERED: usize = 1 << 20;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    InFlight,
    /// Its reply came, and was counted.
    Answered,
    /// Given up; no reply has come yet.
    Lost,
}

/// A request in the air.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) seq: u64,
    pub(crate) sent: Stamp,
    /// When it should have been sent.
    pub(crate) due: Instant,
    pub(crate) timestamp_id: TimestampId,
    decided: bool,
}

/// What a reply is.
#[derive(Debug)]
pub(crate) enum ReplyClass {
    /// The first, in time.
    First {
        request: InFlight,
        /// A reply to a later request was here before it.
        out_of_order: bool,
    },
    /// The first, but its request has been given up.
    Late,
    /// Not the first.
    Duplicate,
    /// To a request that was never made, or too long ago.
    Unmatched,
}

/// The book.
#[derive(Debug)]
pub(crate) struct RequestTracker {
    timeout: Duration,
    /// By number, modulo [`REMEMBERED`].
    fates: VecDeque<Fate>,
    /// In order of their numbers, without gaps.
    air: VecDeque<InFlight>,
    undecided: usize,
    /// The next request's number.
    next: u64,
    highest_answered: u64,
}

impl RequestTracker {
    /// An empty book; requests are given up after `timeout`. Numbers begin at 1.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            fates: VecDeque::new(),
            air: VecDeque::new(),
            undecided: 0,
            next: 1,
            highest_answered: 0,
        }
    }

    /// The number that the next request will have.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// How many requests are in the air.
    pub(crate) fn in_flight(&self) -> usize {
        self.undecided
    }

    /// Books the next request.
    pub(crate) fn sent(&mut self, sent: Stamp, due: Instant, timestamp_id: TimestampId) {
        let seq = self.next;
        self.next += 1;
        self.undecided += 1;
        self.air.push_back(InFlight { seq, sent, due, timestamp_id, decided: false });
        if self.fates.len() == REMEMBERED {
            self.fates.pop_front();
        }
        self.fates.push_back(Fate::InFlight);
    }

    /// Books that a request in the air has been sent again, on another connection. Its time runs on:
    /// what the first attempt took is part of what the exchange takes.
    pub(crate) fn resent(&mut self, seq: u64, timestamp_id: TimestampId) {
        if let Some(request) = self.find(seq) {
            request.timestamp_id = timestamp_id;
        }
    }

    /// The request with that number, if it is in the air.
    pub(crate) fn find(&mut self, seq: u64) -> Option<&mut InFlight> {
        let first = self.air.front()?.seq;
        let place = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.air.get_mut(place).filter(|request| !request.decided)
    }

    /// The oldest request in the air.
    pub(crate) fn oldest(&self) -> Option<u64> {
        // What is decided leaves the front at once.
        self.air.front().map(|request| request.seq)
    }

    /// The only request in the air, if there is one and no other.
    pub(crate) fn only(&self) -> Option<u64> {
        self.oldest().filter(|_| self.undecided == 1)
    }

    /// Books a reply to request `seq`, and says what it is.
    pub(crate) fn answered(&mut self, seq: u64) -> ReplyClass {
        let Some(fate) = self.fate(seq) else { return ReplyClass::Unmatched };
        let before = std::mem::replace(fate, Fate::Answered);
        match before {
            Fate::Answered => ReplyClass::Duplicate,
            Fate::Lost => ReplyClass::Late,
            Fate::InFlight => {
                let out_of_order = seq < self.highest_answered;
                self.highest_answered = self.highest_answered.max(seq);
                match self.take(seq) {
                    Some(request) => ReplyClass::First { request, out_of_order },
                    None => ReplyClass::Unmatched,
                }
            }
        }
    }

    /// Takes a request out of the air that came to nothing; a reply to it would be late.
    pub(crate) fn lose(&mut self, seq: u64) -> Option<InFlight> {
        let request = self.take(seq)?;
        if let Some(fate) = self.fate(seq) {
            *fate = Fate::Lost;
        }
        Some(request)
    }

    /// When the oldest request in the air will be given up.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.air.front().map(|request| request.sent.monotonic() + self.timeout)
    }

    /// Gives up the oldest request if its time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<InFlight> {
        let oldest = self.air.front()?;
        let over = oldest.sent.monotonic() + self.timeout <= now;
        let seq = oldest.seq;
        if over { self.lose(seq) } else { None }
    }

    fn take(&mut self, seq: u64) -> Option<InFlight> {
        let request = self.find(seq)?;
        request.decided = true;
        let taken = *request;
        self.undecided -= 1;
        while self.air.front().is_some_and(|request| request.decided) {
            self.air.pop_front();
        }
        Some(taken)
    }

    fn fate(&mut self, seq: u64) -> Option<&mut Fate> {
        let oldest = self.next.checked_sub(self.fates.len() as u64)?;
        let place = usize::try_from(seq.checked_sub(oldest)?).ok()?;
        self.fates.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn book(requests: u64) -> (RequestTracker, Instant) {
        let mut tracker = RequestTracker::new(TIMEOUT);
        for _ in 0..requests {
            let stamp = Stamp::just_before();
            tracker.sent(stamp, stamp.monotonic(), TimestampId::default());
        }
        (tracker, Instant::now())
    }

    #[test]
    fn each_reply_is_one_thing() {
        let (mut tracker, now) = book(5);
        assert_eq!(tracker.in_flight(), 5);
        assert!(matches!(tracker.answered(1), ReplyClass::First { out_of_order: false, .. }));
        assert!(matches!(tracker.answered(3), ReplyClass::First { out_of_order: false, .. }));
        assert!(matches!(tracker.answered(2), ReplyClass::First { out_of_order: true, .. }));
        assert!(matches!(tracker.answered(3), ReplyClass::Duplicate));
        assert!(matches!(tracker.answered(6), ReplyClass::Unmatched));
        assert!(matches!(tracker.answered(0), ReplyClass::Unmatched));
        let numbers =
            tracker.air.iter().filter(|request| !request.decided).map(|request| request.seq);
        assert_eq!(numbers.collect::<Vec<_>>(), [4, 5]);
        assert_eq!(tracker.oldest(), Some(4));
        assert_eq!(tracker.only(), None);
        assert!(tracker.expire(now).is_none());
        assert_eq!(tracker.expire(now + TIMEOUT).unwrap().seq, 4);
        assert_eq!(tracker.only(), Some(5));
        assert!(matches!(tracker.answered(4), ReplyClass::Late));
        assert!(matches!(tracker.answered(4), ReplyClass::Duplicate));
        assert_eq!(tracker.expire(now + TIMEOUT).unwrap().seq, 5);
        assert!(tracker.expire(now + TIMEOUT).is_none());
        assert_eq!((tracker.in_flight(), tracker.next_expiry()), (0, None));
    }

    #[test]
    fn a_reply_to_a_request_of_long_ago_is_a_stray() {
        let (mut tracker, now) = book(1);
        tracker.expire(now + TIMEOUT).unwrap();
        for _ in 0..REMEMBERED {
            let stamp = Stamp::just_before();
            tracker.sent(stamp, stamp.monotonic(), TimestampId::default());
            tracker.answered(tracker.next_number() - 1);
        }
        assert!(matches!(tracker.answered(1), ReplyClass::Unmatched));
        assert!(matches!(tracker.answered(2), ReplyClass::Duplicate));
        assert_eq!(tracker.fates.len(), REMEMBERED);
        assert!(tracker.air.is_empty());
    }
}
