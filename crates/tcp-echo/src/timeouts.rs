//! The idle and stall timeouts of connections, counted in ticks.
//!
//! A worker checks its connections for expired timeouts at a fixed interval, the tick. It numbers the ticks. A
//! connection stores the number of a tick instead of an `Instant`. The number takes only four bytes, and a step of
//! a connection ([`crate::connection::Connection::step`]) does not need to read the clock.

use crate::Config;
use crate::limits::MIN_TRANSFER_RATE;
use std::time::Duration;

/// The number of a tick. The first tick of a worker has the number 0.
pub(crate) type Tick = u32;

const MAX_TICK_LENGTH: Duration = Duration::from_secs(1);

/// The lower bound limits the CPU time, because the worker checks every connection in each tick.
const MIN_TICK_LENGTH: Duration = Duration::from_millis(1);

/// Number of ticks in the shorter of the two timeouts. The bounds above can change this number. With more ticks, a
/// timeout expires closer to its exact time.
const TICKS_PER_TIMEOUT: u32 = 8;

/// A timeout of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// The peer has not sent anything.
    Idle,
    /// The peer has taken its replies, or has sent a timed request, more slowly than [`MIN_TRANSFER_RATE`].
    Stall,
}

/// The timeouts that apply to all connections of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    tick_length: Duration,
    /// `None` means that the timeout is disabled.
    idle: Option<Tick>,
    stall: Option<Tick>,
    /// The bytes that a peer with the minimum rate transfers in the time of the stall timeout.
    progress: u64,
}

impl Timeouts {
    pub(crate) fn new(config: &Config) -> Self {
        let enabled = [config.idle_timeout, config.stall_timeout]
            .into_iter()
            .filter(|timeout| !timeout.is_zero());
        let tick_length = enabled
            .fold(MAX_TICK_LENGTH, |length, timeout| length.min(timeout / TICKS_PER_TIMEOUT))
            .max(MIN_TICK_LENGTH);
        let ticks = |timeout: Duration| {
            let ticks = timeout.as_nanos().div_ceil(tick_length.as_nanos());
            (ticks > 0).then(|| Tick::try_from(ticks).unwrap_or(Tick::MAX))
        };
        let milliseconds = u64::try_from(config.stall_timeout.as_millis()).unwrap_or(u64::MAX);
        Self {
            tick_length,
            idle: ticks(config.idle_timeout),
            stall: ticks(config.stall_timeout),
            progress: milliseconds.saturating_mul(MIN_TRANSFER_RATE).div_ceil(1000).max(1),
        }
    }

    /// The time between two checks for expired timeouts.
    pub(crate) fn tick_length(self) -> Duration {
        self.tick_length
    }

    /// The number of bytes that a peer must transfer in the time of the stall timeout, if `outstanding` bytes wait at
    /// its start.
    pub(crate) fn required_progress(self, outstanding: u64) -> u64 {
        outstanding.min(self.progress)
    }

    pub(crate) fn is_enabled(self, timeout: Timeout) -> bool {
        self.ticks(timeout).is_some()
    }

    /// Whether `timeout`, which started in the tick `since`, has expired in the tick `now`.
    pub(crate) fn is_expired(self, timeout: Timeout, since: Tick, now: Tick) -> bool {
        // With `>=`, the timeout could expire too early: it can have started at the end of the tick `since`.
        self.ticks(timeout).is_some_and(|limit| now - since > limit)
    }

    fn ticks(self, timeout: Timeout) -> Option<Tick> {
        match timeout {
            Timeout::Idle => self.idle,
            Timeout::Stall => self.stall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeouts(idle: Duration, stall: Duration) -> Timeouts {
        Timeouts::new(&Config { idle_timeout: idle, stall_timeout: stall, ..Config::default() })
    }

    #[test]
    fn shorter_timeout_sets_the_tick_length_within_its_bounds() {
        let ms = Duration::from_millis;
        for (idle, stall, expected) in [
            (ms(300_000), ms(30_000), ms(1000)),
            (ms(400), ms(30_000), ms(50)),
            (ms(400), ms(80), ms(10)),
            (ms(2), ms(0), ms(1)),
            (ms(0), ms(0), ms(1000)),
        ] {
            assert_eq!(timeouts(idle, stall).tick_length(), expected, "{idle:?} {stall:?}");
        }
    }

    #[test]
    fn timeout_expires_after_its_last_tick_and_zero_disables_it() {
        let timeouts = timeouts(Duration::ZERO, Duration::from_millis(80));
        assert!(!timeouts.is_expired(Timeout::Stall, 5, 13));
        assert!(timeouts.is_expired(Timeout::Stall, 5, 14));
        assert!(!timeouts.is_expired(Timeout::Idle, 0, Tick::MAX));
    }
}
