//! [`LossCounts`]: how many exchanges were lost at each place.

use crate::model::loss_place::{LossPlace, LossReason};
use std::collections::BTreeMap;

/// How many exchanges were lost at each place, and how exact these numbers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LossCounts {
    counts: BTreeMap<LossPlace, u64>,
    ranges: BTreeMap<LossPlace, LossRange>,
    /// The known reasons of losses at an unknown place.
    reasons: BTreeMap<LossReason, u64>,
    /// Requests that the server refused because of its rate limit.
    pub refused_rate: u64,
    /// Requests that the server refused for another reason.
    pub refused_list: u64,
}

/// The possible numbers of exchanges that were lost at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossRange {
    /// The smallest possible number.
    pub low: u64,
    /// The largest possible number.
    pub high: u64,
}

impl LossCounts {
    /// The number of exchanges that were lost at this place. The sum over all places is the number of lost exchanges.
    #[must_use]
    pub fn at(&self, place: LossPlace) -> u64 {
        self.counts.get(&place).copied().unwrap_or(0)
    }

    /// The places with at least one lost exchange, in the order of the path.
    pub fn places(&self) -> impl Iterator<Item = (LossPlace, u64)> + '_ {
        self.counts.iter().map(|(place, count)| (*place, *count))
    }

    /// The places with a number that is known only as a range. [`LossCounts::at`] counts the uncertain exchanges as
    /// unknown.
    pub fn ranges(&self) -> impl Iterator<Item = (LossPlace, LossRange)> + '_ {
        self.ranges.iter().map(|(place, range)| (*place, *range))
    }

    /// The known reasons of losses at an unknown place, each with at least one lost exchange.
    pub fn reasons(&self) -> impl Iterator<Item = (LossReason, u64)> + '_ {
        self.reasons.iter().map(|(reason, count)| (*reason, *count))
    }

    /// The number of losses at an unknown place and for an unknown reason.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        self.at(LossPlace::Unknown).saturating_sub(self.reasons.values().sum())
    }

    /// Whether the client did not send some of the lost requests.
    #[must_use]
    pub fn includes_unsent(&self) -> bool {
        let is_unsent = |reason: &LossReason| {
            matches!(reason, LossReason::NoAddress | LossReason::NoConnection)
        };
        self.at(LossPlace::SendQueue) > 0 || self.reasons.keys().any(is_unsent)
    }

    /// Adds a lost exchange. Without a place, its place is unknown, and it can have a reason.
    pub(crate) fn add_one(&mut self, place: Option<LossPlace>, reason: Option<LossReason>) {
        let place = place.unwrap_or(LossPlace::Unknown);
        self.add(place, 1);
        if let Some(reason) = reason.filter(|_| place == LossPlace::Unknown) {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Adds lost exchanges at a place.
    pub(crate) fn add(&mut self, place: LossPlace, count: u64) {
        if count > 0 {
            *self.counts.entry(place).or_default() += count;
        }
    }

    /// Moves a part of the exchanges of a place to the unknown place.
    pub(super) fn make_unknown(&mut self, place: LossPlace, count: u64) {
        let at_place = self.at(place);
        self.counts.insert(place, at_place.saturating_sub(count));
        self.counts.retain(|_, count| *count > 0);
        self.add(LossPlace::Unknown, count.min(at_place));
    }

    /// The number of lost exchanges at all places.
    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Adds a range of exchanges that were lost at a place.
    pub(super) fn add_range(&mut self, place: LossPlace, range: LossRange) {
        let sum = self.ranges.entry(place).or_insert(LossRange { low: 0, high: 0 });
        sum.low += range.low;
        sum.high += range.high;
    }

    /// Adds the numbers of another part of the run.
    pub(super) fn add_all(&mut self, other: &Self) {
        for (place, count) in other.places() {
            self.add(place, count);
        }
        for (place, range) in other.ranges() {
            self.add_range(place, range);
        }
        for (reason, count) in other.reasons() {
            *self.reasons.entry(reason).or_default() += count;
        }
        self.refused_rate += other.refused_rate;
        self.refused_list += other.refused_list;
    }

    /// Adds the exact numbers to the ranges, so that a range contains all exchanges of its place.
    pub(super) fn complete_ranges(&mut self) {
        for (place, range) in &mut self.ranges {
            let exact = self.counts.get(place).copied().unwrap_or(0);
            range.low += exact;
            range.high += exact;
        }
    }
}
