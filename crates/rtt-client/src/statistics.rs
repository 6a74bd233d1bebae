//! What a run's exchanges come to. Pure: outcomes in, figures out.

use crate::{Exchange, Outcome};
use hdrhistogram::Histogram;
use std::time::Duration;

/// How finely durations are told apart, in significant decimal digits.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The longest duration that is told apart from longer ones: twice the longest time-out. It bounds the
/// memory of a distribution, whatever is counted, to some 270 KiB.
const LONGEST: Duration = Duration::from_hours(2);

/// The counts and figures of a run. A request counts once: `sent = received + lost + corrupt`.
#[derive(Debug, Default)]
pub struct Summary {
    /// Requests made, those included that an error kept from being sent.
    pub sent: u64,
    /// Requests whose proper reply came in time.
    pub received: u64,
    /// Requests without a reply, for whatever reason.
    pub lost: u64,
    /// Requests whose reply was not what it must be.
    pub corrupt: u64,
    /// Round-trip times.
    pub rtt: Distribution,
    /// How long connecting took.
    pub connect: Distribution,
    /// From the first thing done to the last.
    pub duration: Duration,
}

impl Summary {
    /// Counts an exchange.
    pub fn add(&mut self, exchange: &Exchange) {
        self.sent += 1;
        match exchange.outcome {
            Outcome::Reply { .. } => self.received += 1,
            Outcome::Lost(_) | Outcome::Error(_) => self.lost += 1,
            Outcome::Corrupt { .. } => self.corrupt += 1,
        }
        if let Some(rtt) = exchange.rtt() {
            self.rtt.add(rtt);
        }
    }

    /// Whether every request was answered, and there was one.
    #[must_use]
    pub fn all_answered(&self) -> bool {
        self.sent > 0 && self.received == self.sent
    }
}

/// Durations, counted: exact at both ends, to three significant digits between them.
#[derive(Debug)]
pub struct Distribution {
    histogram: Histogram<u64>,
    min: Duration,
    max: Duration,
    sum: Duration,
}

impl Default for Distribution {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(nanoseconds(LONGEST), SIGNIFICANT_DIGITS)
            .expect("three digits are few enough, and the bounds in order");
        Self { histogram, min: Duration::MAX, max: Duration::ZERO, sum: Duration::ZERO }
    }
}

impl Distribution {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        self.histogram.saturating_record(nanoseconds(duration));
        self.min = self.min.min(duration);
        self.max = self.max.max(duration);
        self.sum += duration;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The smallest, the mean and the largest, if there are any.
    #[must_use]
    pub fn extent(&self) -> Option<(Duration, Duration, Duration)> {
        let count = u32::try_from(self.count()).ok().filter(|count| *count > 0)?;
        Some((self.min, self.sum / count, self.max))
    }

    /// The smallest duration that at least this share of them does not exceed, if there are any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        (self.count() > 0).then(|| {
            let coarse = Duration::from_nanos(self.histogram.value_at_quantile(share));
            coarse.clamp(self.min, self.max)
        })
    }
}

/// A duration in nanoseconds; 584 years are all the same.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_duration_is_all_its_figures() {
        let mut one = Distribution::default();
        assert_eq!(one.quantile(0.5), None);
        assert!(one.extent().is_none());
        let duration = Duration::from_nanos(73_456_789);
        one.add(duration);
        assert_eq!(one.extent(), Some((duration, duration, duration)));
        for share in [0.0, 0.5, 0.999, 1.0] {
            assert_eq!(one.quantile(share), Some(duration));
        }
    }

    #[test]
    fn quantiles_keep_three_digits() {
        let mut many = Distribution::default();
        for microseconds in 1..=1000 {
            many.add(Duration::from_micros(microseconds));
        }
        for (share, microseconds) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
            let found = many.quantile(share).unwrap().as_secs_f64() * 1e6;
            assert!((found / microseconds - 1.0).abs() < 0.001, "{share}: {found}");
        }
    }
}
