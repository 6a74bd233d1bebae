//! [`Distribution`]: many durations in bounded memory, and their quantiles.

use crate::model::format::nanoseconds;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Up to this number of durations, a distribution stores each duration, and its quantiles are exact. They take at most
/// 32 KiB. Most series and comparisons have fewer exchanges.
const MAX_EXACT: usize = 4096;

/// The resolution of the quantiles of more durations, in significant decimal digits.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The longest duration of the histogram. A longer duration counts as this duration. This value is twice the longest
/// timeout. It limits the memory of a histogram to about 270 KiB.
const MAX_DURATION: Duration = Duration::from_hours(2);

/// The distribution of many durations. Minimum, maximum, mean and standard deviation are exact. Quantiles are exact for up
/// to 4,096 durations. With more durations, a quantile is at most 0.1 % longer than the exact one.
#[derive(Debug)]
pub struct Distribution {
    values: Values,
    min: Duration,
    max: Duration,
    /// The mean, in nanoseconds.
    mean: f64,
    /// The sum of the squared differences from the mean. Each new value updates the mean and this sum with
    /// Welford's method (Technometrics 4, 1962). It avoids the rounding errors of a sum of squares.
    squares: f64,
}

/// The durations, in nanoseconds.
#[derive(Debug)]
enum Values {
    /// Each duration, at most [`MAX_EXACT`].
    Exact(Vec<u64>),
    /// More durations than [`MAX_EXACT`].
    Histogram(Box<Histogram<u64>>),
}

impl Default for Distribution {
    fn default() -> Self {
        let (min, max) = (Duration::MAX, Duration::ZERO);
        Self { values: Values::Exact(Vec::new()), min, max, mean: 0.0, squares: 0.0 }
    }
}

impl Distribution {
    /// Adds a duration.
    pub fn add(&mut self, duration: Duration) {
        let nanoseconds = nanoseconds(duration);
        self.values.add(nanoseconds);
        self.min = self.min.min(duration);
        self.max = self.max.max(duration);
        let from_old_mean = float(nanoseconds) - self.mean;
        self.mean += from_old_mean / float(self.count());
        self.squares += from_old_mean * (float(nanoseconds) - self.mean);
    }

    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.values {
            Values::Exact(values) => values.len() as u64,
            Values::Histogram(histogram) => histogram.len(),
        }
    }

    /// The smallest duration. Absent if the distribution is empty.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.min)
    }

    /// The largest duration. Absent if the distribution is empty.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.max)
    }

    /// The mean. Absent if the distribution is empty.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_secs_f64(self.mean / 1e9))
    }

    /// The standard deviation of the sample. Absent with fewer than two durations.
    #[must_use]
    pub fn stddev(&self) -> Option<Duration> {
        let count = self.count();
        (count > 1).then(|| Duration::from_secs_f64((self.squares / float(count - 1)).sqrt() / 1e9))
    }

    /// The quantile for `share`, from 0 to 1: the smallest of the durations for which at least this share of the durations
    /// is at most as long. With more than 4,096 durations, the result can be 0.1 % longer.
    /// Absent if the distribution is empty. The function does not check whether there are enough durations. Reports use
    /// [`supported_quantile`](Self::supported_quantile).
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let value = match &self.values {
            Values::Exact(values) => exact_quantile(values, share)?,
            Values::Histogram(histogram) => histogram.value_at_quantile(share),
        };
        Some(Duration::from_nanos(value).clamp(self.min, self.max))
    }

    /// The quantile. Absent if there are fewer durations than [`Quantile::min_count`].
    #[must_use]
    pub fn supported_quantile(&self, quantile: Quantile) -> Option<Duration> {
        (self.count() >= quantile.min_count()).then(|| self.quantile(quantile.share())).flatten()
    }

    /// The median. Absent if the distribution is empty.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.supported_quantile(Quantile::P50)
    }
}

/// The quantiles that reports show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// The median.
    P50,
    /// The value that 90 % of the values do not exceed.
    P90,
    /// The value that 99 % of the values do not exceed.
    P99,
    /// The value that 99.9 % of the values do not exceed.
    P999,
}

impl Quantile {
    /// All quantiles, in ascending order.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::P999];

    /// The share of the values that do not exceed the quantile.
    #[must_use]
    pub fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
        }
    }

    /// The heading in a table: `p99.9`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }

    /// The smallest number of values that supports the quantile. With fewer values, on average less than one value
    /// is above the quantile, so the quantile only repeats the maximum.
    #[must_use]
    pub fn min_count(self) -> u64 {
        match self {
            Self::P50 => 1,
            Self::P90 => 10,
            Self::P99 => 100,
            Self::P999 => 1000,
        }
    }
}

impl Values {
    /// Adds a duration. The list of exact values grows by doubling, so few calls allocate memory. One call replaces the list
    /// by a histogram, which takes some ten microseconds.
    fn add(&mut self, nanoseconds: u64) {
        match self {
            Self::Exact(values) if values.len() < MAX_EXACT => values.push(nanoseconds),
            Self::Exact(values) => {
                let mut histogram = new_histogram();
                for value in values.drain(..).chain([nanoseconds]) {
                    histogram.saturating_record(value);
                }
                *self = Self::Histogram(Box::new(histogram));
            }
            Self::Histogram(histogram) => histogram.saturating_record(nanoseconds),
        }
    }
}

/// The smallest value for which at least this share of the values is not larger. `None` without values.
fn exact_quantile(values: &[u64], share: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a negative number becomes 0, and the rank has a limit"
    )]
    let rank = (share * float(values.len() as u64)).ceil() as usize;
    let last = values.len().checked_sub(1)?;
    let index = rank.saturating_sub(1).min(last);
    let mut values = values.to_vec();
    Some(*values.select_nth_unstable(index).1)
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(nanoseconds(MAX_DURATION), SIGNIFICANT_DIGITS)
        .expect("the limits are valid: at most five digits, and a maximum of at least two")
}

#[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are 104 days")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statistics_of_one_duration_are_this_duration() {
        let mut one = Distribution::default();
        assert_eq!((one.quantile(0.5), one.mean()), (None, None));
        assert_eq!((one.min(), one.max()), (None, None));
        let duration = Duration::from_nanos(73_456_789);
        one.add(duration);
        assert_eq!((one.min(), one.max()), (Some(duration), Some(duration)));
        assert_eq!((one.mean(), one.stddev()), (Some(duration), None));
        for share in [0.0, 0.5, 0.999, 1.0] {
            assert_eq!(one.quantile(share), Some(duration));
        }
    }

    #[test]
    fn too_few_values_do_not_support_a_quantile() {
        let mut distribution = Distribution::default();
        for number in 1..=1000_u64 {
            distribution.add(Duration::from_micros(number));
            for quantile in Quantile::ALL {
                let expected = distribution.quantile(quantile.share());
                let expected = expected.filter(|_| number >= quantile.min_count());
                assert_eq!(distribution.supported_quantile(quantile), expected);
            }
        }
        assert_eq!(Quantile::ALL.map(Quantile::min_count), [1, 10, 100, 1000]);
    }

    #[test]
    fn memory_of_ten_million_values_is_bounded() {
        let mut many = Distribution::default();
        for number in 0..10_000_000_u64 {
            many.add(Duration::from_nanos(4000 + number % 1000));
        }
        assert_eq!(many.count(), 10_000_000);
        let Values::Histogram(histogram) = &many.values else { panic!("too many exact values") };
        assert!(histogram.distinct_values() < 40_000, "{}", histogram.distinct_values());
        assert!((many.mean().unwrap().as_secs_f64() * 1e9 - 4499.5).abs() < 1.0);
    }

    fn of(nanoseconds: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        for value in nanoseconds {
            distribution.add(Duration::from_nanos(*value));
        }
        distribution
    }

    #[test]
    fn quantile_is_one_of_the_values_while_there_are_few() {
        let five = of(&[300_860_000, 300_448_123, 300_407_000, 300_494_000, 300_380_000]);
        assert_eq!(five.median(), Some(Duration::from_nanos(300_448_123)));
        assert_eq!(of(&[200_054, 119_162]).median(), Some(Duration::from_nanos(119_162)));
        let thousand: Vec<u64> = (1..=1000).rev().map(|number| 1_000_003 * number).collect();
        let thousand = of(&thousand);
        for (quantile, rank) in Quantile::ALL.into_iter().zip([500, 900, 990, 999]) {
            let expected = Duration::from_nanos(1_000_003 * rank);
            assert_eq!(thousand.supported_quantile(quantile), Some(expected), "{quantile:?}");
        }
    }

    #[test]
    fn exact_values_have_a_maximum_number_and_quantiles_keep_their_resolution_beyond_it() {
        let values: Vec<u64> = (1..=MAX_EXACT as u64).map(|number| 1_000_003 * number).collect();
        let mut distribution = of(&values);
        let Values::Exact(stored) = &distribution.values else { panic!("the values are exact") };
        assert_eq!(stored.capacity(), MAX_EXACT, "the memory is bounded");
        let median = 1_000_003 * MAX_EXACT as u64 / 2;
        assert_eq!(distribution.median(), Some(Duration::from_nanos(median)));
        // One more value: the rank of the median is the next one.
        distribution.add(Duration::from_nanos(1));
        assert!(matches!(distribution.values, Values::Histogram(_)));
        assert_eq!(distribution.count(), MAX_EXACT as u64 + 1);
        let coarse = nanoseconds(distribution.median().unwrap());
        assert!((median..=median + median / 1000).contains(&coarse), "{coarse}");
        assert_eq!(distribution.min(), Some(Duration::from_nanos(1)));
    }

    proptest! {
        #[test]
        fn statistics_agree_with_a_direct_computation(
            mut values in proptest::collection::vec(1_u64..10_000_000_000, 1..300),
        ) {
            let mut distribution = Distribution::default();
            for value in &values {
                distribution.add(Duration::from_nanos(*value));
            }
            values.sort_unstable();
            let mut previous = Duration::ZERO;
            for (share, rank) in [(0.5, values.len().div_ceil(2)), (1.0, values.len())] {
                let quantile = distribution.quantile(share).unwrap();
                prop_assert_eq!(nanoseconds(quantile), values[rank - 1]);
                prop_assert!(quantile >= previous, "quantiles are in ascending order");
                previous = quantile;
            }
            let mean = values.iter().map(|value| float(*value)).sum::<f64>() / float(values.len() as u64);
            prop_assert!((distribution.mean().unwrap().as_secs_f64() * 1e9 / mean - 1.0).abs() < 1e-6);
        }
    }
}
