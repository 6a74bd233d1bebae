//! Limits of the server: fixed limits, and the defaults of the configurable limits.

use std::num::NonZero;
use std::time::Duration;

/// Maximum number of bytes that one read takes from a connection.
///
/// This value also limits the memory for a peer that sends text and never reads. The reply to one read is at most
/// [`echo_core::MAX_GROWTH`] times as long as the text: about 48 KiB. The server stores the part that the kernel does
/// not accept. It does not read again until the kernel has accepted the whole reply.
///
/// A connection with timed requests needs more memory ([`crate::MAX_PROCESS_MEMORY_PER_CONNECTION`]): a reply, the next
/// request of [`MAX_TIMED_REQUEST_SIZE`] bytes, and one more read.
pub const READ_SIZE: usize = 16 * 1024;

/// Maximum size of a timed request in bytes, header included.
pub const MAX_TIMED_REQUEST_SIZE: usize = echo_core::header::MAX_TIMED_LEN;

/// Maximum duration of the shutdown. Without a maximum, a peer that does not read could delay the shutdown forever.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Default for [`crate::Config::max_connections`]. If all these connections are idle, the server needs at most 16 MiB
/// for them: 1 KiB is an upper bound for one idle connection and its slot. The kernel needs about 100 MiB in addition.
/// [`max_memory`](crate::max_memory) is the bound for connections that are not idle.
pub const DEFAULT_MAX_CONNECTIONS: usize = 16_384;

/// Default for [`crate::Config::max_connections_per_source`]. It does not apply to loopback addresses. It is more than
/// a measurement needs, and only 1/64 of [`DEFAULT_MAX_CONNECTIONS`].
pub const DEFAULT_MAX_CONNECTIONS_PER_SOURCE: NonZero<u64> = NonZero::new(256).unwrap();

/// Default for [`crate::Config::idle_timeout`]. It is longer than a person needs to type the next request. A client
/// that waits longer between its requests must connect again.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// Default for [`crate::Config::stall_timeout`]. It is long enough for several retransmissions of a segment (RFC 6298).
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Minimum rate at which a peer must take its replies, and at which an incomplete timed request must arrive, in bytes
/// per second. The rate is an average over the time of [`crate::Config::stall_timeout`].
///
/// The slowest links that a measurement can use are faster: GSM data has 1,200 bytes per second. A path that loses 10 %
/// of its segments and has an RTT of 1 s carries about 4,000 bytes per second (Mathis et al. 1997).
pub const MIN_TRANSFER_RATE: u64 = 1024;
