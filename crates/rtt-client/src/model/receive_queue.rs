//! [`ReceiveQueue`]: the size of the receive queue of a socket, and [`ReceiveDrops`]: the packets that it dropped.

use std::ops::Add;

/// The size of a socket's receive queue, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveQueue {
    /// The size that the schedule needs.
    pub requested: usize,
    /// The size that the system granted.
    pub granted: usize,
}

/// The packets that the receive queue of a socket has dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReceiveDrops {
    /// The number that the kernel counts.
    pub(crate) total: u64,
    /// How many of them can be packets with a wrong checksum. The kernel counts these packets too, but a full queue is not
    /// the reason.
    pub(crate) with_wrong_checksum: u64,
}

impl Add for ReceiveDrops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            with_wrong_checksum: self.with_wrong_checksum + other.with_wrong_checksum,
        }
    }
}
