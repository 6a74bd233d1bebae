//! [`HandshakeRetransmissions`]: the packets that this host sent again while it opened connections.

use crate::model::exchange::{Connection, Retransmitted};
use std::time::Duration;

/// The connections of a run with packets that this host sent again during the handshake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HandshakeRetransmissions {
    /// The number of established connections with such packets.
    pub connections: u64,
    /// The number of these packets.
    pub segments: u64,
    /// The sum of the costs ([`Retransmitted::cost`]) of the connections with a known cost.
    pub cost: Duration,
    /// The number of connections whose cost is not known.
    pub without_cost: u64,
}

impl HandshakeRetransmissions {
    /// Adds an attempt to connect. A failed attempt does not count, because its failure contains its retransmissions.
    pub(super) fn add(&mut self, connection: &Connection) {
        let Some(Retransmitted { segments: segments @ 1.., cost }) =
            connection.retransmitted.filter(|_| connection.is_established)
        else {
            return;
        };
        self.connections += 1;
        self.segments += u64::from(segments);
        self.cost += cost.unwrap_or_default();
        self.without_cost += u64::from(cost.is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_core::Stamp;

    #[test]
    fn only_established_connections_with_retransmissions_count() {
        let mut all = HandshakeRetransmissions::default();
        let cost = |seconds| Some(Duration::from_secs(seconds));
        for (is_established, retransmitted) in [
            (true, None),
            (true, Some(Retransmitted { segments: 0, cost: None })),
            (true, Some(Retransmitted { segments: 1, cost: cost(1) })),
            (true, Some(Retransmitted { segments: 2, cost: cost(3) })),
            (true, Some(Retransmitted { segments: 1, cost: None })),
            (false, Some(Retransmitted { segments: 5, cost: cost(9) })),
        ] {
            let connection = Connection::requested(Stamp::just_before());
            all.add(&Connection { is_established, retransmitted, ..connection });
        }
        let expected = HandshakeRetransmissions {
            connections: 3,
            segments: 4,
            cost: Duration::from_secs(4),
            without_cost: 1,
        };
        assert_eq!(all, expected);
    }
}
