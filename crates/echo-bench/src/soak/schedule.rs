//! Divides the duration of the soak test among its parts.

use std::time::Duration;

/// The part of the duration in which honest and hostile clients run together, in percent.
const MIXED_PERCENT: u32 = 15;

/// The part for the attacks on the servers, in percent. The attacks on the client take the rest: they have a fixed
/// length.
const ATTACKS_PERCENT: u32 = 70;

/// The part of an attack's time in which honest clients measure, in percent. In the rest, attackers start and end.
const MEASURED_PERCENT: u32 = 65;

/// The conditions of a phase: the quiet machine, without the attack, and with the attack.
const CONDITIONS: u32 = 3;

/// The number of rounds of a phase. The median of three rounds ignores one disturbance from outside.
const ROUNDS: u32 = 3;

/// Below this time for an attack, one round replaces [`ROUNDS`] rounds. Shorter rounds contain too few requests.
const MIN_TIME_FOR_ROUNDS: Duration = Duration::from_secs(3);

/// The minimum duration of a measurement.
const MIN_WINDOW: Duration = Duration::from_millis(100);

/// The times of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    /// The duration of the mixed part.
    pub(super) mixed: Duration,
    /// The number of rounds for each attack.
    pub(super) rounds: u32,
    /// The duration of each measurement in a round.
    pub(super) window: Duration,
}

impl Schedule {
    /// Divides `duration` for a test with `attacks` attacks.
    pub(super) fn new(duration: Duration, attacks: usize) -> Self {
        let attacks = u32::try_from(attacks).unwrap_or(u32::MAX).max(1);
        let each = duration * ATTACKS_PERCENT / 100 / attacks;
        let rounds = if each < MIN_TIME_FOR_ROUNDS { 1 } else { ROUNDS };
        let window = each * MEASURED_PERCENT / 100 / (CONDITIONS * rounds);
        Self { mixed: duration * MIXED_PERCENT / 100, rounds, window: window.max(MIN_WINDOW) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_into_the_duration() {
        for seconds in [10, 60, 3600, 86_400] {
            let duration = Duration::from_secs(seconds);
            let schedule = Schedule::new(duration, 6);
            let measured = schedule.window * CONDITIONS * schedule.rounds * 6;
            assert!(schedule.mixed + measured < duration, "{schedule:?}");
            assert!(schedule.mixed + measured > duration / 2, "{schedule:?}");
        }
    }

    #[test]
    fn short_test_has_one_round_and_a_minimum_window() {
        assert_eq!(Schedule::new(Duration::from_secs(10), 6).rounds, 1);
        assert_eq!(Schedule::new(Duration::from_mins(1), 6).rounds, ROUNDS);
        assert_eq!(Schedule::new(Duration::from_secs(1), 6).window, MIN_WINDOW);
    }
}
