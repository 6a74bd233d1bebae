//! The memory of the kernel for the queue of a socket.

/// The kernel reserves this multiple of `SO_SNDBUF` and `SO_RCVBUF` (socket(7)).
pub const KERNEL_BUFFER_FACTOR: usize = 2;

/// The kernel checks the size of a queue before it adds a packet, so the last packet can exceed the limit. A packet has
/// at most 64 KiB (the length field of IP). The same is true for a segment of TCP with segmentation offload.
const MAX_PACKET: usize = 64 * 1024;

/// The largest amount of memory, in bytes, that the kernel uses for a queue with the value `limit` of `SO_SNDBUF` or
/// `SO_RCVBUF`.
///
/// ```
/// let memory = echo_service::max_queue_memory(128 * 1024);
/// assert_eq!(memory, 2 * 128 * 1024 + 64 * 1024);
/// ```
#[must_use]
pub const fn max_queue_memory(limit: usize) -> usize {
    KERNEL_BUFFER_FACTOR * limit + MAX_PACKET
}
