//! The difference between two paired series, with its confidence interval.
//!
//! # The statistics of the verdict
//!
//! **The estimate is the median of the paired differences.** Each pair has one exchange with A and one exchange with
//! B, directly after each other. During a pair, the state of the host and of the network hardly changes. Therefore
//! most disturbances cancel in the difference B − A. Rare stalls of several milliseconds hardly change the median,
//! but they would dominate a mean.
//!
//! **The confidence interval inverts a sign test.** By definition, half of the differences are expected below the
//! true median. The actual number varies around half by chance. Let r be the largest deviation that chance explains
//! at the requested confidence. The interval starts r ranks below the middle of the sorted differences. It ends r
//! ranks above the middle. This method assumes nothing about the shape of the distribution.
//!
//! **The variance takes autocorrelation into account.** For independent differences, each difference contributes 1/4
//! to the variance of the number below the median. But measurements that are close in time are not independent. For
//! example, a busy period of the host affects many consecutive pairs. An interval that ignores this dependence is too
//! narrow. The code therefore estimates the *long-run variance*, which includes the covariance between different
//! pairs. The code subtracts the median from each difference and takes the sign of the result. It projects these
//! signs on the first few cosines, which are slow oscillations over the whole series. Then it averages the squared
//! projections with equal weights. A slow disturbance makes these projections large, and so the interval becomes
//! wide. The critical value comes from Student's t-distribution. Its degrees of freedom are the number of cosines.
//! Source: Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations for Practice", Journal of Business &
//! Economic Statistics 36, 2018.
//!
//! The computation uses no random numbers. The same differences always give the same interval.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// The number of cosines is this factor times n^(2/3), for n signs. The paper uses 0.4, for an autocorrelation of up to
/// 0.7. A smaller factor gives fewer cosines, and these tolerate a stronger autocorrelation. But without
/// autocorrelation, this factor makes the intervals 7 % wider than the paper's factor.
const COSINES: f64 = 0.2;

/// The minimum number of cosines. With fewer cosines, the critical value is so large that the interval is useless.
const MIN_COSINES: usize = 4;

/// The maximum number of groups. If there are more signs, the code first adds up groups of consecutive signs. This
/// limits the work. The sums are sufficient, because the long-run variance depends only on slow changes.
const MAX_GROUPS: usize = 4096;

/// One of the two sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideId {
    /// The first target.
    A,
    /// The second target.
    B,
}

impl SideId {
    /// The name in JSON and CSV: `a` or `b`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// The difference B − A of the RTTs of two sides, from pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// The median of the differences, in nanoseconds.
    pub estimate: i64,
    /// The confidence interval. Absent if there are too few pairs, or if their autocorrelation is too strong.
    pub interval: Option<ConfidenceInterval>,
    /// The share of the pairs in which B took longer. Each tie counts as one half.
    pub probability_b_higher: f64,
    /// The number of pairs.
    pub pairs: usize,
}

/// The bounds of a confidence interval, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfidenceInterval {
    /// The lower bound.
    pub low: i64,
    /// The upper bound.
    pub high: i64,
}

impl ConfidenceInterval {
    /// Whether the intervals have no value in common.
    pub(super) fn is_disjoint(self, other: Self) -> bool {
        self.high < other.low || other.high < self.low
    }
}

impl PairedDifference {
    /// Computes the difference from `differences` (B − A, in nanoseconds), in the order of their measurement.
    /// Returns `None` if `differences` is empty.
    #[must_use]
    pub fn of(differences: &[i64], confidence: f64) -> Option<Self> {
        let mut sorted = differences.to_vec();
        sorted.sort_unstable();
        let pairs = sorted.len();
        let estimate = match pairs {
            0 => return None,
            _ if pairs % 2 == 1 => sorted[pairs / 2],
            _ => i64::midpoint(sorted[pairs / 2 - 1], sorted[pairs / 2]),
        };
        let longer = differences.iter().filter(|difference| **difference > 0).count();
        let ties = differences.iter().filter(|difference| **difference == 0).count();
        let signs: Vec<i8> =
            differences.iter().map(|difference| sign(difference - estimate)).collect();
        let interval = lower_rank(&signs, confidence)
            .map(|rank| ConfidenceInterval { low: sorted[rank - 1], high: sorted[pairs - rank] });
        let probability_b_higher = (float(longer) + float(ties) / 2.0) / float(pairs);
        Some(Self { estimate, interval, probability_b_higher, pairs })
    }

    /// The side with the higher RTT. Absent if the interval contains zero.
    #[must_use]
    pub fn higher(&self) -> Option<SideId> {
        match self.interval? {
            ConfidenceInterval { low, .. } if low > 0 => Some(SideId::B),
            ConfidenceInterval { high, .. } if high < 0 => Some(SideId::A),
            _ => None,
        }
    }
}

/// Returns the smallest number of pairs for which an interval is possible.
#[must_use]
pub fn min_pairs(confidence: f64) -> usize {
    // The highest confidence that a plan accepts needs fewer than 200 pairs.
    const SEARCH_LIMIT: usize = 10_000;
    let allows = |pairs: &usize| lower_rank(&vec![0; *pairs], confidence).is_some();
    (1..SEARCH_LIMIT).find(allows).unwrap_or(SEARCH_LIMIT)
}

/// Computes the rank of the lower bound in the sorted differences, from 1. The upper bound has the same rank, counted
/// from the largest difference. `signs` states for each difference whether it is above (1), equal to (0) or
/// below (-1) the median.
fn lower_rank(signs: &[i8], confidence: f64) -> Option<usize> {
    let count = signs.len();
    let (variance, cosines) = long_run_variance(signs);
    let student = StudentsT::new(0.0, 1.0, float(cosines)).ok()?;
    let critical = student.inverse_cdf(f64::midpoint(1.0, confidence));
    let rank = (float(count) / 2.0 - critical * (float(count) * variance).sqrt()).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to half the count"
    )]
    (rank >= 1.0).then_some(rank as usize)
}

/// Computes the long-run variance of half a sign, and the number of cosines. The variance is at least 1/4, the value
/// for independent signs. Otherwise alternating differences would give a narrower interval than independent ones.
fn long_run_variance(signs: &[i8]) -> (f64, usize) {
    let group = signs.len().div_ceil(MAX_GROUPS).max(1);
    let sums: Vec<f64> = signs
        .chunks_exact(group)
        .map(|signs| signs.iter().map(|sign| f64::from(*sign)).sum::<f64>() / 2.0)
        .collect();
    let groups = float(sums.len());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "51 at most")]
    let cosines = ((COSINES * groups.cbrt().powi(2)) as usize).max(MIN_COSINES);
    let mut power = 0.0;
    for frequency in 1..=cosines {
        let step = std::f64::consts::PI * float(frequency) / groups;
        let weighted =
            sums.iter().enumerate().map(|(place, sum)| sum * (step * (float(place) + 0.5)).cos());
        power += 2.0 / groups * weighted.sum::<f64>().powi(2);
    }
    let variance = power / float(cosines) / float(group);
    // Without any sign, `variance` is NaN, and `max` returns 1/4.
    (variance.max(0.25), cosines)
}

fn sign(number: i64) -> i8 {
    match number.signum() {
        1 => 1,
        -1 => -1,
        _ => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generates an AR(1) process: each value is `correlation` times the previous value, plus noise. The noise is
    /// approximately Gaussian, with a standard deviation of 1000.
    fn noise(random: &mut fastrand::Rng, correlation: f64, count: usize) -> Vec<f64> {
        let mut state = 0.0;
        let mut next = || {
            // The sum of twelve uniform numbers has a variance of 1 (Irwin-Hall distribution).
            let gaussian = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            state = correlation * state + gaussian;
            1000.0 * state
        };
        (0..200).for_each(|_| {
            next();
        });
        (0..count).map(|_| next()).collect()
    }

    /// Counts the runs in which the interval contains the true median.
    fn covered(correlation: f64, count: usize, truth: i64, runs: usize) -> usize {
        let mut random = fastrand::Rng::with_seed(42);
        let mut run = || {
            let series = noise(&mut random, correlation, count);
            #[expect(clippy::cast_possible_truncation, reason = "some thousands")]
            let series: Vec<i64> = series.iter().map(|value| *value as i64 + truth).collect();
            let interval = PairedDifference::of(&series, 0.95).unwrap().interval.unwrap();
            (interval.low..=interval.high).contains(&truth)
        };
        (0..runs).filter(|_| run()).count()
    }

    #[test]
    fn confidence_interval_of_pure_noise_contains_zero() {
        // At 95 %, about ten of 200 intervals miss zero by chance. This test accepts up to 16.
        let covered = covered(0.0, 500, 0, 200);
        assert!(covered >= 184, "{covered} of 200");
    }

    #[test]
    fn autocorrelation_hardly_reduces_the_coverage() {
        for (correlation, min_covered) in [(0.5, 184), (0.8, 184), (0.9, 180)] {
            let covered = covered(correlation, 500, 300, 200);
            assert!(covered >= min_covered, "{covered} of 200 with a correlation of {correlation}");
        }
    }

    #[test]
    fn interval_contains_the_true_difference() {
        let mut random = fastrand::Rng::with_seed(7);
        #[expect(clippy::cast_possible_truncation, reason = "some thousands")]
        let differences: Vec<i64> =
            noise(&mut random, 0.3, 2000).iter().map(|value| *value as i64 + 1000).collect();
        let difference = PairedDifference::of(&differences, 0.95).unwrap();
        let ConfidenceInterval { low, high } = difference.interval.unwrap();
        assert_eq!(difference.higher(), Some(SideId::B));
        assert!(low < 1000 && 1000 < high && high - low < 200, "{difference:?}");
        let opposite: Vec<i64> = differences.iter().map(|difference| -difference).collect();
        let mirrored = PairedDifference::of(&opposite, 0.95).unwrap();
        assert_eq!(mirrored.higher(), Some(SideId::A));
        assert_eq!(mirrored.interval, Some(ConfidenceInterval { low: -high, high: -low }));
        assert!(
            (mirrored.probability_b_higher + difference.probability_b_higher - 1.0).abs() < 1e-9
        );
    }

    #[test]
    fn rare_stalls_do_not_change_the_estimate() {
        let mut differences = vec![10_i64; 500];
        for stalled in differences.iter_mut().step_by(50) {
            *stalled = 20_000_000;
        }
        let difference = PairedDifference::of(&differences, 0.95).unwrap();
        let interval = ConfidenceInterval { low: 10, high: 10 };
        assert_eq!((difference.estimate, difference.interval), (10, Some(interval)));
    }

    #[test]
    fn too_few_pairs_have_no_interval() {
        assert_eq!(PairedDifference::of(&[], 0.95), None);
        let one = PairedDifference::of(&[5], 0.95).unwrap();
        assert_eq!((one.estimate, one.interval, one.higher()), (5, None, None));
        let minimum = min_pairs(0.95);
        assert!((6..20).contains(&minimum), "{minimum}");
        assert!(PairedDifference::of(&vec![5; minimum - 1], 0.95).unwrap().interval.is_none());
        let interval = ConfidenceInterval { low: 5, high: 5 };
        assert_eq!(PairedDifference::of(&vec![5; minimum], 0.95).unwrap().interval, Some(interval));
        assert!(min_pairs(0.999) > minimum);
    }

    #[test]
    fn ties_count_half_for_each_side() {
        let difference = PairedDifference::of(&[0; 100], 0.95).unwrap();
        let interval = ConfidenceInterval { low: 0, high: 0 };
        assert_eq!((difference.interval, difference.higher()), (Some(interval), None));
        assert!((difference.probability_b_higher - 0.5).abs() < 1e-9);
    }

    #[test]
    fn one_million_pairs_have_an_interval() {
        let differences: Vec<i64> = (0..1_000_000).map(|number| number % 1000 - 400).collect();
        let difference = PairedDifference::of(&differences, 0.95).unwrap();
        assert!(difference.interval.unwrap().low > 90, "{difference:?}");
    }
}
