//! The table of flows: assigns each packet of a capture to its flow.

#[cfg(test)]
mod tests;

use crate::capture::dissect::{Packet, PacketKind};
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::flow::Flow;
use crate::model::protocol::Protocol;
use std::net::SocketAddr;

/// The maximum number of flows. Packets of further flows are skipped.
const MAX_FLOWS: usize = 1000;

/// The flows of a capture.
#[derive(Debug)]
pub(crate) struct FlowTable {
    pub(crate) flows: Vec<Flow>,
    /// The number of packets that belong to no flow of the table.
    pub(crate) skipped: usize,
    lengths: Option<MessageLengths>,
}

/// Selects the flows of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasuredFlows<'a> {
    pub(crate) protocol: &'static Protocol,
    pub(crate) server: SocketAddr,
    /// The local addresses of the measurement.
    pub(crate) clients: &'a [SocketAddr],
}

impl FlowTable {
    /// Assigns packets to flows, in the order of the capture. `None` is a packet that cannot be dissected.
    ///
    /// The number of the first packet is `first_number`. If `lengths` are given, they determine the
    /// exchanges of connections.
    pub(crate) fn from_packets(
        packets: &[Option<Packet>],
        first_number: usize,
        lengths: Option<MessageLengths>,
    ) -> Self {
        let mut table = Self { flows: Vec::new(), skipped: 0, lengths };
        for (index, packet) in packets.iter().enumerate() {
            let flow = packet.as_ref().and_then(|packet| Some((table.flow_of(packet)?, packet)));
            match flow {
                Some((flow, packet)) => flow.add(first_number + index, packet),
                None => table.skipped += 1,
            }
        }
        table
    }

    /// Removes the flows of other programs, and keeps the flows of a measurement. The local address of a failed
    /// connection is not known. Therefore the function also keeps all connections that this server did not accept.
    pub(crate) fn retain_measured(&mut self, measured: MeasuredFlows<'_>) {
        let MeasuredFlows { protocol, server, clients } = measured;
        // A flow has no IPv6 flow label and no scope, so the comparison ignores these values.
        let ip_and_port = |address: SocketAddr| (address.ip(), address.port());
        self.flows.retain(|flow| {
            let has_same_port = !protocol.has_ports() || flow.server.port() == server.port();
            let is_to_server = flow.server.ip() == server.ip() && has_same_port;
            let is_own = clients.iter().any(|own| ip_and_port(*own) == ip_and_port(flow.client));
            flow.protocol() == protocol && is_to_server && (is_own || flow.is_failed_connection())
        });
    }

    /// The flow of a packet. Adds a new flow if necessary. Returns `None` if the table is full, or if a fragment
    /// has no flow.
    fn flow_of(&mut self, packet: &Packet) -> Option<&mut Flow> {
        let kind = &packet.kind;
        let in_flow = match kind {
            PacketKind::Protocol(packet) | PacketKind::IcmpError { quoted: packet, .. } => packet,
            PacketKind::Fragment { ip_protocol } => {
                return self.fragment_flow(packet, *ip_protocol);
            }
        };
        // A later connection can use the same ports, so the search starts at the newest flow.
        let known = self.flows.iter().rposition(|flow| flow.matches(in_flow));
        match known {
            Some(index) if !self.flows[index].is_start_of_next_connection(kind) => {
                self.flows.get_mut(index)
            }
            _ if self.flows.len() >= MAX_FLOWS => None,
            _ => {
                self.flows.push(Flow::new(in_flow, self.lengths));
                self.flows.last_mut()
            }
        }
    }

    /// The flow of a fragment without ports: the newest flow of the protocol between the two hosts.
    fn fragment_flow(&mut self, packet: &Packet, ip_protocol: u8) -> Option<&mut Flow> {
        let mut newest_first = self.flows.iter_mut().rev();
        newest_first.find(|flow| flow.has_hosts_of(packet, ip_protocol))
    }
}
