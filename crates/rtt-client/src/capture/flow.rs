//! The packets between two ports, and the role of each.

use super::reassembly::{Piece, Stream};
use crate::capture::dissect::{HeaderSizes, Packet, PacketKind, Segment};
use crate::model::icmp::IcmpError;
use crate::model::protocol::Protocol;
use crate::protocol::registry::PROTOCOLS;
use std::net::SocketAddr;
use std::time::Duration;

/// How much later a missing piece may come and count as out of order; later than that it was sent again. It is
/// what Wireshark takes where it has seen no handshake; a handshake's round trip, if that is longer.
const OUT_OF_ORDER_WITHIN: Duration = Duration::from_millis(3);

/// How many of the latest requests a reply is looked for among.
const MOST_OPEN: usize = 1000;

/// How much of a datagram's payload is compared with a request's, and how much of any payload is kept to be shown,
/// in bytes.
const COMPARED: usize = 2048;
const PAYLOAD_KEPT: usize = 4096;

/// What a packet is for. The names are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Syn,
    SynAck,
    Ack,
    Request,
    Reply,
    Fin,
    Rst,
    Retransmission,
    OutOfOrder,
    IcmpError,
    Fragment,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "syn-ack",
            Self::Ack => "ack",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Retransmission => "retransmission",
            Self::OutOfOrder => "out-of-order",
            Self::IcmpError => "icmp-error",
            Self::Fragment => "fragment",
        }
    }

    /// The name in text for people and in pcapng comments; TCP flags as RFC 9293 writes them.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN, ACK",
            Self::Ack => "ACK",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::Retransmission => "retransmission",
            Self::OutOfOrder => "out of order",
            Self::IcmpError => "ICMP error",
            Self::Fragment => "fragment",
        }
    }
}

/// What a packet does beyond its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A second reply to one request.
    DuplicateReply,
    /// The segment carries data, and the FIN flag is set.
    WithFin,
    /// A retransmission of a SYN or of a SYN, ACK.
    OfHandshake,
}

/// One of the two ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A packet of a flow, explained.
#[derive(Debug, Clone)]
pub(crate) struct PacketRecord {
    /// Its number in the capture, from 1.
    pub(crate) number: usize,
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    pub(crate) sender: Side,
    pub(crate) role: Role,
    pub(crate) sizes: HeaderSizes,
    pub(crate) payload: Vec<u8>,
    pub(crate) is_truncated: bool,
    /// The exchange that it belongs to, from 1, if to one.
    pub(crate) exchange: Option<u64>,
    /// What it does beyond its role.
    pub(crate) detail: Option<Detail>,
    pub(crate) icmp: Option<IcmpError>,
}

/// A request and its reply on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WireExchange {
    pub(crate) request: Option<Duration>,
    pub(crate) reply: Option<Duration>,
}

impl WireExchange {
    /// From the request's first packet to the reply's last.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.reply?.checked_sub(self.request?)
    }
}

/// The packets between a client's and a server's port.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) protocol: Option<&'static Protocol>,
    /// The protocol's number in IP.
    pub(crate) ip_protocol: u8,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) packets: Vec<PacketRecord>,
    pub(crate) exchanges: Vec<WireExchange>,
    /// Payloads of datagrams in upper case, to know replies by.
    expected: Vec<Vec<u8>>,
    there: Stream,
    back: Stream,
    requested_at: Option<Duration>,
    handshake: Option<Duration>,
    last_was_reply: bool,
    /// How many bytes a request and a reply have, where that is known.
    lengths: Option<(u64, u64)>,
    /// Of which exchange the last packet with a payload was, and which way it went: a later fragment's too.
    last: (bool, Option<u64>),
    /// The side whose FIN or RST came first.
    pub(crate) closed_by: Option<Side>,
    has_closed: bool,
    is_over: bool,
}

impl Flow {
    pub(super) fn begun_by(
        number: u8,
        packet: &Packet,
        from: SocketAddr,
        to: SocketAddr,
        lengths: Option<(u64, u64)>,
    ) -> Self {
        // Who accepts is the server; who speaks first is the client.
        let accepts = matches!(packet.what, PacketKind::Tcp(Segment { syn: true, ack: true, .. }));
        let (client, server) = if accepts { (to, from) } else { (from, to) };
        Self {
            protocol: PROTOCOLS.iter().find(|protocol| protocol.ip_number == number),
            ip_protocol: number,
            client,
            server,
            packets: Vec::new(),
            exchanges: Vec::new(),
            expected: Vec::new(),
            there: Stream::default(),
            back: Stream::default(),
            requested_at: None,
            handshake: None,
            last_was_reply: true,
            lengths,
            last: (true, None),
            closed_by: None,
            has_closed: false,
            is_over: false,
        }
    }

    pub(super) fn has(&self, number: u8, from: SocketAddr, to: SocketAddr) -> bool {
        let ends = [self.client, self.server];
        self.ip_protocol == number && (ends == [from, to] || ends == [to, from])
    }

    /// Whether the packet opens another connection between the same ports.
    pub(super) fn is_begun_anew_by(&self, packet: &Packet) -> bool {
        let PacketKind::Tcp(Segment { syn: true, ack: false, sequence, .. }) = packet.what else {
            return false;
        };
        self.is_over || self.there.first.is_some_and(|first| first != sequence.wrapping_add(1))
    }

    pub(super) fn take(&mut self, number: usize, packet: &Packet) {
        let to_server = match packet.what {
            // Told to whoever sent the packet that it is about.
            PacketKind::Icmp { from, .. } => from == self.server,
            PacketKind::Fragment { .. } => self.last.0,
            _ => packet.from == self.client,
        };
        let (role, also, exchange) = match packet.what {
            PacketKind::Udp => self.datagram(packet, to_server),
            PacketKind::Tcp(segment) => self.segment(packet, segment, to_server),
            PacketKind::Icmp { .. } => (Role::IcmpError, None, self.newest()),
            PacketKind::Fragment { .. } => {
                if !to_server {
                    self.answer(self.last.1, packet.time);
                }
                (Role::Fragment, None, self.last.1)
            }
        };
        if packet.sizes.payload > 0 && role != Role::IcmpError {
            self.last = (to_server, exchange);
        }
        let icmp = match packet.what {
            PacketKind::Icmp { icmp, .. } => Some(icmp),
            _ => None,
        };
        self.packets.push(PacketRecord {
            number,
            time: packet.time,
            sender: if to_server { Side::Client } else { Side::Server },
            role,
            sizes: packet.sizes,
            payload: packet.payload[..packet.payload.len().min(PAYLOAD_KEPT)].to_vec(),
            is_truncated: packet.is_truncated,
            exchange,
            detail: also,
            icmp,
        });
    }

    /// The number of the newest exchange.
    fn newest(&self) -> Option<u64> {
        Some(self.exchanges.len() as u64).filter(|newest| *newest > 0)
    }

    /// Something of an exchange's reply has come that was not there before.
    fn answer(&mut self, exchange: Option<u64>, time: Duration) {
        let place = exchange.and_then(|exchange| usize::try_from(exchange.checked_sub(1)?).ok());
        if let Some(exchange) = place.and_then(|place| self.exchanges.get_mut(place)) {
            exchange.reply = Some(time);
        }
    }

    fn datagram(
        &mut self,
        packet: &Packet,
        to_server: bool,
    ) -> (Role, Option<Detail>, Option<u64>) {
        if to_server {
            self.expected.push(upper_case(&packet.payload));
            // The older ones are not looked at any more.
            if let Some(old) = self.expected.len().checked_sub(MOST_OPEN + 1) {
                self.expected[old] = Vec::new();
            }
            self.exchanges.push(WireExchange { request: Some(packet.time), reply: None });
            return (Role::Request, None, self.newest());
        }
        let is_open = |place: usize| self.exchanges[place].reply.is_none();
        let latest = || (0..self.expected.len()).rev().take(MOST_OPEN);
        let is_its = |place: &usize| is_reply_to(&self.expected[*place], &packet.payload);
        let open = latest().filter(is_its).find(|place| is_open(*place));
        if let Some(place) = open {
            let exchange = Some(place as u64 + 1);
            self.answer(exchange, packet.time);
            return (Role::Reply, None, exchange);
        }
        if let Some(place) = latest().find(is_its) {
            // Of a doubled reply the first counts.
            return (Role::Reply, Some(Detail::DuplicateReply), Some(place as u64 + 1));
        }
        // Another service's: the oldest that waits.
        let oldest = latest().rev().find(|place| is_open(*place));
        let exchange = oldest.map(|place| place as u64 + 1);
        self.answer(exchange, packet.time);
        (Role::Reply, None, exchange.or(self.newest()))
    }

    fn segment(
        &mut self,
        packet: &Packet,
        segment: Segment,
        to_server: bool,
    ) -> (Role, Option<Detail>, Option<u64>) {
        let length = packet.sizes.payload as u64;
        if segment.fin || segment.rst {
            let sender = if to_server { Side::Client } else { Side::Server };
            self.closed_by.get_or_insert(sender);
        }
        if segment.rst {
            self.is_over = true;
            return (Role::Rst, None, self.newest());
        }
        let patience = self.handshake.unwrap_or_default().max(OUT_OF_ORDER_WITHIN);
        let stream = if to_server { &mut self.there } else { &mut self.back };
        if segment.syn {
            let again = stream.first.replace(segment.sequence.wrapping_add(1)).is_some();
            match (again, segment.ack) {
                (true, _) => {
                    return (Role::Retransmission, Some(Detail::OfHandshake), None);
                }
                (false, false) => self.requested_at = Some(packet.time),
                (false, true) => {
                    let asked = self.requested_at;
                    self.handshake = asked.and_then(|asked| packet.time.checked_sub(asked));
                }
            }
            let role = if segment.ack { Role::SynAck } else { Role::Syn };
            return (role, None, None);
        }
        if length == 0 && !segment.fin {
            return (Role::Ack, None, self.newest());
        }
        // The end of a side takes a number as well.
        let whole = length + u64::from(segment.fin);
        let (piece, start) = stream.piece(segment.sequence, whole, packet.time, patience);
        let arrived = stream.end;
        let exchange = match (length, to_server) {
            (0, _) => None,
            (_, true) => self.asked(start, length, packet.time),
            (_, false) => self.replied(start, length, arrived, piece != Piece::Again, packet.time),
        };
        let ends = segment.fin.then_some(Detail::WithFin);
        match piece {
            Piece::Again | Piece::SentAgain => (Role::Retransmission, None, exchange),
            Piece::Late => (Role::OutOfOrder, None, exchange),
            Piece::New if length == 0 => {
                self.is_over |= self.has_closed;
                self.has_closed = true;
                (Role::Fin, None, None)
            }
            Piece::New => {
                self.has_closed |= segment.fin;
                (if to_server { Role::Request } else { Role::Reply }, ends, exchange)
            }
        }
    }

    /// The exchange of the client's bytes from `start` on. Where lengths are not known, another one begins when
    /// the replies have as many bytes as the requests: a server may answer while it is still being asked.
    fn asked(&mut self, start: u64, length: u64, time: Duration) -> Option<u64> {
        if let Some((request, _)) = self.lengths {
            while (self.exchanges.len() as u64) * request < start + length {
                self.exchanges.push(WireExchange { request: Some(time), reply: None });
            }
            return Some(start / request + 1);
        }
        let has_caught_up = self.back.end >= start;
        if self.exchanges.is_empty() || (self.last_was_reply && has_caught_up) {
            self.last_was_reply = false;
            self.exchanges.push(WireExchange { request: Some(time), reply: None });
        }
        self.newest()
    }

    /// The exchange of the server's bytes from `start` on, `arrived` being how many there are without a gap.
    fn replied(
        &mut self,
        start: u64,
        length: u64,
        arrived: u64,
        is_new: bool,
        time: Duration,
    ) -> Option<u64> {
        let Some((_, reply)) = self.lengths else {
            self.last_was_reply = true;
            if is_new {
                self.answer(self.newest(), time);
            }
            return self.newest();
        };
        if is_new {
            // A reply is there when its last byte is.
            for exchange in start / reply + 1..=(start + length).max(arrived) / reply {
                let place = usize::try_from(exchange - 1).ok();
                let known = place.and_then(|place| self.exchanges.get(place));
                if exchange * reply <= arrived && known.is_some_and(|one| one.reply.is_none()) {
                    self.answer(Some(exchange), time);
                }
            }
        }
        Some(start / reply + 1).filter(|exchange| *exchange <= self.exchanges.len() as u64)
    }
}

/// The beginning of a payload in upper case: enough to know its reply by.
fn upper_case(payload: &[u8]) -> Vec<u8> {
    let mut expected = bytes::BytesMut::from(&payload[..payload.len().min(COMPARED)]);
    echo_core::uppercase(&mut expected);
    expected.truncate(COMPARED);
    expected.to_vec()
}

/// Whether `reply` begins as it must; a server's timing (docs/protocol.md) can be in its header.
fn is_reply_to(expected: &[u8], reply: &[u8]) -> bool {
    const HEADER: usize = echo_core::header::HEADER_LEN;
    let reply = &reply[..reply.len().min(COMPARED)];
    let is_timed = expected.len() > HEADER && expected.starts_with(b"ECHO-RTT");
    let from = if is_timed { HEADER } else { 0 };
    expected.len() == reply.len() && expected.get(from..) == reply.get(from..)
}
