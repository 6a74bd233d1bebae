//! [`Traffic`] and [`KernelStatistics`]: the packets of a flow, and the kernel's information about a connection.

use std::net::SocketAddr;
use std::ops::{Add, Sub};
use std::time::Duration;

/// The IP packets that this host sent (`out`) and received (`in`) for a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) packets_out: u64,
    pub(crate) packets_in: u64,
    /// Packets without application data: acknowledgements, and the packets that open or close a connection.
    pub(crate) without_data_out: u64,
    pub(crate) without_data_in: u64,
    /// The lengths of all packets, including the IP headers.
    pub(crate) ip_bytes_out: u64,
    pub(crate) ip_bytes_in: u64,
}

/// The length of an IP header without options, in bytes (RFC 791, RFC 8200).
pub(crate) fn ip_header_len(local: SocketAddr) -> u64 {
    if local.is_ipv4() { 20 } else { 40 }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.combine(other, u64::saturating_sub)
    }
}

impl Traffic {
    /// Applies `operation` to each pair of counters.
    fn combine(self, other: Self, operation: fn(u64, u64) -> u64) -> Self {
        Self {
            packets_out: operation(self.packets_out, other.packets_out),
            packets_in: operation(self.packets_in, other.packets_in),
            without_data_out: operation(self.without_data_out, other.without_data_out),
            without_data_in: operation(self.without_data_in, other.without_data_in),
            ip_bytes_out: operation(self.ip_bytes_out, other.ip_bytes_out),
            ip_bytes_in: operation(self.ip_bytes_in, other.ip_bytes_in),
        }
    }
}

/// The kernel's information about a connection. A field that the kernel does not report is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelStatistics {
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
    /// The maximum size of a segment that the kernel sends, in bytes.
    pub segment_size: Option<u32>,
    /// The time during which some data was not yet sent or not yet acknowledged.
    pub busy: Option<Duration>,
    /// The time during which the peer's receive window stopped the sender.
    pub limited_by_peer: Option<Duration>,
    /// The time during which the size of this host's send buffer stopped the sender.
    pub limited_by_buffer: Option<Duration>,
    /// Counters of segments and bytes.
    pub(crate) segments: Option<Segments>,
}

impl KernelStatistics {
    /// Adds the retransmissions of `earlier` connections.
    pub(crate) fn with_earlier_connections(self, earlier: Option<Self>) -> Self {
        let before = earlier.and_then(|info| info.retransmissions).unwrap_or(0);
        Self { retransmissions: self.retransmissions.map(|now| now + before), ..self }
    }
}

/// The kernel's counters of segments and bytes of a connection.
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
