//! Systems that do not report the length of the send queue.

/// Returns `None`: the length of the send queue is not available on this system.
#[must_use]
pub fn unacknowledged_bytes<S>(_: &S) -> Option<u64> {
    None
}
