//! Builds the packets of a flow, for tests.

use super::dissect::{LayerSizes, Packet, PacketKind, ProtocolPacket};
use super::dissector::Dissector;
use super::exchanges::stream::MessageLengths;
use super::flow::Flow;
use super::flow::FlowSide::{self, Client, Server};
use super::flows::{FlowTable, MeasuredFlows};
use super::totals::Totals;
use crate::protocol::dissectors::DISSECTORS;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const CLIENT: &str = "10.0.0.1:5555";
pub(crate) const SERVER: &str = "10.0.0.2:12000";

/// The packets of one flow. The interval between two packets is 10 µs plus the pauses.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) packets: Vec<Option<Packet>>,
    now: Duration,
}

impl Script {
    pub(crate) fn pause(mut self, microseconds: u64) -> Self {
        self.now += Duration::from_micros(microseconds);
        self
    }

    /// Adds a UDP datagram.
    pub(crate) fn datagram(self, sender: FlowSide, payload: &[u8]) -> Self {
        let packet = packet_from(sender, "udp", &[0; 8]);
        self.packet(sender, PacketKind::Protocol(packet), payload)
    }

    pub(crate) fn packet(mut self, sender: FlowSide, kind: PacketKind, payload: &[u8]) -> Self {
        self.now += Duration::from_micros(10);
        let [source, destination] = endpoints_from(sender).map(|address| address.ip());
        let transport = match &kind {
            PacketKind::Protocol(packet) => packet.header.len(),
            PacketKind::IcmpError { .. } => 8,
            PacketKind::Fragment { .. } => 0,
        };
        self.packets.push(Some(Packet {
            time: self.now,
            sizes: LayerSizes { link: 14, ip: 20, transport, payload: payload.len() },
            source,
            destination,
            kind,
            payload: payload.to_vec(),
            is_truncated: false,
        }));
        self
    }

    pub(crate) fn table(&self) -> FlowTable {
        FlowTable::of_file(&self.packets)
    }

    /// The flows of a measurement with [`CLIENT`] and [`SERVER`]. Its protocol is the one of the first packet.
    pub(crate) fn measured_table(&self, lengths: MessageLengths) -> FlowTable {
        let first = self.packets.iter().flatten().find_map(|packet| match &packet.kind {
            PacketKind::Protocol(packet) => Some(packet.dissector.protocol()),
            PacketKind::IcmpError { .. } | PacketKind::Fragment { .. } => None,
        });
        let measured = MeasuredFlows {
            protocol: first.unwrap(),
            server: SERVER.parse().unwrap(),
            clients: &[CLIENT.parse().unwrap()],
            lengths: Some(lengths),
        };
        FlowTable::of_measurement(&self.packets, 1, measured)
    }

    /// The flow of the packets. The test fails if there is more than one flow.
    pub(crate) fn flow(&self) -> Flow {
        self.flow_with_lengths(None)
    }

    pub(crate) fn flow_with_lengths(&self, lengths: Option<MessageLengths>) -> Flow {
        let mut flows = match lengths {
            Some(lengths) => self.measured_table(lengths).flows,
            None => self.table().flows,
        };
        assert_eq!(flows.len(), 1);
        flows.remove(0)
    }

    pub(crate) fn roles(&self) -> Vec<&'static str> {
        self.flow().packets.iter().map(|packet| packet.role.name()).collect()
    }
}

/// The dissector of the protocol with this name.
pub(crate) fn dissector_of(protocol: &str) -> &'static dyn Dissector {
    let mut dissectors = DISSECTORS.iter().flatten();
    *dissectors.find(|dissector| dissector.protocol().name == protocol).unwrap()
}

/// A packet with this header from one side of the flow to the other side.
pub(crate) fn packet_from(sender: FlowSide, protocol: &str, header: &[u8]) -> ProtocolPacket {
    let [source, destination] = endpoints_from(sender);
    let dissector = dissector_of(protocol);
    ProtocolPacket { dissector, source, destination, header: header.to_vec() }
}

fn endpoints_from(sender: FlowSide) -> [SocketAddr; 2] {
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    match sender {
        Client => [client, server],
        Server => [server, client],
    }
}

/// The RTT of each exchange, in microseconds.
pub(crate) fn rtts(flow: &Flow) -> Vec<Option<u128>> {
    flow.exchanges.iter().map(|exchange| Some(exchange.rtt()?.as_micros())).collect()
}

pub(crate) fn totals(flow: Flow) -> Totals {
    Totals::of(&[flow])
}
