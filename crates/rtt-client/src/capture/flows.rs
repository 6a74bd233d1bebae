//! The table of flows: assigns each packet of a capture to its flow.

#[cfg(test)]
mod tests;

use crate::capture::dissect::{Endpoints, Packet, PacketKind};
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::flow::Flow;
use crate::capture::role::PacketRole;
use crate::model::headers::{TCP, UDP};
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

impl FlowTable {
    /// Assigns packets to flows, in the order of the capture. `None` is a packet that cannot be dissected.
    ///
    /// The number of the first packet is `first_number`. If `lengths` are given, they determine the
    /// exchanges of TCP connections.
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

    /// Removes the flows of other programs, and keeps the flows from the addresses `clients`. The local address of a
    /// failed connection is not known. Therefore the function also keeps all connections that the server did not
    /// accept.
    pub(crate) fn retain_clients(&mut self, clients: &[SocketAddr]) {
        // A flow has no IPv6 flow label and no scope, so the comparison ignores these values.
        let ip_and_port = |address: SocketAddr| (address.ip(), address.port());
        self.flows.retain(|flow| {
            let was_accepted = flow.packets.iter().any(|packet| packet.role == PacketRole::SynAck);
            let is_own = clients.iter().any(|own| ip_and_port(*own) == ip_and_port(flow.client));
            is_own || (flow.ip_protocol == TCP && !was_accepted)
        });
    }

    /// The flow of a packet. Adds a new flow if necessary. Returns `None` if the table is full, or if a fragment
    /// has no flow.
    fn flow_of(&mut self, packet: &Packet) -> Option<&mut Flow> {
        let endpoints = match packet.kind {
            PacketKind::Udp => Endpoints::of(packet, UDP),
            PacketKind::Tcp(_) => Endpoints::of(packet, TCP),
            PacketKind::Icmp { quoted, .. } => quoted,
            PacketKind::Fragment { ip_protocol } => return self.fragment_flow(packet, ip_protocol),
        };
        // A later connection can use the same ports, so the search starts at the newest flow.
        let known = self.flows.iter().rposition(|flow| flow.matches(&endpoints));
        match known {
            Some(index) if !self.flows[index].is_followed_by(packet) => self.flows.get_mut(index),
            _ if self.flows.len() >= MAX_FLOWS => None,
            _ => {
                self.flows.push(Flow::new(endpoints, packet, self.lengths));
                self.flows.last_mut()
            }
        }
    }

    /// The flow of a fragment without ports: the newest flow of the protocol between the two hosts.
    fn fragment_flow(&mut self, packet: &Packet, ip_protocol: u8) -> Option<&mut Flow> {
        let mut newest_first = self.flows.iter_mut().rev();
        newest_first.find(|flow| flow.ip_protocol == ip_protocol && flow.connects_hosts_of(packet))
    }
}
