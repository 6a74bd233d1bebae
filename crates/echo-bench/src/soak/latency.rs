//! Records the latencies and the losses of honest clients.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The smallest latency that the histogram distinguishes, in nanoseconds. A round trip on loopback takes longer.
const LOWEST: u64 = 1_000;

/// The largest latency, in nanoseconds. Larger values count as this value. It is longer than all timeouts of the
/// clients.
const HIGHEST: u64 = 10_000_000_000;

/// The number of decimal digits of a latency that the histogram keeps: its error is below 1 %.
const DIGITS: u8 = 2;

/// With fewer requests, the 99th percentile depends on fewer than ten of them. It is then not judged.
pub(super) const MIN_SAMPLES_FOR_P99: u64 = 1_000;

/// The latencies of answered requests, and the number of the others. The size does not depend on the number of
/// requests.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    histogram: Histogram<u64>,
    lost: u64,
    wrong: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS);
        Self { histogram: histogram.expect("the bounds are valid"), lost: 0, wrong: 0 }
    }
}

impl Latencies {
    /// Adds an answered request.
    pub(super) fn reply(&mut self, latency: Duration) {
        self.histogram.saturating_record(nanoseconds(latency));
    }

    /// Adds a request that has no reply after `timeout`. In the percentiles, it has this latency. Without it, a server
    /// could improve its percentiles by losing slow requests.
    pub(super) fn lost(&mut self, timeout: Duration) {
        self.lost += 1;
        self.histogram.saturating_record(nanoseconds(timeout));
    }

    /// Adds a reply with wrong content.
    pub(super) fn wrong(&mut self) {
        self.wrong += 1;
    }

    /// Adds all requests of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        // Both histograms have the same bounds, so the addition does not fail.
        let _ = self.histogram.add(&other.histogram);
        self.lost += other.lost;
        self.wrong += other.wrong;
    }

    /// The number of requests, with the lost ones.
    pub(super) fn requests(&self) -> u64 {
        self.histogram.len()
    }

    pub(super) fn lost_requests(&self) -> u64 {
        self.lost
    }

    pub(super) fn wrong_replies(&self) -> u64 {
        self.wrong
    }

    /// The latency that `percent` percent of the requests do not exceed, in milliseconds.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        milliseconds(self.histogram.value_at_percentile(percent))
    }

    /// The lost part of the requests, in percent.
    #[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
    pub(super) fn loss_percent(&self) -> f64 {
        self.lost as f64 * 100.0 / self.requests().max(1) as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "the largest value is far below 2^52")]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(milliseconds: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        for value in milliseconds {
            latencies.reply(Duration::from_millis(value));
        }
        latencies
    }

    fn is_near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 0.01
    }

    #[test]
    fn percentiles_have_two_digits() {
        let latencies = recorded(1..=1000);
        assert!(is_near(latencies.percentile(50.0), 500.0), "{}", latencies.percentile(50.0));
        assert!(is_near(latencies.percentile(99.0), 990.0), "{}", latencies.percentile(99.0));
    }

    #[test]
    fn lost_requests_have_the_latency_of_their_timeout() {
        let mut latencies = recorded([1; 98]);
        latencies.lost(Duration::from_secs(1));
        latencies.lost(Duration::from_secs(1));
        assert_eq!((latencies.requests(), latencies.lost_requests()), (100, 2));
        assert!(is_near(latencies.loss_percent(), 2.0));
        assert!(is_near(latencies.percentile(99.0), 1000.0));
    }

    #[test]
    fn latency_beyond_the_bound_counts_as_the_bound() {
        let latencies = recorded([1_000_000]);
        assert_eq!(latencies.requests(), 1);
        assert!(is_near(latencies.percentile(99.0), milliseconds(HIGHEST)));
    }

    #[test]
    fn addition_keeps_all_counts() {
        let mut sum = recorded([1, 2]);
        let mut other = recorded([3]);
        other.lost(Duration::from_secs(1));
        other.wrong();
        sum.add(&other);
        assert_eq!((sum.requests(), sum.lost_requests(), sum.wrong_replies()), (4, 1, 1));
    }

    #[test]
    fn no_requests_have_no_loss() {
        assert!(Latencies::default().loss_percent() < f64::EPSILON);
    }
}
