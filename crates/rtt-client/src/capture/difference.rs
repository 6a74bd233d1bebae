//! What flows of a protocol come to, to be told side by side.

use super::flow::{Flow, Role};

/// What one or several flows come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) packets: usize,
    pub(crate) wire_bytes: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) exchanges: usize,
    /// How many times something had to come back before the first useful byte had.
    pub(crate) round_trips: Option<usize>,
    /// Who ended it first: the client (`Some(true)`) or the server.
    pub(crate) closed_by_client: Option<bool>,
}

impl Totals {
    /// What `flows` come to; how they begin and end is the first one's.
    pub(crate) fn of(flows: &[&Flow]) -> Self {
        let lines = || flows.iter().flat_map(|flow| &flow.lines);
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
            closed_by_client: first.and_then(|flow| {
                let ends = |role| matches!(role, Role::Close | Role::Reset);
                let end = |line: &&crate::capture::flow::Line| {
                    ends(line.role) || line.also == Some("and ends its side")
                };
                flow.lines.iter().find(end).map(|line| line.to_server)
            }),
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
    let reply = flow.lines.iter().position(|line| line.role == Role::Reply)?;
    let directions = flow.lines[..=reply].iter().map(|line| line.to_server);
    let mut turns = 0;
    let mut before = true;
    for to_server in directions {
        turns += usize::from(before && !to_server);
        before = to_server;
    }
    Some(turns)
}
