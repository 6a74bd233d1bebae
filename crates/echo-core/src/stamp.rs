//! [`Stamp`]: a moment, on two clocks at once.

use std::time::{Duration, Instant, SystemTime};

/// A moment: what the wall clock showed, for people, and what the monotonic clock showed, for
/// durations. Durations come from the monotonic clock alone, because the wall clock can be set while
/// an exchange is under way.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    monotonic: Instant,
    wall: SystemTime,
}

impl Stamp {
    /// A stamp for something that is about to be done: the monotonic clock is read last, so that what
    /// follows is timed without the cost of the other reading.
    #[must_use]
    pub fn just_before() -> Self {
        let wall = SystemTime::now();
        Self { monotonic: Instant::now(), wall }
    }

    /// A stamp for something that has just been done: the monotonic clock is read first.
    #[must_use]
    pub fn just_after() -> Self {
        let monotonic = Instant::now();
        Self { monotonic, wall: SystemTime::now() }
    }

    /// The monotonic reading, to compute deadlines from.
    #[must_use]
    pub fn monotonic(&self) -> Instant {
        self.monotonic
    }

    /// The wall clock's reading.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// The stamp that a moment `duration` after this one has, if no clock is set meanwhile.
    #[must_use]
    pub fn later(&self, duration: Duration) -> Self {
        Self { monotonic: self.monotonic + duration, wall: self.wall + duration }
    }

    /// How long after `earlier` this was, by the monotonic clock; zero where it was not after it.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_comes_from_the_monotonic_clock_alone() {
        let start = Instant::now();
        let wall = SystemTime::UNIX_EPOCH;
        let earlier = Stamp { monotonic: start, wall: wall + Duration::from_secs(1000) };
        // The wall clock was set back by 900 s in between.
        let later = Stamp {
            monotonic: start + Duration::from_micros(70),
            wall: wall + Duration::from_secs(100),
        };
        assert_eq!(later.since(&earlier), Duration::from_micros(70));
        assert_eq!(earlier.since(&later), Duration::ZERO);
    }
}
