//! Whether the kernel reports that the wall clock is synchronised (adjtimex(2)).

#![allow(unsafe_code, reason = "adjtimex has no safe wrapper; the call has a SAFETY comment")]

use echo_core::header::version2::ClockState;
use std::mem::zeroed;
use std::time::Duration;

/// Reads the state of the wall clock. Without a time daemon, the kernel reports `TIME_ERROR`.
pub(crate) fn clock_state() -> ClockState {
    // SAFETY: all-zero bytes are a valid value of this plain structure. The mode 0 only reads: adjtimex fills the
    // structure and does not keep the pointer.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    match u64::try_from(timex.maxerror) {
        Ok(microseconds) if (0..libc::TIME_ERROR).contains(&state) => {
            ClockState::Synchronised { max_error: Duration::from_micros(microseconds) }
        }
        _ => ClockState::Unsynchronised,
    }
}
