//! [`WindowObserver`]: observes the windows of the connections of one side during all rounds of an experiment.

use crate::analysis::evidence::Windows;
use crate::model::traffic::KernelStatistics;
use std::time::Duration;

/// The windows of one side. The kernel's durations count from the start of a connection. Each round therefore subtracts
/// the state at its start.
#[derive(Debug, Default)]
pub(super) struct WindowObserver {
    /// The windows in the rounds that have ended.
    rounds: Option<Windows>,
    at_start: KernelStatistics,
    /// The smallest congestion window, in segments.
    min_congestion_window: Option<u32>,
}

impl WindowObserver {
    /// Starts a round.
    pub(super) fn start_round(&mut self, info: Option<KernelStatistics>) {
        self.at_start = info.unwrap_or_default();
        self.observe(info);
    }

    /// Updates the smallest congestion window.
    pub(super) fn observe(&mut self, info: Option<KernelStatistics>) {
        let window = info.and_then(|info| info.congestion_window);
        self.min_congestion_window = smaller(self.min_congestion_window, window);
    }

    /// Ends a round.
    pub(super) fn end_round(&mut self, info: Option<KernelStatistics>) {
        self.observe(info);
        let round = info.and_then(|info| self.round(&info));
        self.rounds = match (self.rounds, round) {
            (Some(earlier), Some(round)) => Some(combined(earlier, round)),
            (earlier, round) => earlier.or(round),
        };
    }

    /// The windows of all rounds, if the kernel reported them.
    pub(super) fn result(&self) -> Option<Windows> {
        self.rounds
    }

    fn round(&self, now: &KernelStatistics) -> Option<Windows> {
        // A new connection can replace the first connection of the round. The durations of the new connection count
        // from zero. They can be smaller than the durations at the start of the round.
        let since_start = |now: Option<Duration>, start: Option<Duration>| {
            let (now, start) = (now?, start.unwrap_or_default());
            Some(now.checked_sub(start).unwrap_or(now))
        };
        Some(Windows {
            min_congestion_window: self.min_congestion_window?,
            segment_bytes: now.segment_size?,
            limited_by_peer: since_start(now.limited_by_peer, self.at_start.limited_by_peer)?,
            limited_by_buffer: since_start(now.limited_by_buffer, self.at_start.limited_by_buffer)?,
            min_rtt: now.min_rtt,
        })
    }
}

fn combined(one: Windows, other: Windows) -> Windows {
    Windows {
        min_congestion_window: one.min_congestion_window.min(other.min_congestion_window),
        segment_bytes: one.segment_bytes.min(other.segment_bytes),
        limited_by_peer: one.limited_by_peer + other.limited_by_peer,
        limited_by_buffer: one.limited_by_buffer + other.limited_by_buffer,
        min_rtt: smaller(one.min_rtt, other.min_rtt),
    }
}

/// The smaller of two values, or the one that is present.
fn smaller<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(window: u32, limited_us: u64) -> KernelStatistics {
        KernelStatistics {
            congestion_window: Some(window),
            segment_size: Some(1448),
            limited_by_peer: Some(Duration::from_micros(limited_us)),
            limited_by_buffer: Some(Duration::ZERO),
            ..KernelStatistics::default()
        }
    }

    #[test]
    fn result_adds_up_durations_and_has_the_smallest_window() {
        let mut observer = WindowObserver::default();
        observer.start_round(Some(info(10, 100)));
        observer.observe(Some(info(7, 120)));
        observer.end_round(Some(info(12, 150)));
        observer.start_round(Some(info(10, 30)));
        // A new connection in the round counts from zero.
        observer.end_round(Some(info(10, 20)));
        let windows = observer.result().unwrap();
        assert_eq!(windows.min_congestion_window, 7);
        assert_eq!(windows.limited_by_peer, Duration::from_micros(50 + 20));
    }

    #[test]
    fn without_kernel_statistics_there_is_no_result() {
        let mut observer = WindowObserver::default();
        observer.start_round(None);
        observer.end_round(None);
        assert!(observer.result().is_none());
    }
}
