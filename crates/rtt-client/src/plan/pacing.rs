//! [`Pacer`]: when a series sends its next request, and when the series ends. Callers pass the time.

use crate::plan::Settings;
use std::time::{Duration, Instant};

/// The longest busy wait before a request. A sleeping CPU needs 35 to 70 µs to wake up (measured).
const MAX_BUSY_WAIT: Duration = Duration::from_micros(100);

/// The largest share of the time between two requests that a busy wait uses. The rest is for other threads on this
/// CPU.
const MAX_BUSY_SHARE: f64 = 0.25;

/// The pause after an error. The system can report an error immediately, so without this pause a series to a closed
/// port would send a flood of requests.
const REST_AFTER_ERROR: Duration = Duration::from_millis(10);

/// The rule for the time between two requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pacing {
    /// One request at a time. The next request waits for the outcome of the previous one. It also waits until this
    /// time has passed since the previous send.
    AfterReply(Duration),
    /// A fixed number of requests per second. The schedule does not wait for replies.
    FixedRate(f64),
}

impl Pacing {
    pub(crate) fn waits_for_replies(self) -> bool {
        matches!(self, Self::AfterReply(_))
    }

    /// Before a request, the client polls for this time instead of sleeping. A fixed rate needs this busy wait to keep
    /// its schedule.
    pub(crate) fn busy_wait(self) -> Duration {
        match self {
            Self::AfterReply(_) => Duration::ZERO,
            Self::FixedRate(rate) => {
                MAX_BUSY_WAIT.min(Duration::from_secs_f64(MAX_BUSY_SHARE / rate))
            }
        }
    }
}

/// Applies a [`Pacing`] to one series, counts its requests, and detects its end.
#[derive(Debug)]
pub(crate) struct Pacer {
    pacing: Pacing,
    count: Option<u64>,
    duration: Option<Duration>,
    start: Instant,
    requests: u64,
    /// The last time at which this series, or its control, sent a request.
    last_sent: Option<Instant>,
    /// The end of the pause after an error.
    rest_until: Option<Instant>,
    send_duration: Duration,
}

impl Pacer {
    /// The pacer of a series that starts at `start`.
    pub(crate) fn new(pacing: Pacing, settings: &Settings, start: Instant) -> Self {
        Self {
            pacing,
            count: settings.count,
            duration: settings.duration,
            start,
            requests: 0,
            last_sent: None,
            rest_until: None,
            send_duration: Duration::ZERO,
        }
    }

    /// Moves the start of the series to `start`. Call this function before the first request.
    pub(crate) fn restart(&mut self, start: Instant) {
        self.start = start;
    }

    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// The time at which the next request is due.
    pub(crate) fn due(&self) -> Instant {
        match self.pacing {
            Pacing::AfterReply(interval) => {
                self.last_sent.map_or(self.start, |last_sent| last_sent + interval)
            }
            // Each time is computed from the start, so rounding errors do not accumulate.
            Pacing::FixedRate(rate) => {
                #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
                let seconds = self.requests as f64 / rate;
                self.start + Duration::from_secs_f64(seconds)
            }
        }
    }

    /// The earliest time for a request that is due at `due`. A request does not start before the end of the pause after
    /// an error.
    pub(crate) fn earliest(&self, due: Instant) -> Instant {
        self.rest_until.map_or(due, |rest_until| rest_until.max(due))
    }

    /// Counts a request. The client calls this function immediately before it sends the request.
    pub(crate) fn request_started(&mut self, now: Instant) {
        self.requests += 1;
        self.last_sent = Some(now);
        self.rest_until = None;
    }

    /// Records the time at which the last started request was sent.
    pub(crate) fn request_sent(&mut self, sent: Instant) {
        self.last_sent = Some(sent);
        self.send_duration = sent.saturating_duration_since(self.start);
    }

    /// Records a control exchange. This exchange takes one interval, but it does not count as a request.
    pub(crate) fn control_started(&mut self, now: Instant) {
        self.last_sent = Some(now);
    }

    /// Starts the pause after an error.
    pub(crate) fn rest_after_error(&mut self, now: Instant) {
        self.rest_until = Some(now + REST_AFTER_ERROR);
    }

    /// Whether the series has reached its count or its duration.
    pub(crate) fn is_finished(&self, now: Instant) -> bool {
        self.count.is_some_and(|count| self.requests >= count)
            || self.end().is_some_and(|end| now >= end)
    }

    /// The end of the series, if it has a duration.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.duration.map(|duration| self.start + duration)
    }

    /// The time from the start of the series to its last request.
    pub(crate) fn send_duration(&self) -> Duration {
        self.send_duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(pacing: Pacing, settings: &Settings) -> (Pacer, Instant) {
        let start = Instant::now();
        (Pacer::new(pacing, settings, start), start)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn fixed_rate_does_not_drift_when_requests_are_late() {
        let (mut pacer, start) = pacer(Pacing::FixedRate(3.0), &Settings::series(10_000_000));
        assert_eq!(pacer.due(), start);
        for _ in 0..3 {
            pacer.request_started(start + seconds(5));
        }
        assert_eq!(pacer.due(), start + seconds(1));
        for _ in 3..3_000_000 {
            pacer.request_started(start + seconds(5));
        }
        assert_eq!(pacer.due(), start + seconds(1_000_000));
    }

    #[test]
    fn interval_counts_from_the_last_request() {
        let (mut pacer, start) = pacer(Pacing::AfterReply(millis(10)), &Settings::series(9));
        assert_eq!(pacer.due(), start);
        pacer.request_started(start + millis(24));
        pacer.request_sent(start + millis(25));
        assert_eq!(pacer.due(), start + millis(35));
        assert_eq!(pacer.send_duration(), millis(25));
    }

    #[test]
    fn control_exchange_takes_one_interval_but_is_not_counted() {
        let (mut pacer, start) = pacer(Pacing::AfterReply(millis(10)), &Settings::series(1));
        pacer.control_started(start + millis(40));
        assert_eq!(pacer.due(), start + millis(50));
        assert!(!pacer.is_finished(start + seconds(1)));
        assert_eq!(pacer.send_duration(), Duration::ZERO);
    }

    #[test]
    fn request_after_an_error_waits_for_the_end_of_the_pause() {
        let (mut pacer, start) = pacer(Pacing::AfterReply(Duration::ZERO), &Settings::series(9));
        pacer.request_started(start);
        pacer.rest_after_error(start + millis(1));
        let due = pacer.due();
        assert_eq!(due, start);
        assert_eq!(pacer.earliest(due), start + millis(1) + REST_AFTER_ERROR);
        assert_eq!(pacer.earliest(start + seconds(1)), start + seconds(1));
        pacer.request_started(start + millis(11));
        assert_eq!(pacer.earliest(start), start, "the next request ends the pause");
    }

    #[test]
    fn count_ends_the_series() {
        let (mut pacer, start) = pacer(Pacing::FixedRate(10.0), &Settings::series(2));
        for _ in 0..2 {
            assert!(!pacer.is_finished(start));
            pacer.request_started(start);
        }
        assert!(pacer.is_finished(start));
    }

    #[test]
    fn duration_ends_the_series() {
        let settings = Settings { count: None, duration: Some(seconds(3)), ..Settings::series(1) };
        let (mut pacer, start) = pacer(Pacing::FixedRate(10.0), &settings);
        pacer.restart(start + seconds(1));
        assert_eq!((pacer.start(), pacer.end()), (start + seconds(1), Some(start + seconds(4))));
        assert!(!pacer.is_finished(start + seconds(3)));
        assert!(pacer.is_finished(start + seconds(4)));
    }

    #[test]
    fn busy_wait_leaves_most_of_the_period_to_other_threads() {
        assert_eq!(Pacing::AfterReply(millis(10)).busy_wait(), Duration::ZERO);
        assert_eq!(Pacing::FixedRate(100.0).busy_wait(), MAX_BUSY_WAIT);
        assert_eq!(Pacing::FixedRate(100_000.0).busy_wait(), Duration::from_nanos(2500));
    }
}
