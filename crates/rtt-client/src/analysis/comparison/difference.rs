//! The difference between two paired series, with its confidence interval. Pure.
//!
//! # The statistics of the verdict
//!
//! **The estimate is the median of the paired differences.** Each pair has one exchange with A and one with B,
//! directly after each other. Both see nearly the same state of the host and the network, so most disturbances
//! cancel in the difference B − A. The median ignores rare stalls of several milliseconds, which would dominate
//! a mean.
//!
//! **The confidence interval inverts a sign test.** Sort the differences. If half of the differences is expected
//! below the true median, the number that really is below it varies by chance around half. The interval reaches
//! from the order statistic that is r ranks below the middle to the one that is r ranks above it, where r is the
//! largest deviation that chance explains at the requested confidence. This assumes nothing about the shape of
//! the distribution.
//!
//! **The variance takes autocorrelation into account.** For independent differences, the variance of that number
//! is 1/4 for each difference. Measurements that are close in time are not independent: a busy period of the host
//! affects many consecutive pairs. An interval that ignores this is too narrow. The code therefore estimates the
//! *long-run variance*, which includes the covariance between different pairs. It projects the signs on the first
//! few cosines (slow oscillations over the whole series) and averages the squared projections with equal weights.
//! A slow disturbance makes these projections large, and thus the interval wide. The critical value is that of
//! Student's t-distribution with as many degrees of freedom as there are cosines. Source: Lazarus, Lewis, Stock
//! and Watson, "HAR Inference: Recommendations for Practice", Journal of Business & Economic Statistics 36, 2018.
//!
//! The computation uses no random numbers: the same differences give the same interval.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// The number of cosines, as a share of n^(2/3). The paper's 0.4 suits an autocorrelation of up to 0.7. Half of
/// it still has the requested coverage at 0.9; without autocorrelation, its intervals are 7 % wider.
const COSINES: f64 = 0.2;

/// With fewer cosines, the critical value is too large to be useful.
const MIN_COSINES: usize = 4;

/// If there are more differences, the code sums groups of consecutive signs first. Only slow changes matter for
/// the long-run variance, and the work has a limit.
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
    /// The confidence interval, in nanoseconds. Absent if there are too few pairs, or if their autocorrelation is
    /// too strong.
    pub interval: Option<(i64, i64)>,
    /// The share of the pairs in which B took longer. A tie counts as one half.
    pub probability_b_higher: f64,
    /// The number of pairs.
    pub pairs: usize,
}

impl PairedDifference {
    /// Computes the difference from `differences` (B − A, in nanoseconds), in the order of their measurement.
    /// The result is absent without any difference.
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
        let interval =
            lower_rank(&signs, confidence).map(|rank| (sorted[rank - 1], sorted[pairs - rank]));
        let probability_b_higher = (float(longer) + float(ties) / 2.0) / float(pairs);
        Some(Self { estimate, interval, probability_b_higher, pairs })
    }

    /// The side with the higher RTT, if the interval excludes zero.
    #[must_use]
    pub fn higher(&self) -> Option<SideId> {
        match self.interval? {
            (low, _) if low > 0 => Some(SideId::B),
            (_, high) if high < 0 => Some(SideId::A),
            _ => None,
        }
    }
}

/// The smallest number of pairs for which an interval is possible.
#[must_use]
pub fn min_pairs(confidence: f64) -> usize {
    // The highest confidence that a plan accepts needs about two hundred pairs.
    const SEARCH_LIMIT: usize = 10_000;
    let allows = |pairs: &usize| lower_rank(&vec![0; *pairs], confidence).is_some();
    (1..SEARCH_LIMIT).find(allows).unwrap_or(SEARCH_LIMIT)
}

/// The rank (from 1) of the lower end of the interval. The upper end has the same rank, counted from the largest
/// difference. `signs` contains the sign of each difference minus the median.
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

/// The long-run variance of half a sign, and the number of cosines. The result is never below 1/4, the variance of
/// independent signs: alternating differences must not give a narrower interval than independent ones.
fn long_run_variance(signs: &[i8]) -> (f64, usize) {
    let group = signs.len().div_ceil(MAX_GROUPS).max(1);
    let sums: Vec<f64> = signs
        .chunks_exact(group)
        .map(|signs| signs.iter().map(|sign| f64::from(*sign)).sum::<f64>() / 2.0)
        .collect();
    let groups = float(sums.len());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred at most"
    )]
    let cosines = ((COSINES * groups.cbrt().powi(2)) as usize).max(MIN_COSINES);
    let mut power = 0.0;
    for frequency in 1..=cosines {
        let step = std::f64::consts::PI * float(frequency) / groups;
        let weighted =
            sums.iter().enumerate().map(|(place, sum)| sum * (step * (float(place) + 0.5)).cos());
        power += 2.0 / groups * weighted.sum::<f64>().powi(2);
    }
    let variance = power / float(cosines) / float(group);
    // Without any group, `variance` is not a number. `max` then returns 1/4.
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

    /// An AR(1) process: each value is `correlation` times the previous value plus noise. The noise is
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

    /// The number of `runs` whose interval contains the true median.
    fn covered(correlation: f64, count: usize, truth: i64, runs: usize) -> usize {
        let mut random = fastrand::Rng::with_seed(42);
        let mut run = || {
            let series = noise(&mut random, correlation, count);
            #[expect(clippy::cast_possible_truncation, reason = "some thousands")]
            let series: Vec<i64> = series.iter().map(|value| *value as i64 + truth).collect();
            let (low, high) = PairedDifference::of(&series, 0.95).unwrap().interval.unwrap();
            (low..=high).contains(&truth)
        };
        (0..runs).filter(|_| run()).count()
    }

    #[test]
    fn interval_of_noise_contains_zero() {
        // At 95 %, about ten of 200 intervals miss zero by chance. The test accepts 16.
        let covered = covered(0.0, 500, 0, 200);
        assert!(covered >= 184, "{covered} of 200");
    }

    #[test]
    fn autocorrelation_does_not_reduce_the_coverage() {
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
        let (low, high) = difference.interval.unwrap();
        assert_eq!(difference.higher(), Some(SideId::B));
        assert!(low < 1000 && 1000 < high && high - low < 200, "{difference:?}");
        let opposite: Vec<i64> = differences.iter().map(|difference| -difference).collect();
        let mirrored = PairedDifference::of(&opposite, 0.95).unwrap();
        assert_eq!(mirrored.higher(), Some(SideId::A));
        assert_eq!(mirrored.interval, Some((-high, -low)));
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
        assert_eq!((difference.estimate, difference.interval), (10, Some((10, 10))));
    }

    #[test]
    fn too_few_pairs_have_no_interval() {
        assert_eq!(PairedDifference::of(&[], 0.95), None);
        let one = PairedDifference::of(&[5], 0.95).unwrap();
        assert_eq!((one.estimate, one.interval, one.higher()), (5, None, None));
        let minimum = min_pairs(0.95);
        assert!((6..20).contains(&minimum), "{minimum}");
        assert!(PairedDifference::of(&vec![5; minimum - 1], 0.95).unwrap().interval.is_none());
        assert_eq!(PairedDifference::of(&vec![5; minimum], 0.95).unwrap().interval, Some((5, 5)));
        assert!(min_pairs(0.999) > minimum);
    }

    #[test]
    fn ties_count_half_and_decide_nothing() {
        let difference = PairedDifference::of(&[0; 100], 0.95).unwrap();
        assert_eq!((difference.interval, difference.higher()), (Some((0, 0)), None));
        assert!((difference.probability_b_higher - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_million_pairs_need_bounded_work() {
        let differences: Vec<i64> = (0..1_000_000).map(|number| number % 1000 - 400).collect();
        let difference = PairedDifference::of(&differences, 0.95).unwrap();
        assert!(difference.interval.unwrap().0 > 90, "{difference:?}");
    }
}
