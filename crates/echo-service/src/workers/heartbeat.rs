//! The heartbeat for the watchdog of a supervisor (systemd: `WatchdogSec`).
//!
//! Each worker counts the passes of its loop. The heartbeat checks these counts at regular times. It notifies the
//! supervisor only if each worker has made progress since the last notification. So one worker that hangs stops the
//! heartbeat, and the supervisor restarts the server.
//!
//! A worker without requests can sleep for a long time. Therefore each check also wakes all workers. Without a
//! watchdog, there are no checks, and an idle worker sleeps.

use crate::process::{notify_alive, watchdog_timeout};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Number of checks in one watchdog timeout. `sd_watchdog_enabled(3)` recommends a notification after each half of the
/// timeout. With four checks, a single pass of a worker can take up to three quarters of the timeout.
const CHECKS_PER_TIMEOUT: u32 = 4;

/// The shortest time between two checks. It prevents a loop without pauses if a supervisor sets a very short timeout.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Notifies the supervisor while all workers make progress.
pub(super) struct Heartbeat<Notify> {
    checks: Option<Interval>,
    notify: Notify,
    /// The counts at the last notification. Before the first one, the vector is empty.
    last: Vec<u64>,
}

impl Heartbeat<fn()> {
    /// The heartbeat for the supervisor of this process. It does nothing if there is no watchdog.
    pub(super) fn of_process() -> Self {
        Self::new(watchdog_timeout(), notify_alive)
    }
}

impl<Notify: Fn()> Heartbeat<Notify> {
    /// Creates a heartbeat that calls `notify` at least once in each `timeout`.
    pub(super) fn new(timeout: Option<Duration>, notify: Notify) -> Self {
        let checks = timeout.map(|timeout| {
            let mut checks = interval((timeout / CHECKS_PER_TIMEOUT).max(MIN_INTERVAL));
            checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            checks
        });
        Self { checks, notify, last: Vec::new() }
    }

    /// Waits for the next check. The first one is due immediately. Never returns without a watchdog.
    pub(super) async fn next_check(&mut self) {
        match &mut self.checks {
            Some(checks) => drop(checks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Notifies the supervisor if each of `counts` differs from its value at the last notification. The counts are the
    /// numbers of passes of the workers.
    pub(super) fn check(&mut self, counts: Vec<u64>) {
        let mut last = self.last.iter().copied().chain(std::iter::repeat(0));
        if counts.iter().all(|count| Some(*count) != last.next()) {
            drop(last);
            (self.notify)();
            self.last = counts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn notification_needs_progress_of_each_worker() {
        let notifications = Cell::new(0);
        let mut heartbeat = Heartbeat::new(None, || notifications.set(notifications.get() + 1));
        for (counts, expected) in [
            // The second worker has not started its loop.
            ([5, 0], 0),
            ([6, 1], 1),
            ([7, 1], 1),
            ([7, 1], 1),
            ([7, 2], 2),
            ([8, 3], 3),
            ([8, 4], 3),
        ] {
            heartbeat.check(counts.to_vec());
            assert_eq!(notifications.get(), expected, "{counts:?}");
        }
    }
}
