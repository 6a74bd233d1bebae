//! The totals of the flows, for the table that compares the protocols.

use crate::capture::flow::{Flow, FlowSide};
use crate::capture::role::PacketRole;

/// The totals of the flows with one target, or of one protocol in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) packets: usize,
    /// All bytes on the wire, with all headers.
    pub(crate) wire_bytes: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) exchanges: usize,
    /// The number of round trips in the first flow up to its first reply. A handshake counts as one round
    /// trip. `None` if the first flow has no reply.
    pub(crate) round_trips: Option<usize>,
    /// `None` if the flows are not connections.
    pub(crate) closed_by: Option<ClosedBy>,
}

/// The number of connections that each side closed first, and of those that were refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ClosedBy {
    /// All connections. This number also includes connections that no side closed during the capture.
    pub(crate) connections: usize,
    pub(crate) client: usize,
    pub(crate) server: usize,
    /// Connections that were never open, because the server's host refused them.
    pub(crate) refused: usize,
}

impl Totals {
    pub(crate) fn of(flows: &[Flow]) -> Self {
        let packets = || flows.iter().flat_map(|flow| &flow.packets);
        // The payload of an ICMP error is a part of the packet that caused the error.
        let with_payload = packets().filter(|packet| packet.role != PacketRole::IcmpError);
        Self {
            packets: packets().count(),
            wire_bytes: packets().map(|packet| packet.sizes.total() as u64).sum(),
            payload_bytes: with_payload.map(|packet| packet.sizes.payload as u64).sum(),
            exchanges: flows.iter().map(|flow| flow.exchanges.len()).sum(),
            round_trips: flows.first().and_then(round_trips_until_reply),
            closed_by: ClosedBy::of(flows),
        }
    }

    /// The share of the bytes on the wire that belongs to headers, from 0 to 1.
    pub(crate) fn overhead(&self) -> Option<f64> {
        let headers = self.wire_bytes.checked_sub(self.payload_bytes)?;
        #[expect(clippy::cast_precision_loss, reason = "the bytes of a capture are below 2^52")]
        let share = headers as f64 / self.wire_bytes as f64;
        (self.wire_bytes > 0).then_some(share)
    }
}

impl ClosedBy {
    fn of(flows: &[Flow]) -> Option<Self> {
        let is_connection = |flow: &&Flow| flow.protocol().has_connections();
        let is_closed_by = |flow: &Flow, side| flow.closed_by() == Some(side) && !flow.is_refused();
        let closed_by = |side| flows.iter().filter(|flow| is_closed_by(flow, side)).count();
        let connections = flows.iter().filter(is_connection).count();
        (connections > 0).then(|| Self {
            connections,
            client: closed_by(FlowSide::Client),
            server: closed_by(FlowSide::Server),
            refused: flows.iter().filter(|flow| flow.is_refused()).count(),
        })
    }
}

/// Counts how often a packet from the server follows a packet from the client, up to the first reply.
fn round_trips_until_reply(flow: &Flow) -> Option<usize> {
    let reply = flow.packets.iter().position(|packet| packet.role == PacketRole::Reply)?;
    let mut round_trips = 0;
    let mut previous = FlowSide::Client;
    for packet in &flow.packets[..=reply] {
        round_trips +=
            usize::from(previous == FlowSide::Client && packet.sender == FlowSide::Server);
        previous = packet.sender;
    }
    Some(round_trips)
}
