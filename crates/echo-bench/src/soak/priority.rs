//! The scheduling of the threads of the soak test.
//!
//! Neither `std` nor nix provides `sched_setscheduler`.

#![expect(unsafe_code, reason = "sched_setscheduler has no safe interface here")]

use nix::errno::Errno;

/// The scheduling of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheduling {
    /// The thread runs only when no other thread needs the CPU (`SCHED_IDLE`, sched(7)).
    Idle,
    /// The thread runs before all threads with a normal priority (`SCHED_FIFO`). This needs the capability
    /// `CAP_SYS_NICE`.
    RealTime,
}

/// Changes the scheduling of the calling thread. Threads and processes that it starts later inherit the scheduling.
///
/// # Errors
///
/// The error of the system, for example `EPERM`.
pub(super) fn set(scheduling: Scheduling) -> nix::Result<()> {
    /// The lowest real-time priority. All higher ones would have the same effect.
    const LOWEST: i32 = 1;
    let (policy, sched_priority) = match scheduling {
        Scheduling::Idle => (libc::SCHED_IDLE, 0),
        Scheduling::RealTime => (libc::SCHED_FIFO, LOWEST),
    };
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: the pointer refers to a valid `sched_param`, and the system only reads it. The number 0 is the calling
    // thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    Errno::result(result).map(drop)
}

/// Whether the system permits real-time priority. The function tries it in a new thread, so the caller keeps its
/// scheduling.
pub(super) fn permits_real_time() -> bool {
    std::thread::spawn(|| set(Scheduling::RealTime).is_ok()).join().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_can_reduce_the_priority_of_a_thread() {
        std::thread::spawn(|| assert_eq!(set(Scheduling::Idle), Ok(()))).join().unwrap();
    }
}
