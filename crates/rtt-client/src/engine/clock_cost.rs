//! Measures the cost of one reading of the monotonic clock on this host.

use std::time::{Duration, Instant};

/// The number of readings. Together they take about ten microseconds.
const READINGS: u32 = 500;

/// The mean cost of one reading. Each RTT contains this cost about once.
pub(super) fn clock_cost() -> Duration {
    let start = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed() / READINGS
}
