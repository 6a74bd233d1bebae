//! By how much one of two paired series is longer, and how sure that is. Pure arithmetic.
//!
//! The estimate is the median of the paired differences. Its interval inverts a sign test: the median
//! lies between the two order statistics that are so many ranks off the middle as the number of
//! differences below the median would vary by chance. For independent differences that variance is a
//! quarter each; measurements next to each other in time are not independent, so the variance is the
//! long-run one, estimated with equal-weighted cosines, and the critical value is Student's with as
//! many degrees of freedom as there are cosines (Lazarus, Lewis, Stock and Watson, "HAR Inference:
//! Recommendations for Practice", Journal of Business & Economic Statistics 36, 2018). Nothing is
//! drawn at random, so the same samples give the same interval.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// How many cosines there are, as a share of n^(2/3). The paper's 0.4 suits an autocorrelation of up to
/// 0.7; half of it still covers at 0.9, for intervals that are 7 % wider where there is none.
const COSINES: f64 = 0.2;

/// The fewest that give a critical value worth having.
const FEWEST_COSINES: usize = 4;

/// More observations than this are taken together in groups: slow changes are what matters, and the
/// work stays bounded.
const MOST_GROUPS: usize = 4096;

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

/// By how much B is longer than A, in nanoseconds, from pairs of one of each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// The median of the differences B − A.
    pub estimate: i64,
    /// Where it is with the confidence asked for, if there are enough pairs to say.
    pub interval: Option<(i64, i64)>,
    /// In which share of the pairs B took longer; of those that tie, half.
    pub probability_b_higher: f64,
    /// How many pairs there were.
    pub pairs: usize,
}

impl PairedDifference {
    /// What these differences, in the order in which they were measured, come to; nothing, if there are
    /// none.
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
            ranks_off(&signs, confidence).map(|rank| (sorted[rank - 1], sorted[pairs - rank]));
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

/// The fewest pairs that allow an interval.
#[must_use]
pub fn min_pairs(confidence: f64) -> usize {
    // At the highest confidence it is some two hundred.
    const MORE_THAN_EVER: usize = 10_000;
    let allows = |pairs: &usize| ranks_off(&vec![0; *pairs], confidence).is_some();
    (1..MORE_THAN_EVER).find(allows).unwrap_or(MORE_THAN_EVER)
}

/// The rank of the interval's lower end, from 1; its upper end has as many above it. `signs` tell for
/// each difference whether it is above the median.
fn ranks_off(signs: &[i8], confidence: f64) -> Option<usize> {
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

/// The long-run variance of half a sign, and from how many cosines it is. Never less than that of
/// independent ones: differences that alternate must not look surer than they are.
fn long_run_variance(signs: &[i8]) -> (f64, usize) {
    let group = signs.len().div_ceil(MOST_GROUPS).max(1);
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
    let cosines = ((COSINES * groups.cbrt().powi(2)) as usize).max(FEWEST_COSINES);
    let mut power = 0.0;
    for frequency in 1..=cosines {
        let step = std::f64::consts::PI * float(frequency) / groups;
        let weighted =
            sums.iter().enumerate().map(|(place, sum)| sum * (step * (float(place) + 0.5)).cos());
        power += 2.0 / groups * weighted.sum::<f64>().powi(2);
    }
    let variance = power / float(cosines) / float(group);
    // Not a number, of no groups at all, loses against the quarter.
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

    /// A series in which each value remembers `memory` of the one before, and whose noise is about
    /// Gaussian with a deviation of 1000 (an AR(1) process).
    fn noise(random: &mut fastrand::Rng, memory: f64, count: usize) -> Vec<f64> {
        let mut state = 0.0;
        let mut next = || {
            // Twelve uniform numbers have a variance of 1 (Irwin and Hall).
            let gaussian = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            state = memory * state + gaussian;
            1000.0 * state
        };
        (0..200).for_each(|_| {
            next();
        });
        (0..count).map(|_| next()).collect()
    }

    /// How often of `runs` the interval has the truth in it.
    fn covered(memory: f64, count: usize, truth: i64, runs: usize) -> usize {
        let mut random = fastrand::Rng::with_seed(42);
        let mut run = || {
            let series = noise(&mut random, memory, count);
            #[expect(clippy::cast_possible_truncation, reason = "some thousands")]
            let series: Vec<i64> = series.iter().map(|value| *value as i64 + truth).collect();
            let (low, high) = PairedDifference::of(&series, 0.95).unwrap().interval.unwrap();
            (low..=high).contains(&truth)
        };
        (0..runs).filter(|_| run()).count()
    }

    #[test]
    fn noise_is_no_difference() {
        // At 95 % some ten of 200 may be wrong by chance, and 16 are the bound.
        let covered = covered(0.0, 500, 0, 200);
        assert!(covered >= 184, "{covered} of 200");
    }

    #[test]
    fn a_memory_does_not_break_the_coverage() {
        for (memory, least) in [(0.5, 184), (0.8, 184), (0.9, 180)] {
            let covered = covered(memory, 500, 300, 200);
            assert!(covered >= least, "{covered} of 200 with a memory of {memory}");
        }
    }

    #[test]
    fn a_difference_is_found_and_has_its_size() {
        let mut random = fastrand::Rng::with_seed(7);
        #[expect(clippy::cast_possible_truncation, reason = "some thousands")]
        let differences: Vec<i64> =
            noise(&mut random, 0.3, 2000).iter().map(|value| *value as i64 + 1000).collect();
        let shift = PairedDifference::of(&differences, 0.95).unwrap();
        let (low, high) = shift.interval.unwrap();
        assert_eq!(shift.higher(), Some(SideId::B));
        assert!(low < 1000 && 1000 < high && high - low < 200, "{shift:?}");
        let opposite: Vec<i64> = differences.iter().map(|difference| -difference).collect();
        let mirrored = PairedDifference::of(&opposite, 0.95).unwrap();
        assert_eq!(mirrored.higher(), Some(SideId::A));
        assert_eq!(mirrored.interval, Some((-high, -low)));
        assert!((mirrored.probability_b_higher + shift.probability_b_higher - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_stalls_now_and_then_moves_nothing() {
        let mut differences = vec![10_i64; 500];
        for stalled in differences.iter_mut().step_by(50) {
            *stalled = 20_000_000;
        }
        let shift = PairedDifference::of(&differences, 0.95).unwrap();
        assert_eq!((shift.estimate, shift.interval), (10, Some((10, 10))));
    }

    #[test]
    fn few_pairs_claim_nothing() {
        assert_eq!(PairedDifference::of(&[], 0.95), None);
        let one = PairedDifference::of(&[5], 0.95).unwrap();
        assert_eq!((one.estimate, one.interval, one.higher()), (5, None, None));
        let fewest = min_pairs(0.95);
        assert!((6..20).contains(&fewest), "{fewest}");
        assert!(PairedDifference::of(&vec![5; fewest - 1], 0.95).unwrap().interval.is_none());
        assert_eq!(PairedDifference::of(&vec![5; fewest], 0.95).unwrap().interval, Some((5, 5)));
        assert!(min_pairs(0.999) > fewest);
    }

    #[test]
    fn ties_are_halved_and_a_coarse_clock_claims_nothing() {
        let shift = PairedDifference::of(&[0; 100], 0.95).unwrap();
        assert_eq!((shift.interval, shift.higher()), (Some((0, 0)), None));
        assert!((shift.probability_b_higher - 0.5).abs() < 1e-9);
    }

    #[test]
    fn millions_of_pairs_take_bounded_work() {
        let differences: Vec<i64> = (0..1_000_000).map(|number| number % 1000 - 400).collect();
        let shift = PairedDifference::of(&differences, 0.95).unwrap();
        assert!(shift.interval.unwrap().0 > 90, "{shift:?}");
    }
}
