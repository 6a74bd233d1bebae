//! [`ReceiveQueue`]: the size of the receive queue of a socket.

/// The size of a socket's receive queue, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveQueue {
    /// The size that the schedule needs.
    pub requested: usize,
    /// The size that the system granted.
    pub granted: usize,
}
