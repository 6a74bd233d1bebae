//! [`Traffic`]: counts of the IP packets of a flow.

use std::ops::{Add, Sub};

/// What has crossed the wire, as packets of IP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) packets_out: u64,
    pub(crate) packets_in: u64,
    /// Packets that carry nothing of the application's: acknowledgements and what opens and ends.
    pub(crate) without_data_out: u64,
    pub(crate) without_data_in: u64,
    /// Headers of IP and above, and payload, in bytes.
    pub(crate) ip_bytes_out: u64,
    pub(crate) ip_bytes_in: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}

impl Traffic {
    fn with(self, other: Self, count: fn(u64, u64) -> u64) -> Self {
        Self {
            packets_out: count(self.packets_out, other.packets_out),
            packets_in: count(self.packets_in, other.packets_in),
            without_data_out: count(self.without_data_out, other.without_data_out),
            without_data_in: count(self.without_data_in, other.without_data_in),
            ip_bytes_out: count(self.ip_bytes_out, other.ip_bytes_out),
            ip_bytes_in: count(self.ip_bytes_in, other.ip_bytes_in),
        }
    }
}
