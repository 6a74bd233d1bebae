//! What a run's exchanges come to. Pure: outcomes in, figures out.

use crate::model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};
use crate::model::exchange::{Exchange, Outcome};
use crate::model::format::nanoseconds;
use crate::model::tcp_info::TcpInfo;
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
    /// Requests without a reply in time, for whatever reason.
    pub lost: u64,
    /// Requests whose reply was not what it must be.
    pub corrupt: u64,
    /// Replies beyond the first to a request.
    pub duplicates: u64,
    /// Replies that came after the reply to a later request (RFC 4737's reordering, by number).
    pub out_of_order: u64,
    /// Replies to requests that had been given up; these requests are lost.
    pub late: u64,
    /// Replies that belong to no request of this run.
    pub unmatched: u64,
    /// Requests that were sent again on a new connection, because the peer had closed theirs. Their
    /// RTTs count from the first sending.
    pub resent: u64,
    /// Round-trip times.
    pub rtt: Distribution,
    /// From the intended sending to the reply, on a schedule.
    pub rtt_from_schedule: Distribution,
    /// From the intended to the actual sending, on a schedule.
    pub lateness: Distribution,
    /// How long connecting took.
    pub connect: Distribution,
    /// RTTs of the first exchange on a connection.
    pub first_exchange: Distribution,
    /// RTTs of all others on connections.
    pub later_exchanges: Distribution,
    /// From this side's end of a connection to the peer's.
    pub close: Distribution,
    /// How RTTs differ from one to the next.
    pub jitter: Jitter,
    /// The parts of RTTs.
    pub breakdown: BreakdownFigures,
    /// RTTs of the same exchanges without the breakdown's instruments, in between.
    pub uninstrumented: Distribution,
    /// What the kernel knows of the run's last connection, and counts of them all.
    pub tcp: Option<TcpInfo>,
    /// Exchanges that a breakdown was asked for, and whose stamps did not allow one.
    pub without_breakdown: u64,
    /// What a reader of the figures should know beside them.
    pub notes: Vec<String>,
    /// From the beginning of a series to its last request.
    pub send_duration: Duration,
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
        if let Some(lateness) = exchange.lateness {
            self.lateness.add(lateness);
        }
        if let Some(rtt) = exchange.rtt() {
            self.rtt.add(rtt);
            self.jitter.add(rtt);
            if let Some(lateness) = exchange.lateness {
                self.rtt_from_schedule.add(lateness + rtt);
            }
            match exchange.first_on_connection {
                Some(true) => self.first_exchange.add(rtt),
                Some(false) => self.later_exchanges.add(rtt),
                None => {}
            }
        }
        if let Some(breakdown) = &exchange.breakdown {
            self.breakdown.add(breakdown);
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
    /// None until there is something to count.
    histogram: Option<Histogram<u64>>,
    min: Duration,
    max: Duration,
    /// In nanoseconds, and the sum of squared differences from it (Welford, Technometrics 4, 1962).
    mean: f64,
    squares: f64,
}

impl Default for Distribution {
    fn default() -> Self {
        let (min, max) = (Duration::MAX, Duration::ZERO);
        Self { histogram: None, min, max, mean: 0.0, squares: 0.0 }
    }
}

impl Distribution {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let histogram = self.histogram.get_or_insert_with(empty);
        let nanoseconds = nanoseconds(duration);
        histogram.saturating_record(nanoseconds);
        self.min = self.min.min(duration);
        self.max = self.max.max(duration);
        let from_old_mean = float(nanoseconds) - self.mean;
        self.mean += from_old_mean / float(histogram.len());
        self.squares += from_old_mean * (float(nanoseconds) - self.mean);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The smallest and the largest, if there are any.
    #[must_use]
    pub fn min_max(&self) -> Option<(Duration, Duration)> {
        (self.count() > 0).then_some((self.min, self.max))
    }

    /// The mean, if there are any.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_secs_f64(self.mean / 1e9))
    }

    /// The sample's standard deviation, from two on.
    #[must_use]
    pub fn stddev(&self) -> Option<Duration> {
        let count = self.count();
        (count > 1).then(|| Duration::from_secs_f64((self.squares / float(count - 1)).sqrt() / 1e9))
    }

    /// The smallest duration that at least this share of them does not exceed, if there are any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        let coarse = Duration::from_nanos(histogram.value_at_quantile(share));
        Some(coarse.clamp(self.min, self.max))
    }

    /// The quantile, if there are enough values for it ([`Quantile::min_count`]). Reports use this function.
    #[must_use]
    pub fn supported_quantile(&self, quantile: Quantile) -> Option<Duration> {
        (self.count() >= quantile.min_count()).then(|| self.quantile(quantile.share())).flatten()
    }

    /// The median, if there are any.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.quantile(0.5)
    }
}

/// The quantiles that reports show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// The median.
    P50,
    /// 90 % of the values are not larger.
    P90,
    /// 99 % of the values are not larger.
    P99,
    /// 99.9 % of the values are not larger.
    P999,
}

impl Quantile {
    /// All of them, from the smallest to the largest.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::P999];

    /// The share of the values that are not larger than the quantile.
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

    /// The smallest number of values that supports the quantile. With fewer values, no value is expected
    /// above the quantile, so that the quantile would only repeat the maximum.
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

fn empty() -> Histogram<u64> {
    Histogram::new_with_max(nanoseconds(LONGEST), SIGNIFICANT_DIGITS)
        .expect("three digits are few enough, and the bounds in order")
}

/// Interarrival jitter as RFC 3550, section 6.4.1, defines it, of round trips: each difference of one RTT
/// from the one before moves the estimate by a sixteenth of what it is off.
#[derive(Debug, Default)]
pub struct Jitter {
    last: Option<Duration>,
    /// In nanoseconds, from the second RTT on.
    estimate: Option<f64>,
}

impl Jitter {
    /// Takes the next RTT, in the order of arrival.
    pub fn add(&mut self, rtt: Duration) {
        if let Some(last) = self.last.replace(rtt) {
            let difference = float(nanoseconds(rtt.abs_diff(last)));
            let before = self.estimate.unwrap_or(0.0);
            self.estimate = Some(before + (difference - before) / 16.0);
        }
    }

    /// The estimate, from two RTTs on.
    #[must_use]
    pub fn estimate(&self) -> Option<Duration> {
        self.estimate.map(|nanoseconds| Duration::from_secs_f64(nanoseconds / 1e9))
    }
}

/// The parts of many RTTs.
#[derive(Debug, Default)]
pub struct BreakdownFigures {
    /// Application to wire.
    pub send: Distribution,
    /// Network and server together, where they could not be told apart.
    pub network_and_server: Distribution,
    /// How many of these replies carry no timing header.
    pub without_timing_header: u64,
    /// How many of these replies carry a timing header, but the server's kernel had no timestamp of the
    /// request's arrival.
    pub without_server_timestamp: u64,
    /// Network alone.
    pub network: Distribution,
    /// Server alone.
    pub server: Distribution,
    /// Wire to application.
    pub receive: Distribution,
}

impl BreakdownFigures {
    /// Whether most servers' shares could be told apart from the network's. The first exchange's often
    /// can't: the server has its kernel stamp from then on.
    #[must_use]
    pub fn server_is_separate(&self) -> bool {
        self.server.count() >= self.network_and_server.count()
    }

    pub(crate) fn add(&mut self, breakdown: &Breakdown) {
        self.send.add(breakdown.send);
        self.receive.add(breakdown.receive);
        match breakdown.network_and_server {
            NetworkAndServer::Combined { duration, reason } => {
                self.network_and_server.add(duration);
                match reason {
                    CombinedReason::NoTimingHeader => self.without_timing_header += 1,
                    CombinedReason::NoServerTimestamp => self.without_server_timestamp += 1,
                }
            }
            NetworkAndServer::Separate { network, server } => {
                self.network.add(network);
                self.server.add(server);
            }
        }
    }
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
    fn one_duration_is_all_its_figures() {
        let mut one = Distribution::default();
        assert_eq!((one.quantile(0.5), one.min_max(), one.mean()), (None, None, None));
        let duration = Duration::from_nanos(73_456_789);
        one.add(duration);
        assert_eq!(one.min_max(), Some((duration, duration)));
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
    fn ten_million_take_the_memory_of_one() {
        let mut many = Distribution::default();
        for number in 0..10_000_000_u64 {
            many.add(Duration::from_nanos(4000 + number % 1000));
        }
        assert_eq!(many.count(), 10_000_000);
        let bins = many.histogram.as_ref().unwrap().distinct_values();
        assert!(bins < 40_000, "{bins}");
        assert!((many.mean().unwrap().as_secs_f64() * 1e9 - 4499.5).abs() < 1.0);
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        let mut jitter = Jitter::default();
        jitter.add(Duration::from_micros(100));
        assert_eq!(jitter.estimate(), None);
        jitter.add(Duration::from_micros(116));
        assert_eq!(jitter.estimate(), Some(Duration::from_micros(1)));
        jitter.add(Duration::from_micros(99));
        assert_eq!(jitter.estimate(), Some(Duration::from_micros(2)));
    }

    proptest! {
        #[test]
        fn figures_agree_with_the_plain_computation(
            mut values in proptest::collection::vec(1_u64..10_000_000_000, 1..300),
        ) {
            let mut distribution = Distribution::default();
            for value in &values {
                distribution.add(Duration::from_nanos(*value));
            }
            values.sort_unstable();
            let mut before = Duration::ZERO;
            for (share, rank) in [(0.5, values.len().div_ceil(2)), (1.0, values.len())] {
                let exact = float(values[rank - 1]);
                let found = distribution.quantile(share).unwrap();
                prop_assert!((float(nanoseconds(found)) / exact - 1.0).abs() < 0.002);
                prop_assert!(found >= before, "quantiles are in order");
                before = found;
            }
            let mean = values.iter().map(|value| float(*value)).sum::<f64>() / float(values.len() as u64);
            prop_assert!((distribution.mean().unwrap().as_secs_f64() * 1e9 / mean - 1.0).abs() < 1e-6);
        }
    }
}
