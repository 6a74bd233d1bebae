//! A flow: the packets between two ports. Each packet has a role, and most belong to an exchange.

mod connection;

use crate::capture::dissect::{Endpoints, LayerSizes, Packet, PacketKind, TcpHeader};
use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::datagrams::DatagramPairing;
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::role::{Detail, PacketRole};
use crate::model::icmp::IcmpError;
use crate::model::protocol::Protocol;
use crate::protocol::registry::PROTOCOLS;
use connection::{Connection, ObservedSegment};
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

/// The role of a packet, and its exchange.
#[derive(Debug, Clone, Copy)]
struct Classification {
    role: PacketRole,
    detail: Option<Detail>,
    exchange: Option<u64>,
}

impl Classification {
    fn new(role: PacketRole, exchange: Option<u64>) -> Self {
        Self { role, detail: None, exchange }
    }

    fn with_detail(self, detail: Detail) -> Self {
        Self { detail: Some(detail), ..self }
    }
}

/// The packets between a port of a client and a port of a server.
#[derive(Debug)]
pub struct Flow {
    /// `None` if the registry does not contain the protocol.
    pub(crate) protocol: Option<&'static Protocol>,
    /// The protocol number in the IP header.
    pub(crate) ip_protocol: u8,
    /// The address of the client.
    pub client: SocketAddr,
    /// The address of the server.
    pub server: SocketAddr,
    /// The packets in the order of the capture.
    pub packets: Vec<PacketRecord>,
    pub(crate) exchanges: Exchanges,
    datagrams: DatagramPairing,
    connection: Connection,
    /// The latest packet with a payload. A fragment without ports has the same sender and exchange.
    last_payload: LastPayload,
}

#[derive(Debug, Clone, Copy)]
struct LastPayload {
    sender: FlowSide,
    exchange: Option<u64>,
}

impl Flow {
    /// Creates the flow of `packet`, its first packet. The sender of a SYN, ACK is the server. The sender of
    /// any other first packet is the client.
    pub(super) fn new(
        endpoints: Endpoints,
        packet: &Packet,
        lengths: Option<MessageLengths>,
    ) -> Self {
        let Endpoints { ip_protocol, source, destination } = endpoints;
        let is_syn_ack =
            matches!(packet.kind, PacketKind::Tcp(TcpHeader { syn: true, ack: true, .. }));
        let (client, server) =
            if is_syn_ack { (destination, source) } else { (source, destination) };
        Self {
            protocol: PROTOCOLS.iter().find(|protocol| {
                protocol.ip_numbers.is_some_and(|numbers| numbers.contain(ip_protocol))
            }),
            ip_protocol,
            client,
            server,
            packets: Vec::new(),
            exchanges: Exchanges::default(),
            datagrams: DatagramPairing::default(),
            connection: Connection::new(lengths),
            last_payload: LastPayload { sender: FlowSide::Client, exchange: None },
        }
    }

    /// The side that closed the connection: the sender of the first FIN or RST.
    #[must_use]
    pub fn closed_by(&self) -> Option<FlowSide> {
        self.connection.closed_by()
    }

    /// Whether a packet with these endpoints belongs to the flow. The direction does not matter.
    pub(super) fn matches(&self, endpoints: &Endpoints) -> bool {
        let Endpoints { ip_protocol, source, destination } = *endpoints;
        self.ip_protocol == ip_protocol
            && ([self.client, self.server] == [source, destination]
                || [self.server, self.client] == [source, destination])
    }

    /// Whether source and destination of `packet` are the hosts of the flow. The direction does not matter.
    pub(super) fn connects_hosts_of(&self, packet: &Packet) -> bool {
        let hosts = [packet.source.ip(), packet.destination.ip()];
        [self.client.ip(), self.server.ip()] == hosts
            || [self.server.ip(), self.client.ip()] == hosts
    }

    /// Whether the packet starts another connection between the same ports.
    pub(super) fn is_followed_by(&self, packet: &Packet) -> bool {
        match &packet.kind {
            PacketKind::Tcp(header) => self.connection.is_followed_by(header),
            _ => false,
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
            PacketKind::Icmp { error, .. } => Some(error),
            _ => None,
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
        let is_from_client = match packet.kind {
            // An ICMP error arrives at the sender of the quoted packet.
            PacketKind::Icmp { quoted, .. } => quoted.source == self.server,
            PacketKind::Fragment { .. } => return self.last_payload.sender,
            PacketKind::Udp | PacketKind::Tcp(_) => packet.source == self.client,
        };
        if is_from_client { FlowSide::Client } else { FlowSide::Server }
    }

    fn classify(&mut self, packet: &Packet, sender: FlowSide) -> Classification {
        match packet.kind {
            PacketKind::Udp => self.classify_datagram(packet, sender),
            PacketKind::Tcp(header) => {
                let segment = ObservedSegment {
                    header,
                    sender,
                    payload_bytes: packet.sizes.payload as u64,
                    time: packet.time,
                };
                self.connection.add(segment, &mut self.exchanges)
            }
            PacketKind::Icmp { .. } => {
                Classification::new(PacketRole::IcmpError, self.exchanges.latest())
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

    fn classify_datagram(&mut self, packet: &Packet, sender: FlowSide) -> Classification {
        let (payload, time) = (&packet.payload, packet.time);
        match sender {
            FlowSide::Client => {
                let number = self.datagrams.add_request(payload, time, &mut self.exchanges);
                Classification::new(PacketRole::Request, Some(number))
            }
            FlowSide::Server => {
                let reply = self.datagrams.add_reply(payload, time, &mut self.exchanges);
                let classification = Classification::new(PacketRole::Reply, reply.exchange);
                if reply.is_duplicate {
                    return classification.with_detail(Detail::DuplicateReply);
                }
                classification
            }
        }
    }
}
