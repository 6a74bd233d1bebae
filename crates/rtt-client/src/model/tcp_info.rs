//! [`TcpInfo`]: what the kernel reports about a TCP connection.

use std::time::Duration;

/// What the kernel knows of a TCP connection (`struct tcp_info`, include/uapi/linux/tcp.h). What an
/// older kernel does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// The smoothed round-trip time (RFC 6298).
    pub rtt: Option<Duration>,
    /// Its variation.
    pub rtt_variation: Option<Duration>,
    /// The smallest round trip that the kernel has seen on the connection.
    pub min_rtt: Option<Duration>,
    /// Segments sent again, on all connections of the run.
    pub retransmissions: Option<u64>,
    /// The congestion window, in segments.
    pub congestion_window: Option<u32>,
    /// The largest segment that is sent, in bytes.
    pub segment_size: Option<u32>,
    /// For how long there was something to send or to be acknowledged.
    pub busy: Option<Duration>,
    /// For how long the peer's receive window kept it back.
    pub limited_by_peer: Option<Duration>,
    /// For how long this side's send buffer did.
    pub limited_by_buffer: Option<Duration>,
    /// What has crossed the wire.
    pub(crate) segments: Option<Segments>,
}

impl TcpInfo {
    /// The same, with the retransmissions of earlier connections counted in.
    pub(crate) fn with_earlier_connections(self, earlier: Option<Self>) -> Self {
        let before = earlier.and_then(|info| info.retransmissions).unwrap_or(0);
        Self { retransmissions: self.retransmissions.map(|now| now + before), ..self }
    }
}

/// What of a TCP connection has crossed the wire, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// Segments of any kind.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Those that carried data.
    pub(crate) data_sent: u64,
    pub(crate) data_received: u64,
    /// Bytes of payload, those sent again included.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Whether segments bear time stamps (RFC 7323).
    pub(crate) has_timestamps: bool,
}
