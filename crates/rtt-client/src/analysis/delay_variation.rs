//! [`DelayVariation`]: the variation of the delay in each direction, and the one-way delays if the clocks are synchronised.
//!
//! A reply contains the time of its request's arrival at the server, by the server's wall clock. Its difference from the send
//! time by this host's wall clock is the delay there plus the offset between the clocks. The offset is unknown, but it is
//! the same for all exchanges. So the difference from the smallest value needs no synchronised clocks: it is the delay
//! variation of RFC 3393, normalised by the minimum (PDV, RFC 5481 section 4.2).
//!
//! Two effects of the clocks are removed or detected:
//!
//! - **Skew.** Two clocks without synchronisation drift apart, for example by 3 ms in a minute. The drift increases the
//!   apparent delay in one direction and reduces it in the other direction. The smallest delays in [`WINDOWS`] parts of the
//!   run show both slopes. The slope that they share is the skew (Theil and Sen's estimator, the median of all slopes).
//! - **A clock was set.** Then the smallest delays there and back, from different times, add up to less than 0. There is no
//!   result.

use crate::analysis::statistics::Distribution;
use echo_core::header::ArrivalClock;
use echo_core::header::version2::ClockState;
use std::time::Duration;

/// The maximum number of stored exchanges. With more exchanges, only every second, fourth, … exchange is stored.
const MAX_SAMPLES: usize = 1 << 14;

/// The minimum number of exchanges for a result. With fewer exchanges, the smallest delay is not typical.
const MIN_SAMPLES: usize = 20;

/// The number of parts of a run in which the smallest delays are compared to find the skew of the clocks.
const WINDOWS: usize = 16;

/// The largest skew that is removed. Slewing changes a clock by at most 500 ppm (adjtimex(2)), and a crystal by about 100 ppm.
const MAX_SKEW: f64 = 600e-6;

/// Readings of the clocks can be wrong by this time, because a reading takes time.
const TOLERANCE: i64 = 10_000;

/// The delays of one exchange, by two clocks with an unknown offset, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DelaySample {
    /// The time since the first exchange of the run.
    pub(crate) at: Duration,
    /// From the send time to the arrival at the server.
    pub(crate) there: i64,
    /// From the server's send time to the arrival at this host.
    pub(crate) back: i64,
    /// The processing time of the server.
    pub(crate) server: i64,
    pub(crate) clocks: DelayClocks,
    /// The state of the server's clock.
    pub(crate) clock: ClockState,
}

/// Which clocks took the timestamps. A program reads the clock after a datagram has waited in the receive queue of its host,
/// so the delay contains this wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayClocks {
    /// The clock of the arrival at the server.
    pub server: ArrivalClock,
    /// The clock of the send and the arrival at this host.
    pub client: ArrivalClock,
}

/// Collects the delays of a run in bounded memory.
#[derive(Debug)]
pub(crate) struct DelayCollector {
    samples: Vec<DelaySample>,
    /// Only one exchange of this number is stored.
    stride: u64,
    seen: u64,
}

/// The variation of the delay in each direction.
#[derive(Debug)]
pub struct DelayVariation {
    /// The delay there above its minimum.
    pub there: Distribution,
    /// The delay back above its minimum.
    pub back: Distribution,
    /// The processing time of the server, above its minimum.
    pub server: Distribution,
    /// The delay of both directions and the processing time together, above its minimum.
    pub total: Distribution,
    /// The delays themselves. Absent if not both systems report that their clocks are synchronised.
    pub one_way: Option<OneWayDelays>,
    /// The clocks of the timestamps.
    pub clocks: DelayClocks,
}

/// The delays in each direction, measured with two synchronised clocks.
#[derive(Debug)]
pub struct OneWayDelays {
    /// The delay there.
    pub there: Distribution,
    /// The delay back.
    pub back: Distribution,
    /// The maximum error of these delays: the sum of the maximum errors that both systems report.
    pub max_error: Duration,
}

impl DelaySample {
    /// The delay of both directions and the processing time. The offset of the clocks does not change it.
    fn total(&self) -> i64 {
        self.there.saturating_add(self.back).saturating_add(self.server)
    }
}

impl Default for DelayCollector {
    fn default() -> Self {
        Self { samples: Vec::new(), stride: 1, seen: 0 }
    }
}

impl DelayCollector {
    /// Adds an exchange.
    pub(crate) fn add(&mut self, sample: DelaySample) {
        let is_selected = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        if !is_selected {
            return;
        }
        if self.samples.len() == MAX_SAMPLES {
            let mut index = 0;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        self.samples.push(sample);
    }

    /// The result. Absent with too few exchanges, and after a clock was set. `clock` is the state of this host's clock.
    pub(crate) fn finish(mut self, clock: ClockState) -> Option<DelayVariation> {
        // The first timestamps of a run can be from other clocks than the later ones. They contain other parts of the path.
        let clocks = self.samples.last()?.clocks;
        self.samples.retain(|sample| sample.clocks == clocks);
        if self.samples.len() < MIN_SAMPLES {
            return None;
        }
        let skew = self.skew();
        for sample in &mut self.samples {
            let drift = drift(skew, sample.at);
            // A server can report any time, so the sums saturate.
            sample.there = sample.there.saturating_sub(drift);
            sample.back = sample.back.saturating_add(drift);
        }
        let (there, back) = (self.min(|sample| sample.there)?, self.min(|sample| sample.back)?);
        let (server, total) = (self.min(|sample| sample.server)?, self.min(DelaySample::total)?);
        if there.saturating_add(back) < -TOLERANCE {
            return None;
        }
        Some(DelayVariation {
            there: self.above(there, |sample| sample.there),
            back: self.above(back, |sample| sample.back),
            server: self.above(server, |sample| sample.server),
            total: self.above(total, DelaySample::total),
            one_way: self.one_way(clock, skew),
            clocks,
        })
    }

    /// The delays with synchronised clocks. The correction of the skew does not apply here: the clocks show the same time.
    fn one_way(&self, clock: ClockState, skew: f64) -> Option<OneWayDelays> {
        let ClockState::Synchronised { max_error: own_error } = clock else { return None };
        let mut max_error = own_error;
        for sample in &self.samples {
            let ClockState::Synchronised { max_error: error } = sample.clock else { return None };
            max_error = max_error.max(own_error + error);
        }
        let uncorrected = |sample: &DelaySample| {
            let drift = drift(skew, sample.at);
            (sample.there.saturating_add(drift), sample.back.saturating_sub(drift))
        };
        Some(OneWayDelays {
            there: self.above(0, |sample| uncorrected(sample).0),
            back: self.above(0, |sample| uncorrected(sample).1),
            max_error,
        })
    }

    fn min(&self, value: impl Fn(&DelaySample) -> i64) -> Option<i64> {
        self.samples.iter().map(value).min()
    }

    /// The distribution of the values above `min`.
    fn above(&self, min: i64, value: impl Fn(&DelaySample) -> i64) -> Distribution {
        let mut distribution = Distribution::default();
        for sample in &self.samples {
            let nanoseconds = u64::try_from(value(sample).saturating_sub(min)).unwrap_or(0);
            distribution.add(Duration::from_nanos(nanoseconds));
        }
        distribution
    }

    /// The skew of the server's clock against this host's clock, as a fraction.
    fn skew(&self) -> f64 {
        let slope_of = |value: fn(&DelaySample) -> i64| {
            let minima: Vec<(f64, f64)> = self
                .samples
                .chunks(self.samples.len().div_ceil(WINDOWS).max(1))
                .filter_map(|window| {
                    let lowest = window.iter().min_by_key(|sample| value(sample))?;
                    #[expect(clippy::cast_precision_loss, reason = "a skew needs few digits")]
                    Some((
                        lowest.at.as_secs_f64() * 1e9,
                        value(lowest).saturating_sub(value(&self.samples[0])) as f64,
                    ))
                })
                .collect();
            median_slope(&minima)
        };
        let (there, back) = (slope_of(|sample| sample.there), slope_of(|sample| sample.back));
        // A delay that grows in one direction only is not a skew.
        if there * back >= 0.0 {
            return 0.0;
        }
        let skew = there.abs().min(back.abs()).copysign(there);
        if skew.abs() <= MAX_SKEW { skew } else { 0.0 }
    }
}

/// The time by which the clocks have drifted apart, in nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "a run is shorter than 2^63 nanoseconds")]
fn drift(skew: f64, at: Duration) -> i64 {
    (skew * at.as_secs_f64() * 1e9) as i64
}

/// The median of the slopes between all pairs of points. 0 if there are fewer than two points.
fn median_slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes: Vec<f64> = Vec::new();
    for (index, (x1, y1)) in points.iter().enumerate() {
        slopes.extend(
            points[index + 1..]
                .iter()
                .filter(|(x2, _)| x2 > x1)
                .map(|(x2, y2)| (y2 - y1) / (x2 - x1)),
        );
    }
    slopes.sort_unstable_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    const PROGRAMS: DelayClocks =
        DelayClocks { server: ArrivalClock::Program, client: ArrivalClock::Program };

    const SYNCHRONISED: ClockState =
        ClockState::Synchronised { max_error: Duration::from_micros(300) };

    /// 2,000 exchanges in a minute. The delay there is 1 ms, the delay back 2 ms. `delays` returns the additional delays in
    /// nanoseconds, and the offset of the server's clock.
    fn run(mut delays: impl FnMut(f64) -> (i64, i64, i64)) -> DelayCollector {
        let mut collector = DelayCollector::default();
        for number in 0..2000_u32 {
            let seconds = f64::from(number) * 0.03;
            let (there, back, offset) = delays(seconds);
            collector.add(DelaySample {
                at: Duration::from_secs_f64(seconds),
                there: 1_000_000 + there + offset,
                back: 2_000_000 + back - offset,
                server: 40_000,
                clocks: PROGRAMS,
                clock: SYNCHRONISED,
            });
        }
        collector
    }

    fn p99(distribution: &Distribution) -> i64 {
        i64::try_from(distribution.quantile(0.99).unwrap().as_nanos()).unwrap()
    }

    fn assert_close(actual: i64, expected: i64, tolerance: i64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} instead of {expected}");
    }

    #[test]
    fn variation_is_found_in_its_direction_despite_offset_and_skew() {
        let mut random = Rng::with_seed(1);
        for skew in [0.0, 50e-6, -80e-6] {
            for is_back in [true, false] {
                #[expect(clippy::cast_possible_truncation, reason = "a small number")]
                let result = run(|seconds| {
                    let noise = random.i64(0..30_000);
                    let varied = random.i64(0..20_000_000);
                    let offset = -7_200_000_000_000 + (skew * seconds * 1e9) as i64;
                    if is_back { (noise, varied, offset) } else { (varied, noise, offset) }
                });
                let variation = result.finish(ClockState::Unsynchronised).unwrap();
                let (there, back) = (p99(&variation.there), p99(&variation.back));
                let (varied, other) = if is_back { (back, there) } else { (there, back) };
                assert_close(varied, 19_800_000, 500_000);
                assert!(other < 500_000, "skew {skew}: {other}");
                assert_close(p99(&variation.total), 19_800_000, 500_000);
                assert!(variation.one_way.is_none());
            }
        }
    }

    #[test]
    fn delay_that_grows_in_one_direction_is_not_a_skew() {
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        let result = run(|seconds| ((seconds * 100_000.0) as i64, 0, 5_000_000));
        let variation = result.finish(ClockState::Unsynchronised).unwrap();
        assert_close(p99(&variation.there), 5_940_000, 100_000);
        assert_close(p99(&variation.back), 0, 1);
    }

    #[test]
    fn clock_that_was_set_gives_no_result() {
        let result = run(|seconds| (0, 0, if seconds < 30.0 { 0 } else { 50_000_000 }));
        assert!(result.finish(SYNCHRONISED).is_none());
    }

    #[test]
    fn one_way_delays_need_two_synchronised_clocks() {
        let variation = run(|_| (0, 0, 100_000)).finish(SYNCHRONISED).unwrap();
        let one_way = variation.one_way.unwrap();
        assert_close(p99(&one_way.there), 1_100_000, 2_000);
        assert_close(p99(&one_way.back), 1_900_000, 2_000);
        assert_eq!(one_way.max_error, Duration::from_micros(600));
        let mut collector = run(|_| (0, 0, 0));
        collector.samples[7].clock = ClockState::Unsynchronised;
        assert!(collector.finish(SYNCHRONISED).unwrap().one_way.is_none());
    }

    #[test]
    fn memory_is_bounded_and_few_exchanges_have_no_result() {
        let sample = DelaySample {
            at: Duration::ZERO,
            there: 0,
            back: 0,
            server: 40_000,
            clocks: PROGRAMS,
            clock: SYNCHRONISED,
        };
        let mut collector = DelayCollector::default();
        for _ in 1..MIN_SAMPLES {
            collector.add(sample);
        }
        assert!(collector.finish(SYNCHRONISED).is_none());
        let mut collector = DelayCollector::default();
        for number in 0..1_000_000 {
            collector.add(DelaySample { there: number, ..sample });
        }
        assert!(
            collector.samples.len() <= MAX_SAMPLES && collector.samples.len() > MAX_SAMPLES / 3
        );
        assert!(collector.samples.windows(2).all(|pair| pair[1].there - pair[0].there == 64));
    }

    #[test]
    fn timestamps_of_programs_and_kernels_are_not_mixed() {
        let mut collector = run(|_| (0, 0, 0));
        for sample in &mut collector.samples[1..] {
            sample.clocks.server = ArrivalClock::Kernel;
        }
        collector.samples[0].there += 5_000_000;
        let variation = collector.finish(SYNCHRONISED).unwrap();
        assert_eq!(variation.there.count(), 1999);
        assert_eq!(variation.there.max(), Some(Duration::ZERO));
    }
}
