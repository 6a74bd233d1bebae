//! The receive queue of a socket: its size, and the packets that the kernel dropped because the queue was full.
//!
//! The kernel counts the memory of each packet in the queue, headers and administration included. A datagram of 64 bytes
//! takes 768 bytes (`skb_truesize` on loopback). If the sum exceeds the size (`SO_RCVBUF`), the kernel drops the next
//! packet and counts it.

#![allow(unsafe_code, reason = "SO_MEMINFO has no safe wrapper; the call has a SAFETY comment")]

use nix::sys::socket::{setsockopt, sockopt};
use socket2::Socket;
use std::io;
use std::mem::size_of_val;
use std::os::fd::AsRawFd as _;

/// The number of values that `SO_MEMINFO` returns (`SK_MEMINFO_VARS`, `include/uapi/linux/sock_diag.h`).
const MEMINFO_VALUES: usize = 9;

/// Sets the size of the receive queue beyond the limit of the system (`net.core.rmem_max`). This needs the capability
/// `CAP_NET_ADMIN`.
pub(crate) fn force_receive_queue(socket: &Socket, bytes: usize) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::RcvBufForce, &bytes)?)
}

/// The number of packets that the kernel has dropped because the receive queue was full. `None` if the system does not
/// report it.
pub(crate) fn receive_queue_drops(socket: &Socket) -> Option<u64> {
    let mut values = [0_u32; MEMINFO_VALUES];
    let mut length = libc::socklen_t::try_from(size_of_val(&values)).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to `values`, which has this length. It does not keep the pointers.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    // An older kernel returns fewer values.
    (result == 0 && length as usize >= size_of_val(&values))
        .then(|| u64::from(values[MEMINFO_VALUES - 1]))
}
