//! Limits of the server: fixed values, and the defaults of those that can be configured.

use std::num::NonZero;
use std::time::Duration;

/// Maximum number of bytes that one read takes from a connection.
///
/// This value limits the memory of a peer that sends text and never reads: 48 KiB. The reply to one read is at
/// most [`echo_core::MAX_GROWTH`] times as long as the text, and the server keeps the part that the kernel does not
/// accept. The server reads no more until the kernel has accepted the whole reply.
///
/// A connection with timed requests needs up to 280 KiB: a complete request of
/// [`echo_core::header::MAX_TIMED_LEN`] bytes, its reply, and one more read.
pub const READ_SIZE: usize = 16 * 1024;

/// Maximum size of a timed request in bytes, with its header.
pub const MAX_TIMED_REQUEST_SIZE: usize = echo_core::header::MAX_TIMED_LEN;

/// Maximum duration of the shutdown. A peer that reads its replies needs some milliseconds; a peer that does not read
/// would need forever.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Default for [`crate::Config::max_connections`]. At 1 KiB each, this number of connections needs 16 MiB; the kernel
/// itself needs about 100 MiB for them.
pub const DEFAULT_MAX_CONNECTIONS: usize = 16_384;

/// Default for [`crate::Config::max_connections_per_source`], for addresses other than loopback addresses: more than a
/// measurement needs, and 1/64 of [`DEFAULT_MAX_CONNECTIONS`].
pub const DEFAULT_MAX_CONNECTIONS_PER_SOURCE: NonZero<u64> = NonZero::new(256).unwrap();

/// Default for [`crate::Config::idle_timeout`]: longer than a person needs to type the next request. A client with a
/// longer interval connects again.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// Default for [`crate::Config::stall_timeout`]. In this time, TCP retransmits a segment several times (RFC 6298).
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(30);
