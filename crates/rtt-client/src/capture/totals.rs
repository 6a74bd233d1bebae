//! What flows of a protocol come to, to be told side by side.

use super::flow::{Flow, Role, Side};
use crate::model::protocol::Framing;

/// How many connections each side closed first, with a FIN or a RST.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClosedBy {
    /// All connections, including those that neither side closed in the capture.
    pub(crate) connections: usize,
    pub(crate) client: usize,
    pub(crate) server: usize,
}

impl ClosedBy {
    fn of(flows: &[&Flow]) -> Option<Self> {
        let has_connections = |flow: &&&Flow| {
            flow.protocol.is_some_and(|protocol| protocol.framing == Framing::Stream)
        };
        let count = |side| flows.iter().filter(|flow| flow.closed_by == Some(side)).count();
        let connections = flows.iter().filter(has_connections).count();
        (connections > 0).then(|| Self {
            connections,
            client: count(Side::Client),
            server: count(Side::Server),
        })
    }
}

/// What one or several flows come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) packets: usize,
    pub(crate) wire_bytes: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) exchanges: usize,
    /// How many times something had to come back before the first useful byte had.
    pub(crate) round_trips: Option<usize>,
    /// Which side closed the connections; `None` for a protocol without connections.
    pub(crate) closed_by: Option<ClosedBy>,
}

impl Totals {
    /// What `flows` come to; how they begin and end is the first one's.
    pub(crate) fn of(flows: &[&Flow]) -> Self {
        let lines = || flows.iter().flat_map(|flow| &flow.packets);
        let first = flows.first();
        Self {
            packets: lines().count(),
            wire_bytes: lines().map(|line| line.sizes.total()).sum(),
            payload_bytes: lines()
                .filter(|line| line.role != Role::IcmpError)
                .map(|line| line.sizes.payload)
                .sum(),
            exchanges: flows.iter().map(|flow| flow.exchanges.len()).sum(),
            round_trips: first.and_then(|flow| round_trips(flow)),
            closed_by: ClosedBy::of(flows),
        }
    }

    /// The share of the wire's bytes that are no payload.
    pub(crate) fn overhead(&self) -> Option<f64> {
        let headers = self.wire_bytes.checked_sub(self.payload_bytes)?;
        #[expect(clippy::cast_precision_loss, reason = "bytes of a capture")]
        let share = headers as f64 / self.wire_bytes as f64;
        (self.wire_bytes > 0).then_some(share)
    }
}

/// How many times the direction turned to the client before the first reply had come, that one included.
fn round_trips(flow: &Flow) -> Option<usize> {
    let reply = flow.packets.iter().position(|line| line.role == Role::Reply)?;
    let directions = flow.packets[..=reply].iter().map(|line| line.sender == Side::Client);
    let mut turns = 0;
    let mut before = true;
    for to_server in directions {
        turns += usize::from(before && !to_server);
        before = to_server;
    }
    Some(turns)
}
