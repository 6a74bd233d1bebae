//! [`TcpInfo`]: what the kernel reports about a TCP connection. Pure.

use std::time::Duration;

/// What the kernel reports about a TCP connection (`struct tcp_info`, include/uapi/linux/tcp.h). A field that an
/// older kernel does not report is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// The smoothed round-trip time (RFC 6298).
    pub rtt: Option<Duration>,
    /// The variation of the round-trip time (RFC 6298).
    pub rtt_variation: Option<Duration>,
    /// The shortest round-trip time that the kernel has measured on the connection.
    pub min_rtt: Option<Duration>,
    /// The number of retransmitted segments, on all connections of the run.
    pub retransmissions: Option<u64>,
    /// The congestion window, in segments.
    pub congestion_window: Option<u32>,
    /// The size of the largest segment that the kernel sends, in bytes.
    pub segment_size: Option<u32>,
    /// The time during which there was data to send or data without an acknowledgement.
    pub busy: Option<Duration>,
    /// The time during which the peer's receive window stopped the sender.
    pub limited_by_peer: Option<Duration>,
    /// The time during which the size of this host's send buffer stopped the sender.
    pub limited_by_buffer: Option<Duration>,
    /// Counters of segments and bytes.
    pub(crate) segments: Option<Segments>,
}

impl TcpInfo {
    /// This information, with the retransmissions of earlier connections added.
    pub(crate) fn with_earlier_connections(self, earlier: Option<Self>) -> Self {
        let before = earlier.and_then(|info| info.retransmissions).unwrap_or(0);
        Self { retransmissions: self.retransmissions.map(|now| now + before), ..self }
    }
}

/// The kernel's counters of segments and bytes of a TCP connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// All segments.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Segments with data.
    pub(crate) data_sent: u64,
    pub(crate) data_received: u64,
    /// Payload bytes, including retransmitted ones.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Whether every segment has the timestamps option (RFC 7323).
    pub(crate) has_timestamps: bool,
}
