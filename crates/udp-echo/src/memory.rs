//! The largest amount of memory that the server can use.

use crate::datagram_io::{MAX_BUFFERS, QUEUE_LEN, RECEIVE_BUFFER_LEN};
use crate::flow_table;
use echo_core::MAX_GROWTH;
use echo_service::{RateLimit, max_queue_memory};

/// The memory of one worker for everything else: its stack, the headers of the buffers, and the list of replies.
/// Measured: 60 KiB for a worker without requests.
const WORKER_MEMORY: usize = 1024 * 1024;

/// The memory of the server without sockets, in bytes: the program, the stacks of its other threads, and a full queue
/// of the log. Measured: 10 MiB, of which 5 MiB are pages of the program's file.
const BASE_MEMORY: usize = 16 * 1024 * 1024;

/// The largest amount of memory, in bytes, that one socket and its worker can use. It includes the queues of the
/// kernel. They have this size only if `net.core.rmem_max` and `net.core.wmem_max` permit it.
pub const MAX_MEMORY_PER_SOCKET: usize = MAX_BUFFERS * RECEIVE_BUFFER_LEN * (1 + MAX_GROWTH)
    + flow_table::SIZE
    + WORKER_MEMORY
    + 2 * max_queue_memory(QUEUE_LEN);

/// The largest amount of memory, in bytes, that a server with this number of sockets can use. Each worker has its own
/// sockets.
///
/// ```
/// let (one, two) = (udp_echo::max_memory(1), udp_echo::max_memory(2));
/// assert_eq!(two - one, udp_echo::MAX_MEMORY_PER_SOCKET);
/// ```
#[must_use]
pub const fn max_memory(sockets: usize) -> usize {
    BASE_MEMORY + RateLimit::MAX_TABLE_BYTES + sockets * MAX_MEMORY_PER_SOCKET
}
