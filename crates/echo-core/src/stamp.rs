//! [`Stamp`]: the time of an event, read from two clocks.

use std::time::{Duration, Instant, SystemTime};

/// The time of an event: one reading of the wall clock and one of the monotonic clock.
///
/// The reading of the wall clock is for display. Durations use only the monotonic clock, because the user or
/// the system can change the wall clock during an exchange.
///
/// ```
/// use echo_core::Stamp;
/// use std::time::Duration;
///
/// let sent = Stamp::just_before();
/// // The program sends a request here and receives the reply.
/// let received = Stamp::just_after();
/// let rtt = received.since(&sent);
/// assert_eq!(sent.later(rtt).monotonic(), received.monotonic());
/// assert_eq!(sent.since(&received.later(rtt)), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    monotonic: Instant,
    wall: SystemTime,
}

impl Stamp {
    /// Reads the clocks immediately before an action. The monotonic clock is read last. So a duration from
    /// this stamp does not include the time to read the wall clock.
    #[must_use]
    pub fn just_before() -> Self {
        let wall = SystemTime::now();
        Self { monotonic: Instant::now(), wall }
    }

    /// Reads the clocks immediately after an event. The monotonic clock is read first. So a duration until
    /// this stamp does not include the time to read the wall clock.
    #[must_use]
    pub fn just_after() -> Self {
        let monotonic = Instant::now();
        Self { monotonic, wall: SystemTime::now() }
    }

    /// The reading of the monotonic clock, to compute deadlines.
    #[must_use]
    pub fn monotonic(&self) -> Instant {
        self.monotonic
    }

    /// The reading of the wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// The stamp of a later moment: `duration` is added to both readings.
    #[must_use]
    pub fn later(&self, duration: Duration) -> Self {
        Self { monotonic: self.monotonic + duration, wall: self.wall + duration }
    }

    /// The time from `earlier` to this stamp, by the monotonic clock. Zero if `earlier` is the later stamp.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_uses_only_the_monotonic_clock() {
        let start = Instant::now();
        let wall = SystemTime::UNIX_EPOCH;
        let earlier = Stamp { monotonic: start, wall: wall + Duration::from_secs(1000) };
        // The wall clock was set back by 900 s between the two stamps.
        let later = Stamp {
            monotonic: start + Duration::from_micros(70),
            wall: wall + Duration::from_secs(100),
        };
        assert_eq!(later.since(&earlier), Duration::from_micros(70));
        assert_eq!(earlier.since(&later), Duration::ZERO);
    }
}
