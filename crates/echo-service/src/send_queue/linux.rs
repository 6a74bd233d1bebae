//! The length of the send queue from the kernel (`SIOCOUTQ`, tcp(7)).
#![allow(unsafe_code, reason = "nix and socket2 have no function for SIOCOUTQ")]

use std::os::fd::{AsFd, AsRawFd as _};

/// The number of bytes that the kernel has accepted for sending, but that the peer has not acknowledged. A FIN counts
/// as one byte. `None` if the system does not report the number.
#[must_use]
pub fn unacknowledged_bytes(socket: &impl AsFd) -> Option<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, because `socket` borrows it. The kernel writes one `int` to `bytes` (SIOCOUTQ has
    // the same number as TIOCOUTQ, include/uapi/linux/sockios.h).
    let result = unsafe {
        libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, std::ptr::from_mut(&mut bytes))
    };
    (result == 0).then(|| u64::try_from(bytes).ok()).flatten()
}
