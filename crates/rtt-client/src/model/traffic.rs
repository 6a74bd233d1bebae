//! [`Traffic`]: counts of the IP packets of a flow. Pure.

use std::net::SocketAddr;
use std::ops::{Add, Sub};

/// The IP packets that this host sent (`out`) and received (`in`) for a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) packets_out: u64,
    pub(crate) packets_in: u64,
    /// Packets without application data: acknowledgements, and the packets that open or close a connection.
    pub(crate) without_data_out: u64,
    pub(crate) without_data_in: u64,
    /// Bytes from the IP header on.
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
