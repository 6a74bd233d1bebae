//! [`OutageDetector`]: finds the outages of a run, and [`Outages`], the result. Callers pass the time.
//!
//! An outage is a sequence of consecutive requests without a correct reply. One random loss is not an outage: the
//! sequence has at least [`MIN_REQUESTS`] requests, or one of them failed with an error that the absence of the
//! server explains ([`Condition::shows_absence`]).
//!
//! With several requests in flight, outcomes are decided in any order. The detector processes them in the order of the
//! requests. Outcomes after an undecided request wait. Consecutive outcomes of the same kind wait as one [`Segment`], so
//! they need little memory.

use crate::model::condition::Condition;
use crate::model::outage::Outage;
use echo_core::Stamp;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The minimum number of consecutive requests without a correct reply and without an error. With 1 % of random loss, three
/// requests in a row are lost once in a million.
pub(crate) const MIN_REQUESTS: u64 = 3;

/// The maximum number of outages that are stored in detail. Further outages are only counted.
const MAX_STORED: usize = 20;

/// The maximum number of waiting segments: about 10 MB. Their usual number is the number of requests that were lost
/// within the last timeout.
const MAX_WAITING: usize = 65_536;

/// The outages of a run.
#[derive(Debug, Clone, Default)]
pub struct Outages {
    /// The number of outages.
    pub count: u64,
    /// The number of requests without a correct reply in all outages.
    pub requests: u64,
    /// The duration of all outages together.
    pub duration: Duration,
    /// The first outages, in their order.
    pub first: Vec<Outage>,
}

impl Outages {
    fn add(&mut self, outage: Outage) {
        self.count += 1;
        self.requests += outage.requests;
        self.duration += outage.duration;
        if self.first.len() < MAX_STORED {
            self.first.push(outage);
        }
    }

    /// The number of outages that are not stored in detail.
    #[must_use]
    pub fn not_stored(&self) -> u64 {
        self.count - self.first.len() as u64
    }
}

/// Finds the outages of a run.
#[derive(Debug)]
pub(crate) struct OutageDetector {
    /// Whether a run without any correct reply is also an outage.
    counts_without_reply: bool,
    has_reply: bool,
    /// The number of the next request to process.
    next: u64,
    /// The requests since the last correct reply.
    failed: Option<FailedRequests>,
    /// The segments after an undecided request. The key is the number of the first request.
    waiting: BTreeMap<u64, Segment>,
}

/// Consecutive requests of the same kind: all of them have a correct reply, or none.
#[derive(Debug)]
struct Segment {
    /// The number of the last request.
    last: u64,
    /// The send time of the first request.
    first_sent: Stamp,
    /// Absent if the requests have correct replies.
    failed: Option<FailedRequests>,
}

/// Consecutive requests without a correct reply.
#[derive(Debug)]
struct FailedRequests {
    from: Stamp,
    requests: u64,
    conditions: Vec<Condition>,
}

impl OutageDetector {
    /// A detector for a run whose first request has number 1. If `counts_without_reply` is set, a run without any correct
    /// reply is also an outage.
    pub(crate) fn new(counts_without_reply: bool) -> Self {
        Self {
            counts_without_reply,
            has_reply: false,
            next: 1,
            failed: None,
            waiting: BTreeMap::new(),
        }
    }

    /// Adds the outcome of request `seq`: the reason for a missing reply, or `None` for a correct reply. Each request has one
    /// outcome. Adds the outages that have ended to `outages`.
    pub(crate) fn add(
        &mut self,
        seq: u64,
        sent: Stamp,
        failure: Option<Condition>,
        outages: &mut Outages,
    ) {
        let failed = failure.map(|condition| FailedRequests {
            from: sent,
            requests: 1,
            conditions: vec![condition],
        });
        let segment = Segment { last: seq, first_sent: sent, failed };
        if seq == self.next {
            self.process(segment, outages);
        } else if seq > self.next {
            self.wait(seq, segment);
            if self.waiting.len() > MAX_WAITING {
                // Later outcomes of the requests before this segment are not used.
                self.process_first_waiting(outages);
            }
        }
        while self.waiting.first_key_value().is_some_and(|(first, _)| *first == self.next) {
            self.process_first_waiting(outages);
        }
    }

    /// Adds the outage that lasts until the end of the run at `end`.
    pub(crate) fn finish(mut self, end: Instant, outages: &mut Outages) {
        while !self.waiting.is_empty() {
            self.process_first_waiting(outages);
        }
        let is_outage = self.has_reply || self.counts_without_reply;
        if let Some(failed) = self.failed.filter(|failed| is_outage && failed.are_an_outage()) {
            let duration = end.saturating_duration_since(failed.from.monotonic());
            outages.add(failed.into_outage(None, duration));
        }
    }

    fn process_first_waiting(&mut self, outages: &mut Outages) {
        if let Some((_, segment)) = self.waiting.pop_first() {
            self.process(segment, outages);
        }
    }

    fn process(&mut self, segment: Segment, outages: &mut Outages) {
        self.next = segment.last + 1;
        let Some(failed) = segment.failed else {
            self.has_reply = true;
            let ended = self.failed.take().filter(FailedRequests::are_an_outage);
            if let Some(failed) = ended {
                let duration = segment.first_sent.since(&failed.from);
                outages.add(failed.into_outage(Some(segment.first_sent), duration));
            }
            return;
        };
        match &mut self.failed {
            Some(earlier) => earlier.append(failed),
            None => self.failed = Some(failed),
        }
    }

    /// Stores a segment until the requests before it are decided. Joins it with its neighbours of the same kind.
    fn wait(&mut self, first: u64, mut segment: Segment) {
        if let Some((next, later)) = self.waiting.remove_entry(&(segment.last + 1)) {
            match segment.join(later) {
                Ok(()) => {}
                Err(later) => _ = self.waiting.insert(next, later),
            }
        }
        let earlier = self.waiting.range_mut(..first).next_back();
        let unjoined = match earlier {
            Some((_, earlier)) if earlier.last + 1 == first => earlier.join(segment).err(),
            _ => Some(segment),
        };
        if let Some(segment) = unjoined {
            self.waiting.insert(first, segment);
        }
    }
}

impl Segment {
    /// Appends the segment that follows. Returns it if its kind is different.
    fn join(&mut self, later: Self) -> Result<(), Self> {
        match (&mut self.failed, later) {
            (None, Self { last, failed: None, .. }) => self.last = last,
            (Some(earlier), Self { last, failed: Some(failed), .. }) => {
                self.last = last;
                earlier.append(failed);
            }
            (_, later) => return Err(later),
        }
        Ok(())
    }
}

impl FailedRequests {
    fn append(&mut self, later: Self) {
        self.requests += later.requests;
        for condition in later.conditions {
            if !self.conditions.contains(&condition) {
                self.conditions.push(condition);
            }
        }
    }

    fn are_an_outage(&self) -> bool {
        let has_error = self.conditions.iter().any(|condition| condition.shows_absence());
        self.requests >= MIN_REQUESTS || has_error
    }

    fn into_outage(self, to: Option<Stamp>, duration: Duration) -> Outage {
        let Self { from, requests, conditions } = self;
        Outage { from, to, duration, requests, conditions }
    }
}

#[cfg(test)]
mod tests;
