//! The cost of reading the clock on this host.

use std::time::{Duration, Instant};

/// The mean of as many readings as take some ten microseconds.
pub(super) fn clock_cost() -> Duration {
    const READINGS: u32 = 500;
    let start = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed() / READINGS
}
