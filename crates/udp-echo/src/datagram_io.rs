//! Receives and sends datagrams.
//!
//! On Linux, one system call can receive several buffers. A buffer contains one datagram, or several
//! datagrams of one peer that the kernel coalesced (generic receive offload, GRO). All datagrams of a buffer
//! have the same length, the segment size. Only the last one can be shorter. When the server sends a buffer
//! of several replies, the kernel splits it into datagrams.
//!
//! `linux.rs` implements this. `portable.rs` is for other systems, and for Linux with `--cfg portable`. It
//! receives one datagram per call, and the system reports less information about the datagram.

#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux::{DatagramIo, MAX_BUFFERS, QUEUE_LEN};
#[cfg(not(all(target_os = "linux", not(portable))))]
pub(crate) use portable::{DatagramIo, MAX_BUFFERS, QUEUE_LEN};

#[cfg(all(any(test, fuzzing), target_os = "linux", not(portable)))]
pub use linux::simulation::Datagram;

#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux::checksum_errors;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub(crate) use portable::checksum_errors;

use echo_service::ArrivalTime;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

/// Size of a receive buffer in bytes. A datagram cannot be longer, because the length field in the UDP header
/// has 16 bits (RFC 768). The kernel does not coalesce more bytes than this either.
pub(crate) const RECEIVE_BUFFER_LEN: usize = 65_536;

/// Whether a receive call waits for a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Returns immediately if no datagram is available.
    No,
    /// Waits for the first datagram, up to the read timeout of the socket.
    UntilTimeout,
}

/// Information about a received buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveMeta {
    /// The source address.
    pub(crate) peer: SocketAddr,
    /// Whether the destination is a broadcast or multicast address. False if the system does not report the
    /// destination.
    pub(crate) is_to_group: bool,
    /// The remaining hop limit (TTL). `None` if the system does not report it.
    pub(crate) hops: Option<u8>,
    /// Length of the payload in bytes.
    pub(crate) length: usize,
    /// Length of each datagram in the buffer, in bytes, at least 1. The last datagram can be shorter.
    pub(crate) segment_size: usize,
    /// When the buffer arrived.
    pub(crate) arrival: ArrivalTime,
    /// The number of datagrams that the kernel had dropped when the buffer arrived, because the receive queue of the
    /// socket was full. The counter wraps. `None` if the system does not report it.
    pub(crate) queue_drops: Option<u32>,
}

impl ReceiveMeta {
    /// Number of datagrams in the buffer. An empty buffer is one empty datagram.
    pub(crate) fn datagrams(&self) -> u64 {
        datagram_count(self.length, self.segment_size)
    }
}

/// One buffer to send: one reply, or several replies that the kernel splits into datagrams.
#[derive(Debug)]
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "the portable code receives one buffer with one datagram per call")
)]
pub(crate) struct Reply {
    /// The number of the received buffer that this reply answers.
    pub(crate) request: usize,
    pub(crate) payload: Payload,
    /// Length of each datagram in bytes. The last datagram can be shorter.
    pub(crate) segment_size: usize,
    /// The hop limit. `None`: the default of the system.
    pub(crate) hops: Option<u8>,
}

/// The location of a reply's payload.
#[derive(Debug)]
pub(crate) enum Payload {
    /// The payload is this range of the receive buffer.
    InPlace(Range<usize>),
    /// The payload has its own buffer, because it is longer or shorter than the request.
    Owned(Vec<u8>),
}

impl Payload {
    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::InPlace(range) => range.len(),
            Self::Owned(payload) => payload.len(),
        }
    }
}

/// The result of sending one or more replies.
pub(crate) enum SendResult {
    /// The system accepted this number of datagrams.
    Accepted { datagrams: u64 },
    /// The system refused this number of datagrams.
    Failed { datagrams: u64, error: io::Error },
}

/// Number of datagrams in a buffer of `length` bytes.
pub(crate) fn datagram_count(length: usize, segment_size: usize) -> u64 {
    length.div_ceil(segment_size).max(1) as u64
}
