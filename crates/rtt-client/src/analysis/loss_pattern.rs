//! [`LossPattern`]: whether the requests without a reply form a regular pattern.
//!
//! Random losses have random distances. A rate limit answers a fixed number of requests per time, so the distances
//! between the losses are nearly equal. The pattern alone does not prove a rate limit.

/// The maximum number of stored requests without a reply. More do not change the result.
const MAX_STORED: usize = 10_000;

/// The minimum number of distances for a pattern. With this number, random losses form a regular pattern in at most
/// one of 1,000 runs (see the tests).
const MIN_DISTANCES: usize = 8;

/// The minimum share of the distances that must be equal to the median, within the tolerance.
const MIN_EQUAL_SHARE: f64 = 0.8;

/// The tolerance is the median distance divided by this number, rounded down.
const TOLERANCE_DIVISOR: u64 = 8;

/// The requests of a run without a reply.
#[derive(Debug, Default)]
pub(crate) struct LossTracker {
    /// The numbers of the requests.
    missing: Vec<u64>,
}

/// A regular pattern of missing replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LossPattern {
    /// The number of requests from the start of one gap to the start of the next gap. A gap is a sequence of requests
    /// without a reply.
    pub(crate) period: u64,
}

impl LossTracker {
    /// Adds a request without a reply. The requests can be in any order.
    pub(crate) fn add(&mut self, seq: u64) {
        if self.missing.len() < MAX_STORED {
            self.missing.push(seq);
        }
    }

    /// The pattern of the missing replies, if it is regular.
    pub(crate) fn pattern(mut self) -> Option<LossPattern> {
        self.missing.sort_unstable();
        let is_start =
            |index: usize| index == 0 || self.missing[index] != self.missing[index - 1] + 1;
        let starts = (0..self.missing.len()).filter(|index| is_start(*index));
        let starts: Vec<u64> = starts.map(|index| self.missing[index]).collect();
        let mut distances: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if distances.len() < MIN_DISTANCES {
            return None;
        }
        distances.sort_unstable();
        let period = distances[distances.len() / 2];
        let tolerance = period / TOLERANCE_DIVISOR;
        let equal =
            distances.iter().filter(|distance| distance.abs_diff(period) <= tolerance).count();
        #[expect(clippy::cast_precision_loss, reason = "at most MAX_STORED distances")]
        let share = equal as f64 / distances.len() as f64;
        (share >= MIN_EQUAL_SHARE).then_some(LossPattern { period })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    fn pattern(missing: impl IntoIterator<Item = u64>) -> Option<LossPattern> {
        let mut tracker = LossTracker::default();
        missing.into_iter().for_each(|seq| tracker.add(seq));
        tracker.pattern()
    }

    #[test]
    fn losses_with_equal_distances_are_a_pattern() {
        assert_eq!(
            pattern((1..=100).filter(|seq| seq % 10 == 0)),
            Some(LossPattern { period: 10 })
        );
        // One reply for every ten requests.
        assert_eq!(
            pattern((1..=100).filter(|seq| seq % 10 != 0)),
            Some(LossPattern { period: 10 })
        );
        // The distances vary by one request, and the order does not matter.
        let jitter = [10, 20, 31, 41, 50, 60, 71, 81, 90, 100];
        assert_eq!(pattern(jitter.into_iter().rev()), Some(LossPattern { period: 10 }));
    }

    #[test]
    fn few_losses_or_one_long_outage_are_no_pattern() {
        assert_eq!(pattern([]), None);
        assert_eq!(pattern((1..=80).filter(|seq| seq % 10 == 0)), None);
        assert_eq!(pattern(20..=400), None);
    }

    #[test]
    fn random_losses_are_rarely_a_pattern() {
        let mut random = Rng::with_seed(7);
        for share in [0.02, 0.1, 0.3, 0.5, 0.8] {
            let runs = 2000;
            let regular = (0..runs)
                .filter(|_| pattern((1..=200).filter(|_| random.f64() < share)).is_some())
                .count();
            assert!(regular <= 2, "share {share}: {regular} of {runs}");
        }
    }
}
