//! The kernel's buffers for a connection, and the largest amount of memory that the connections can use.
//!
//! Without limits, Linux increases the buffers of a connection with its use: up to 6 MiB for received data and 4 MiB
//! for replies (`net.ipv4.tcp_rmem`, `tcp_wmem`). A peer that reads slowly could then use 10 MiB. The listeners have
//! the limits, and accepted connections inherit them. So the kernel selects a window scale that fits the buffer (RFC
//! 7323), because it does this when the SYN arrives.

use crate::limits::MAX_TIMED_REQUEST_SIZE;
use crate::slots::MAX_PENDING_CLOSES;
use crate::timed_request::MAX_RECEIVED;
use echo_core::MAX_GROWTH;
use echo_service::max_queue_memory;
use socket2::SockRef;
use std::io;

/// The receive buffer of a connection in bytes (`SO_RCVBUF`, tcp(7)).
///
/// The kernel doubles the value, for its own data structures. The peer can then have about 128 KiB in flight: two of
/// the largest timed requests (64 KiB). On a path with an RTT of 300 ms, this permits 430 KB per second. A peer that
/// measures the RTT sends less: 1,000 requests per second with 100 bytes need 30 KB in flight on this path.
pub const RECEIVE_BUFFER: usize = 128 * 1024;

/// The send buffer of a connection in bytes (`SO_SNDBUF`, tcp(7)). The kernel doubles the value. It equals
/// [`RECEIVE_BUFFER`], because a reply usually has the length of its request.
pub const SEND_BUFFER: usize = 128 * 1024;

/// Maximum number of bytes in the send buffer that the kernel has not sent yet (`TCP_NOTSENT_LOWAT`, tcp(7)). If the
/// peer's receive window is closed, these bytes are all that the connection uses. The value holds the largest timed
/// reply of ASCII text, so the kernel usually accepts such a reply at once.
pub const MAX_UNSENT: u32 = 64 * 1024;

/// The kernel's data structures of one connection: socket, file, entries of epoll, and timers (4 KiB on Linux 6), with
/// a margin.
const KERNEL_OBJECTS: usize = 8 * 1024;

/// The largest amount of kernel memory that one connection can use, in bytes.
pub const MAX_KERNEL_MEMORY_PER_CONNECTION: usize =
    max_queue_memory(SEND_BUFFER) + max_queue_memory(RECEIVE_BUFFER) + KERNEL_OBJECTS;

/// The largest amount of memory that the process can use for one connection, in bytes: the reply to a timed request of
/// the maximum size, the next request of this size, one more read, and the entries in the tables.
pub const MAX_PROCESS_MEMORY_PER_CONNECTION: usize =
    MAX_GROWTH * MAX_TIMED_REQUEST_SIZE + MAX_RECEIVED + CONNECTION_ENTRIES;

/// The entries of one connection in the table of its worker and in the table of slots, with a margin.
const CONNECTION_ENTRIES: usize = 1024;

/// The memory of the server without connections, in bytes: the program, its stacks, the log, and the table of the rate
/// limit (`--rate`). Measured: 10 MiB with two workers.
const BASE_MEMORY: usize = 32 * 1024 * 1024;

/// The largest amount of memory, in bytes, that a server with `max_connections` connections can use. It includes the
/// memory of the kernel.
///
/// A connection that the server has closed uses no buffers: the server keeps a connection in its table until the peer
/// has acknowledged all replies.
#[must_use]
pub const fn max_memory(max_connections: usize) -> usize {
    let connections = max_connections.saturating_add(MAX_PENDING_CLOSES);
    let per_connection = MAX_KERNEL_MEMORY_PER_CONNECTION + MAX_PROCESS_MEMORY_PER_CONNECTION;
    BASE_MEMORY.saturating_add(connections.saturating_mul(per_connection))
}

/// Limits the buffers of a socket. A connection inherits the limits of its listener.
///
/// # Errors
///
/// The system's error if it refuses one of the options.
pub(crate) fn limit_buffers(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(MAX_UNSENT)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use echo_service::KERNEL_BUFFER_FACTOR;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn accepted_connection_has_the_limits_of_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        limit_buffers(&SockRef::from(&listener)).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        let limits = [RECEIVE_BUFFER, SEND_BUFFER].map(|bytes| KERNEL_BUFFER_FACTOR * bytes);
        let sizes = [accepted.recv_buffer_size().unwrap(), accepted.send_buffer_size().unwrap()];
        assert_eq!(sizes, limits);
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), MAX_UNSENT);
    }
}
