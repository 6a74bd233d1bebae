//! The CPU time of the calling thread, and the time that it waited for a CPU.

use crate::net::system::ThreadUsage;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::time::Duration;

/// The usage of the calling thread so far. `None` if the system does not report it.
pub(crate) fn thread_usage() -> Option<ThreadUsage> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    let cpu = [usage.user_time(), usage.system_time()].into_iter().map(|time| {
        let microseconds = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
        Duration::from_micros(u64::try_from(microseconds).unwrap_or(0))
    });
    // The second number is the time on a run queue in nanoseconds (Documentation/scheduler/sched-stats.rst).
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let waiting = statistics.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(ThreadUsage { cpu: cpu.sum(), waiting: Duration::from_nanos(waiting) })
}
