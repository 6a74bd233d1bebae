//! A flow: the packets between two ports, each with its role and its exchange.

mod connection;

use crate::capture::dissect::{Endpoints, LayerSizes, Packet, PacketKind, TcpHeader};
use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::datagrams::DatagramPairing;
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::role::{Detail, Role};
use crate::model::icmp::IcmpError;
use crate::model::protocol::Protocol;
use crate::protocol::registry::PROTOCOLS;
use connection::{Connection, ObservedSegment};
use std::net::SocketAddr;
use std::time::Duration;

/// The number of payload bytes of each packet that are kept for the report.
const KEPT_PAYLOAD_BYTES: usize = 4096;

/// One of the two ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A packet of a flow, with its role.
#[derive(Debug, Clone)]
pub(crate) struct PacketRecord {
    /// The number in the capture, from 1.
    pub(crate) number: usize,
    /// The time since 1970-01-01 00:00 UTC.
    pub(crate) time: Duration,
    /// The side that the packet comes from. An ICMP error comes from the direction of this side.
    pub(crate) sender: Side,
    pub(crate) role: Role,
    pub(crate) detail: Option<Detail>,
    pub(crate) sizes: LayerSizes,
    /// The beginning of the payload.
    pub(crate) payload: Vec<u8>,
    /// Whether the capture contains only a part of the packet.
    pub(crate) is_truncated: bool,
    /// The number of the exchange in its flow, from 1. `None` if the packet belongs to no exchange.
    pub(crate) exchange: Option<u64>,
    pub(crate) icmp: Option<IcmpError>,
}

/// The role of a packet and the exchange that it belongs to.
#[derive(Debug, Clone, Copy)]
struct Classification {
    role: Role,
    detail: Option<Detail>,
    exchange: Option<u64>,
}

impl Classification {
    fn new(role: Role, exchange: Option<u64>) -> Self {
        Self { role, detail: None, exchange }
    }

    fn with_detail(self, detail: Detail) -> Self {
        Self { detail: Some(detail), ..self }
    }
}

/// The packets between a port of a client and a port of a server.
#[derive(Debug)]
pub(crate) struct Flow {
    /// `None` if the registry does not contain the protocol.
    pub(crate) protocol: Option<&'static Protocol>,
    /// The protocol number in the IP header.
    pub(crate) ip_protocol: u8,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) packets: Vec<PacketRecord>,
    pub(crate) exchanges: Exchanges,
    datagrams: DatagramPairing,
    connection: Connection,
    /// The latest packet with a payload. Later fragments have no ports, so they follow this packet.
    last_payload: LastPayload,
}

#[derive(Debug, Clone, Copy)]
struct LastPayload {
    sender: Side,
    exchange: Option<u64>,
}

impl Flow {
    /// A flow that starts with `packet`. The sender of a SYN, ACK is the server. Otherwise the sender of the first packet
    /// is the client.
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
            protocol: PROTOCOLS.iter().find(|protocol| protocol.ip_number == ip_protocol),
            ip_protocol,
            client,
            server,
            packets: Vec::new(),
            exchanges: Exchanges::default(),
            datagrams: DatagramPairing::default(),
            connection: Connection::new(lengths),
            last_payload: LastPayload { sender: Side::Client, exchange: None },
        }
    }

    /// The side that closed the connection: the one whose FIN or RST came first.
    pub(crate) fn closed_by(&self) -> Option<Side> {
        self.connection.closed_by()
    }

    /// Whether a packet with these endpoints belongs to the flow, in either direction.
    pub(super) fn matches(&self, endpoints: &Endpoints) -> bool {
        let Endpoints { ip_protocol, source, destination } = *endpoints;
        self.ip_protocol == ip_protocol
            && ([self.client, self.server] == [source, destination]
                || [self.server, self.client] == [source, destination])
    }

    /// Whether the flow connects the hosts of `packet`, in either direction.
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

    /// Adds a packet of the flow. `number` is its number in the capture.
    pub(super) fn add(&mut self, number: usize, packet: &Packet) {
        let sender = self.sender_of(packet);
        let classification = self.classify(packet, sender);
        let Classification { role, detail, exchange } = classification;
        if packet.sizes.payload > 0 && role != Role::IcmpError {
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

    fn sender_of(&self, packet: &Packet) -> Side {
        let is_from_client = match packet.kind {
            // An ICMP error goes back to the sender of the quoted packet.
            PacketKind::Icmp { quoted, .. } => quoted.source == self.server,
            PacketKind::Fragment { .. } => return self.last_payload.sender,
            PacketKind::Udp | PacketKind::Tcp(_) => packet.source == self.client,
        };
        if is_from_client { Side::Client } else { Side::Server }
    }

    fn classify(&mut self, packet: &Packet, sender: Side) -> Classification {
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
                Classification::new(Role::IcmpError, self.exchanges.latest())
            }
            PacketKind::Fragment { .. } => {
                let exchange = self.last_payload.exchange;
                if let (Side::Server, Some(number)) = (sender, exchange) {
                    self.exchanges.record_reply(number, packet.time);
                }
                Classification::new(Role::Fragment, exchange)
            }
        }
    }

    fn classify_datagram(&mut self, packet: &Packet, sender: Side) -> Classification {
        let (payload, time) = (&packet.payload, packet.time);
        match sender {
            Side::Client => {
                let number = self.datagrams.add_request(payload, time, &mut self.exchanges);
                Classification::new(Role::Request, Some(number))
            }
            Side::Server => {
                let reply = self.datagrams.add_reply(payload, time, &mut self.exchanges);
                let classification = Classification::new(Role::Reply, reply.exchange);
                if reply.is_duplicate {
                    return classification.with_detail(Detail::DuplicateReply);
                }
                classification
            }
        }
    }
}
