//! [`ClockMonitor`]: whether the system reports that its wall clock is synchronised.
//!
//! `linux.rs` reads the state from the kernel (adjtimex(2)). `portable.rs` is for other systems, and for Linux with
//! `--cfg portable`. There, the state is not known.

#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
use linux::read_clock_state;
#[cfg(not(all(target_os = "linux", not(portable))))]
use portable::read_clock_state;

use echo_core::header::version2::ClockState;
use std::time::{Duration, Instant};

/// The state of the clock is read again after this time. A read is a system call. The kernel increases its estimate of
/// the maximum error by 500 µs each second, so an older state is too optimistic by at most 8 ms.
const MAX_AGE: Duration = Duration::from_secs(16);

/// Reads the state of the wall clock, at most once in 16 seconds.
#[derive(Debug, Default)]
pub struct ClockMonitor {
    last: Option<(Instant, ClockState)>,
}

impl ClockMonitor {
    /// The state of the wall clock at the time `now`.
    pub fn state(&mut self, now: Instant) -> ClockState {
        match self.last {
            Some((read_at, state)) if now.saturating_duration_since(read_at) < MAX_AGE => state,
            _ => {
                let state = read_clock_state();
                self.last = Some((now, state));
                state
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_read_again_only_after_its_maximum_age() {
        let mut monitor = ClockMonitor::default();
        let now = Instant::now();
        let read = monitor.state(now);
        let other = match read {
            ClockState::Unsynchronised => ClockState::Synchronised { max_error: MAX_AGE },
            ClockState::Synchronised { .. } => ClockState::Unsynchronised,
        };
        monitor.last = Some((now, other));
        assert_eq!(monitor.state(now + MAX_AGE / 2), other);
        let later = monitor.state(now + MAX_AGE);
        assert_eq!(std::mem::discriminant(&later), std::mem::discriminant(&read));
    }
}
