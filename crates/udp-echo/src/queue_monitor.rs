//! [`QueueMonitor`]: whether the drops of a socket's receive queue belong to one peer.
//!
//! The kernel counts the drops of a socket, and not of a peer. It also counts datagrams with a wrong checksum as drops.
//! The monitor detects other peers and wrong checksums, so that a client does not use the number as its own.

use crate::datagram_io::{ReceiveMeta, checksum_errors};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The minimum time between two reads of the checksum errors. A read takes about 30 µs.
const READ_INTERVAL: Duration = Duration::from_millis(10);

/// The state of the receive queue when a datagram arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct QueueState {
    /// The number of drops when the previous datagram of the socket arrived.
    pub(crate) drops_before: u32,
    /// The number of drops when this datagram arrived. `None` if the system does not report it.
    pub(crate) drops: Option<u32>,
    /// How often the peer of a datagram was another one than the peer of the previous datagram.
    pub(crate) peer_changes: u64,
    /// The datagrams with a wrong checksum at all sockets of the system.
    pub(crate) checksum_errors: u64,
}

/// Observes the datagrams of one socket.
#[derive(Debug)]
pub(crate) struct QueueMonitor {
    state: QueueState,
    last_peer: Option<SocketAddr>,
    last_read: Instant,
    /// Whether drops were counted after the last read of the checksum errors.
    must_read: bool,
}

impl QueueMonitor {
    /// A monitor that starts at the time `now`.
    pub(crate) fn new(now: Instant) -> Self {
        let checksum_errors = checksum_errors().unwrap_or(0);
        let state = QueueState { checksum_errors, ..QueueState::default() };
        Self { state, last_peer: None, last_read: now, must_read: false }
    }

    /// Adds a received buffer, and returns the state of the queue at its arrival.
    pub(crate) fn arrived(&mut self, meta: &ReceiveMeta, now: Instant) -> QueueState {
        let before = self.state.drops.unwrap_or(0);
        self.must_read |= meta.queue_drops.is_some_and(|drops| drops != before);
        if self.must_read && now.saturating_duration_since(self.last_read) >= READ_INTERVAL {
            self.must_read = false;
            self.last_read = now;
            self.state.checksum_errors = checksum_errors().unwrap_or(0);
        }
        if self.last_peer.is_some_and(|peer| peer != meta.peer) {
            self.state.peer_changes += 1;
        }
        self.last_peer = Some(meta.peer);
        self.state.drops_before = before;
        self.state.drops = meta.queue_drops;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_service::ArrivalTime;

    #[test]
    fn drops_and_changes_of_the_peer_are_counted() {
        let now = Instant::now();
        let mut monitor = QueueMonitor::new(now);
        let mut arrived = |port: u16, drops| {
            let meta = ReceiveMeta {
                peer: SocketAddr::from(([192, 0, 2, 1], port)),
                is_to_group: false,
                hops: None,
                length: 4,
                segment_size: 4,
                arrival: ArrivalTime::Program(now),
                queue_drops: drops,
            };
            let QueueState { drops_before, drops, peer_changes, .. } = monitor.arrived(&meta, now);
            (drops_before, drops, peer_changes)
        };
        assert_eq!(arrived(1, Some(0)), (0, Some(0), 0));
        assert_eq!(arrived(1, Some(5)), (0, Some(5), 0));
        assert_eq!(arrived(2, Some(5)), (5, Some(5), 1));
        assert_eq!(arrived(1, Some(9)), (5, Some(9), 2));
        assert_eq!(arrived(1, None), (9, None, 2));
    }
}
