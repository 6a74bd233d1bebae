//! CPU affinity and timer precision of the measuring thread.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_timerslack;
use nix::unistd::Pid;
use std::io;
use tracing::debug;

/// Keeps the calling thread on one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    // Process 0 is the calling thread.
    sched_setaffinity(Pid::from_raw(0), &cpus)?;
    debug!(cpu, "pinned the thread");
    Ok(())
}

/// Sets the timer slack of the calling thread to 1 ns. By default, the kernel wakes a thread up to 50 µs late,
/// to combine timers (prctl(2), `PR_SET_TIMERSLACK`).
pub(crate) fn use_precise_timers() {
    // If this fails, requests are sent late, and the lateness of the run shows it.
    if let Err(error) = set_timerslack(1) {
        debug!(%error, "PR_SET_TIMERSLACK refused");
    }
}
