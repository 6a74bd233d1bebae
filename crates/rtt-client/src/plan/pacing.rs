//! When the next request is due. Pure: no clock is read here.

use std::time::{Duration, Instant};

/// More than a sleeping processor takes to wake up: 35 to 70 µs where it was measured.
const LONGEST_AWAKE: Duration = Duration::from_micros(100);

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pacing {
    /// One at a time: the next one when the reply is in (or given up), and this long after the last.
    AfterReply(Duration),
    /// On a schedule that does not wait for replies: so many a second.
    FixedRate(f64),
}

impl Pacing {
    /// When the request is due that `already` others were sent before, in a run that began at `begun`
    /// and last sent at `last`.
    pub(crate) fn due(self, begun: Instant, already: u64, last: Option<Instant>) -> Instant {
        match self {
            Self::AfterReply(interval) => last.map_or(begun, |last| last + interval),
            // Computed anew from the beginning each time, so that rounding does not add up.
            Self::FixedRate(rate) => {
                #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
                let seconds = already as f64 / rate;
                begun + Duration::from_secs_f64(seconds)
            }
        }
    }

    /// How long before a request is due it is waited for without sleeping. A schedule is kept better so;
    /// most of the period is left to the others on this CPU.
    pub(crate) fn awake_before(self) -> Duration {
        match self {
            Self::AfterReply(_) => Duration::ZERO,
            Self::FixedRate(rate) => LONGEST_AWAKE.min(Duration::from_secs_f64(0.25 / rate)),
        }
    }

    pub(crate) fn waits_for_replies(self) -> bool {
        matches!(self, Self::AfterReply(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_does_not_drift() {
        let begun = Instant::now();
        let pacing = Pacing::FixedRate(3.0);
        assert_eq!(pacing.due(begun, 0, None), begun);
        // However late the ones before were sent.
        let late = begun + Duration::from_secs(5);
        assert_eq!(pacing.due(begun, 3, Some(late)), begun + Duration::from_secs(1));
        assert_eq!(
            pacing.due(begun, 3_000_000, Some(late)),
            begun + Duration::from_secs(1_000_000)
        );
    }

    #[test]
    fn an_interval_counts_from_the_last_request() {
        let begun = Instant::now();
        let pacing = Pacing::AfterReply(Duration::from_millis(10));
        assert_eq!(pacing.due(begun, 0, None), begun);
        let last = begun + Duration::from_millis(25);
        assert_eq!(pacing.due(begun, 2, Some(last)), begun + Duration::from_millis(35));
    }
}
