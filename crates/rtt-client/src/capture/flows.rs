//! The table of flows: assigns each packet of a capture to its flow.
//!
//! Maps find the flow of a packet, so the time for a packet does not depend on the number of flows.

#[cfg(test)]
mod tests;

use crate::capture::direction::first_sender;
use crate::capture::dissect::{Packet, PacketKind, ProtocolPacket};
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::flow::{Flow, FlowSide};
use crate::model::protocol::Protocol;
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

/// The maximum number of flows of a file. In a trace of the program's own exchanges, this limit applies to the own
/// flows and to the other flows separately. Packets of further flows are skipped. More diagrams are not readable.
pub(crate) const MAX_FLOWS: usize = 1000;

/// The flows of a capture.
#[derive(Debug, Default)]
pub(crate) struct FlowTable {
    pub(crate) flows: Vec<Flow>,
    /// The number of packets that belong to no flow of the table.
    pub(crate) skipped: usize,
    /// The number of skipped packets of flows that the limit [`MAX_FLOWS`] refused.
    pub(crate) beyond_limit: usize,
}

/// Finds the flow of a packet. The values are indices in [`FlowTable::flows`], or `None` if [`MAX_FLOWS`] refused the flow.
#[derive(Debug, Default)]
struct FlowIndex {
    /// The newest flow between two endpoints. A later connection can use the same ports.
    by_endpoints: HashMap<Endpoints, Option<usize>>,
    /// The newest flow between two hosts.
    by_hosts: HashMap<Hosts, Option<usize>>,
    /// The number of flows that do not belong to [`MeasuredFlows::clients`].
    others: usize,
}

/// Selects the flows of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasuredFlows<'a> {
    pub(crate) protocol: &'static Protocol,
    pub(crate) server: SocketAddr,
    /// The local addresses of the measurement.
    pub(crate) clients: &'a [SocketAddr],
    /// The lengths of all requests and replies. They determine the exchanges of connections. Absent if they are not known.
    pub(crate) lengths: Option<MessageLengths>,
}

/// The protocol and the two endpoints of a flow, in ascending order. The direction does not matter.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Endpoints {
    protocol: &'static str,
    endpoints: [SocketAddr; 2],
}

/// The IP protocol number and the two hosts of a flow, in ascending order.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hosts {
    ip_protocol: u8,
    hosts: [IpAddr; 2],
}

/// An address without the IPv6 flow label and the scope, because packets do not contain these values.
type IpAndPort = (IpAddr, u16);

/// The properties of a flow whose first packet is allowed to start it.
struct NewFlow {
    sender: FlowSide,
    is_own: bool,
    lengths: Option<MessageLengths>,
}

impl FlowTable {
    /// Assigns the packets of a file to flows, in the order of the capture. `None` is a packet that cannot be dissected.
    /// The first packet has the number 1.
    pub(crate) fn of_file(packets: impl IntoIterator<Item = impl Borrow<Option<Packet>>>) -> Self {
        let describe = |packet: &ProtocolPacket, _: &PacketKind| {
            Some(NewFlow { sender: first_sender(packet), is_own: true, lengths: None })
        };
        Self::of_packets(packets, 1, &describe)
    }

    /// Assigns the packets of a measurement to flows. The number of the first packet is `first_number`.
    ///
    /// Packets of other programs and forged packets start no flow. The local address of a failed connection is not known.
    /// Therefore the table also contains all connections that the server did not accept. Such a flow must begin with a
    /// packet to the server whose header shows that its sender is a client.
    pub(crate) fn of_measurement(
        packets: impl IntoIterator<Item = impl Borrow<Option<Packet>>>,
        first_number: usize,
        measured: MeasuredFlows<'_>,
    ) -> Self {
        let clients: HashSet<IpAndPort> = measured.clients.iter().map(ip_and_port).collect();
        let describe = |packet: &ProtocolPacket, kind: &PacketKind| {
            let sender = measured.sender_of(packet)?;
            let client = match sender {
                FlowSide::Client => packet.source,
                FlowSide::Server => packet.destination,
            };
            let is_own = clients.contains(&ip_and_port(&client));
            let is_request = packet.dissector.sender_of(&packet.header) == Some(FlowSide::Client)
                && matches!(kind, PacketKind::Protocol(_));
            let can_be_failed =
                measured.protocol.has_connections() && sender == FlowSide::Client && is_request;
            let lengths = measured.lengths;
            (is_own || can_be_failed).then_some(NewFlow { sender, is_own, lengths })
        };
        let mut table = Self::of_packets(packets, first_number, &describe);
        table.flows.retain(|flow| {
            clients.contains(&ip_and_port(&flow.client)) || flow.is_failed_connection()
        });
        table
    }

    fn of_packets(
        packets: impl IntoIterator<Item = impl Borrow<Option<Packet>>>,
        first_number: usize,
        describe: &dyn Fn(&ProtocolPacket, &PacketKind) -> Option<NewFlow>,
    ) -> Self {
        let (mut table, mut index) = (Self::default(), FlowIndex::default());
        for (number, packet) in (first_number..).zip(packets) {
            let packet: Option<&Packet> = packet.borrow().as_ref();
            let flow = packet
                .and_then(|packet| Some((table.flow_of(packet, &mut index, describe)?, packet)));
            match flow {
                Some((flow, packet)) => flow.add(number, packet),
                None => table.skipped += 1,
            }
        }
        table
    }

    /// The flow of a packet. Adds a new flow if necessary. Returns `None` if the table is full, if `describe` returns
    /// `None` for the first packet of a flow, or if a fragment has no flow.
    fn flow_of(
        &mut self,
        packet: &Packet,
        index: &mut FlowIndex,
        describe: &dyn Fn(&ProtocolPacket, &PacketKind) -> Option<NewFlow>,
    ) -> Option<&mut Flow> {
        let kind = &packet.kind;
        let in_flow = match kind {
            PacketKind::Protocol(packet) | PacketKind::IcmpError { quoted: packet, .. } => packet,
            PacketKind::Fragment { ip_protocol } => {
                let hosts = Hosts::new(*ip_protocol, packet.source, packet.destination);
                return self.known_flow(*index.by_hosts.get(&hosts)?);
            }
        };
        let endpoints = Endpoints::of(in_flow);
        let newest = index.by_endpoints.get(&endpoints).copied();
        let is_known = |newest: &Option<usize>| {
            newest.is_none_or(|newest| !self.flows[newest].is_start_of_next_connection(kind))
        };
        if let Some(known) = newest.filter(is_known) {
            return self.known_flow(known);
        }
        let NewFlow { sender, is_own, lengths } = describe(in_flow, kind)?;
        let same_kind = if is_own { self.flows.len() - index.others } else { index.others };
        let new = (same_kind < MAX_FLOWS).then_some(self.flows.len());
        if let Some(hosts) = Hosts::of(in_flow) {
            index.by_hosts.insert(hosts, new);
        }
        index.by_endpoints.insert(endpoints, new);
        if new.is_some() {
            index.others += usize::from(!is_own);
            self.flows.push(Flow::new(in_flow, sender, lengths));
        }
        self.known_flow(new)
    }

    /// The flow with this index. If the limit refused the flow, counts the packet and returns `None`.
    fn known_flow(&mut self, index: Option<usize>) -> Option<&mut Flow> {
        self.beyond_limit += usize::from(index.is_none());
        self.flows.get_mut(index?)
    }
}

impl MeasuredFlows<'_> {
    /// The side that sent a packet. `None` if the packet is not to or from the server, or if it has another protocol.
    fn sender_of(&self, packet: &ProtocolPacket) -> Option<FlowSide> {
        if packet.dissector.protocol() != self.protocol {
            return None;
        }
        // Without ports, the packets of the server contain port 0.
        let port = if self.protocol.has_ports() { self.server.port() } else { 0 };
        let is_server = |address| ip_and_port(&address) == (self.server.ip(), port);
        match (is_server(packet.source), is_server(packet.destination)) {
            (false, true) => Some(FlowSide::Client),
            (true, false) => Some(FlowSide::Server),
            // Both sides can have the same address and the same identifier.
            (true, true) => packet.dissector.sender_of(&packet.header),
            (false, false) => None,
        }
    }
}

impl Endpoints {
    fn of(packet: &ProtocolPacket) -> Self {
        let mut endpoints = [packet.source, packet.destination];
        endpoints.sort_unstable();
        Self { protocol: packet.dissector.protocol().name, endpoints }
    }
}

impl Hosts {
    fn new(ip_protocol: u8, source: IpAddr, destination: IpAddr) -> Self {
        let mut hosts = [source, destination];
        hosts.sort_unstable();
        Self { ip_protocol, hosts }
    }

    fn of(packet: &ProtocolPacket) -> Option<Self> {
        let (source, destination) = (packet.source.ip(), packet.destination.ip());
        let numbers = packet.dissector.protocol().ip_numbers?;
        Some(Self::new(numbers.for_ip(source), source, destination))
    }
}

fn ip_and_port(address: &SocketAddr) -> IpAndPort {
    (address.ip(), address.port())
}
