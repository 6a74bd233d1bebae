//! [`HandshakeRetransmissions`]: the packets that this host sent again while it opened connections.

use crate::model::exchange::Retransmitted;
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
    /// Adds the retransmissions of an established connection.
    pub(crate) fn add(&mut self, retransmitted: Option<Retransmitted>) {
        let Some(Retransmitted { segments: segments @ 1.., cost }) = retransmitted else { return };
        self.connections += 1;
        self.segments += u64::from(segments);
        self.cost += cost.unwrap_or_default();
        self.without_cost += u64::from(cost.is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_handshakes_with_retransmissions_count() {
        let mut all = HandshakeRetransmissions::default();
        let cost = |seconds| Some(Duration::from_secs(seconds));
        for retransmitted in [
            None,
            Some(Retransmitted { segments: 0, cost: None }),
            Some(Retransmitted { segments: 1, cost: cost(1) }),
            Some(Retransmitted { segments: 2, cost: cost(3) }),
            Some(Retransmitted { segments: 1, cost: None }),
        ] {
            all.add(retransmitted);
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
