//! A flow: the packets between two ports. Each packet has a role, and most belong to an exchange.

use crate::capture::dissect::{LayerSizes, Packet, PacketKind, ProtocolPacket};
use crate::capture::dissector::{Classification, Dissector, FlowState, ObservedPacket};
use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::role::{Detail, PacketRole};
use crate::model::icmp::IcmpError;
use crate::model::protocol::Protocol;
use std::net::SocketAddr;
use std::time::Duration;

/// The maximum number of payload bytes of a packet in the report.
const KEPT_PAYLOAD_BYTES: usize = 4096;

/// One of the two sides of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowSide {
    /// The side that started the flow.
    Client,
    /// The other side.
    Server,
}

/// A packet of a flow, with its role.
#[derive(Debug, Clone)]
pub struct PacketRecord {
    /// The number of the packet. The first packet of the capture has number 1.
    pub number: usize,
    /// The time since 1970-01-01 00:00 UTC.
    pub time: Duration,
    /// The side that sent the packet. A router can also send an ICMP error. Then this is the side opposite to
    /// the receiver of the error.
    pub sender: FlowSide,
    /// The role of the packet in its flow.
    pub role: PacketRole,
    pub(crate) detail: Option<Detail>,
    /// The sizes of the layers on the wire.
    pub sizes: LayerSizes,
    /// The beginning of the captured payload.
    pub payload: Vec<u8>,
    /// Whether the capture contains only a part of the packet.
    pub is_truncated: bool,
    /// The number of the exchange to which the packet belongs. The first exchange of a target has number 1.
    pub exchange: Option<u64>,
    /// The ICMP error, if the role is [`PacketRole::IcmpError`].
    pub icmp: Option<IcmpError>,
}

/// The packets between a port of a client and a port of a server.
#[derive(Debug)]
pub struct Flow {
    dissector: &'static dyn Dissector,
    /// The address of the client.
    pub client: SocketAddr,
    /// The address of the server.
    pub server: SocketAddr,
    /// The packets in the order of the capture.
    pub packets: Vec<PacketRecord>,
    pub(crate) exchanges: Exchanges,
    state: Box<dyn FlowState>,
    /// The latest packet with a payload. A fragment without ports has the same sender and exchange.
    last_payload: LastPayload,
}

#[derive(Debug, Clone, Copy)]
struct LastPayload {
    sender: FlowSide,
    exchange: Option<u64>,
}

impl Flow {
    /// Creates the flow of a packet. `sender` is the side that sent the packet.
    pub(super) fn new(
        first: &ProtocolPacket,
        sender: FlowSide,
        lengths: Option<MessageLengths>,
    ) -> Self {
        let ProtocolPacket { dissector, source, destination, .. } = *first;
        let (client, server) = match sender {
            FlowSide::Client => (source, destination),
            FlowSide::Server => (destination, source),
        };
        Self {
            dissector,
            client,
            server,
            packets: Vec::new(),
            exchanges: Exchanges::default(),
            state: dissector.new_flow(lengths),
            last_payload: LastPayload { sender: FlowSide::Client, exchange: None },
        }
    }

    pub(crate) fn protocol(&self) -> &'static Protocol {
        self.dissector.protocol()
    }

    /// The side that closed the connection first. `None` if no side closed it, or if the flow is not a connection.
    #[must_use]
    pub fn closed_by(&self) -> Option<FlowSide> {
        self.state.closed_by()
    }

    /// Whether the flow is a connection that was refused, so that it was never open.
    pub(crate) fn is_refused(&self) -> bool {
        self.state.is_refused()
    }

    /// Whether the flow is a connection that the server did not accept.
    pub(crate) fn is_failed_connection(&self) -> bool {
        self.protocol().has_connections() && !self.state.was_accepted()
    }

    /// Whether the packet starts another connection between the same ports.
    pub(super) fn is_start_of_next_connection(&self, packet: &PacketKind) -> bool {
        match packet {
            PacketKind::Protocol(packet) => {
                let sender = self.side_of(packet);
                self.state.is_start_of_next_connection(&packet.header, sender)
            }
            PacketKind::IcmpError { .. } | PacketKind::Fragment { .. } => false,
        }
    }

    /// Adds a packet to the flow. `number` is its number in the capture.
    pub(super) fn add(&mut self, number: usize, packet: &Packet) {
        let sender = self.sender_of(packet);
        let classification = self.classify(packet, sender);
        let Classification { role, detail, exchange } = classification;
        if packet.sizes.payload > 0 && role != PacketRole::IcmpError {
            self.last_payload = LastPayload { sender, exchange };
        }
        let icmp = match packet.kind {
            PacketKind::IcmpError { error, .. } => Some(error),
            PacketKind::Protocol(_) | PacketKind::Fragment { .. } => None,
        };
        self.packets.push(PacketRecord {
            number,
            time: packet.time,
            sender,
            role,
            detail,
            sizes: packet.sizes,
            payload: packet.payload[..packet.payload.len().min(KEPT_PAYLOAD_BYTES)].to_vec(),
            is_truncated: packet.is_truncated,
            exchange,
            icmp,
        });
    }

    fn sender_of(&self, packet: &Packet) -> FlowSide {
        match &packet.kind {
            PacketKind::Protocol(packet) => self.side_of(packet),
            // An ICMP error arrives at the sender of the quoted packet.
            PacketKind::IcmpError { quoted, .. } => self.side_of(quoted).opposite(),
            PacketKind::Fragment { .. } => self.last_payload.sender,
        }
    }

    /// The side that sent the packet.
    fn side_of(&self, packet: &ProtocolPacket) -> FlowSide {
        // Both sides can have the same address and the same port or identifier.
        if self.client == self.server {
            return self.dissector.sender_of(&packet.header).unwrap_or(FlowSide::Client);
        }
        if packet.source == self.client { FlowSide::Client } else { FlowSide::Server }
    }

    fn classify(&mut self, packet: &Packet, sender: FlowSide) -> Classification {
        match &packet.kind {
            PacketKind::Protocol(ProtocolPacket { header, .. }) => {
                let observed = ObservedPacket {
                    sender,
                    time: packet.time,
                    header,
                    payload: &packet.payload,
                    payload_bytes: packet.sizes.payload as u64,
                };
                self.state.add(&observed, &mut self.exchanges)
            }
            PacketKind::IcmpError { quoted, .. } => {
                let exchange = self.state.exchange_of_quote(&quoted.header, &self.exchanges);
                Classification::new(PacketRole::IcmpError, exchange)
            }
            PacketKind::Fragment { .. } => {
                let exchange = self.last_payload.exchange;
                if let (FlowSide::Server, Some(number)) = (sender, exchange) {
                    self.exchanges.record_reply(number, packet.time);
                }
                Classification::new(PacketRole::Fragment, exchange)
            }
        }
    }
}

impl FlowSide {
    /// The other side.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
