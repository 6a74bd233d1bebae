//! The packets between two ports, and the role of each.

use crate::icmp::Icmp;
use crate::packet::{Packet, Segment, Sizes, What};
use crate::transport::{PROTOCOLS, Protocol};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How much later a missing piece may come and count as out of order; later than that it was sent again. It is
/// what Wireshark takes where it has seen no handshake; a handshake's round trip, if that is longer.
const OUT_OF_ORDER_WITHIN: Duration = Duration::from_millis(3);

/// The most pieces of a stream that are remembered while others are missing.
const MOST_PIECES: usize = 10_000;

/// How many of the latest requests a reply is looked for among.
const MOST_OPEN: usize = 1000;

/// What a packet is for. The names are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    ConnectionRequest,
    Acceptance,
    Acknowledgement,
    Request,
    Reply,
    Close,
    Reset,
    Retransmission,
    OutOfOrder,
    IcmpError,
    Fragment,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConnectionRequest => "connection-request",
            Self::Acceptance => "acceptance",
            Self::Acknowledgement => "acknowledgement",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Close => "close",
            Self::Reset => "reset",
            Self::Retransmission => "retransmission",
            Self::OutOfOrder => "out-of-order",
            Self::IcmpError => "icmp-error",
            Self::Fragment => "fragment",
        }
    }
}

/// A packet of a flow, explained.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Its number in the capture, from 1.
    pub(crate) number: usize,
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    pub(crate) to_server: bool,
    pub(crate) role: Role,
    pub(crate) sizes: Sizes,
    pub(crate) payload: Vec<u8>,
    pub(crate) is_cut: bool,
    /// The exchange that it belongs to, from 1, if to one.
    pub(crate) exchange: Option<u64>,
    /// What it does beyond its role.
    pub(crate) also: Option<&'static str>,
    pub(crate) icmp: Option<Icmp>,
}

/// A request and its reply on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OnTheWire {
    pub(crate) asked: Option<Duration>,
    pub(crate) answered: Option<Duration>,
}

impl OnTheWire {
    /// From the request's first packet to the reply's last.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.answered?.checked_sub(self.asked?)
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Stream {
    /// The number of the first byte, and the end of what has been seen without a gap, counted from there.
    first: Option<u32>,
    end: u64,
    /// Pieces seen beyond a gap: where they begin and end.
    beyond: BTreeMap<u64, u64>,
    /// When the furthest byte was seen.
    furthest_at: Duration,
}

/// What a piece of a stream is, by what has been seen before.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    New,
    Again,
    Late,
}

/// The packets between a client's and a server's port.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) protocol: Option<&'static Protocol>,
    /// The protocol's number in IP.
    pub(crate) number: u8,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) lines: Vec<Line>,
    pub(crate) exchanges: Vec<OnTheWire>,
    /// Payloads of datagrams in upper case, to know replies by.
    expected: Vec<Vec<u8>>,
    there: Stream,
    back: Stream,
    requested_at: Option<Duration>,
    handshake: Option<Duration>,
    last_was_reply: bool,
    is_over: bool,
}

impl Flow {
    pub(super) fn begun_by(number: u8, packet: &Packet, from: SocketAddr, to: SocketAddr) -> Self {
        // Who accepts is the server; who speaks first is the client.
        let accepts = matches!(packet.what, What::Tcp(Segment { syn: true, ack: true, .. }));
        let (client, server) = if accepts { (to, from) } else { (from, to) };
        let name = if number == 6 { "tcp" } else { "udp" };
        Self {
            protocol: PROTOCOLS.iter().find(|protocol| protocol.name == name),
            number,
            client,
            server,
            lines: Vec::new(),
            exchanges: Vec::new(),
            expected: Vec::new(),
            there: Stream::default(),
            back: Stream::default(),
            requested_at: None,
            handshake: None,
            last_was_reply: true,
            is_over: false,
        }
    }

    pub(super) fn has(&self, number: u8, from: SocketAddr, to: SocketAddr) -> bool {
        let ends = [self.client, self.server];
        self.number == number && (ends == [from, to] || ends == [to, from])
    }

    /// Whether the packet opens another connection between the same ports.
    pub(super) fn is_begun_anew_by(&self, packet: &Packet) -> bool {
        let What::Tcp(Segment { syn: true, ack: false, sequence, .. }) = packet.what else {
            return false;
        };
        self.is_over || self.there.first.is_some_and(|first| first != sequence.wrapping_add(1))
    }

    pub(super) fn take(&mut self, number: usize, packet: &Packet) {
        let to_server = match packet.what {
            // Told to whoever sent the packet that it is about.
            What::Icmp { from, .. } => from == self.server,
            _ if packet.from.ip() == packet.to.ip() && packet.from.port() > 0 => {
                packet.from == self.client
            }
            _ => packet.from.ip() == self.client.ip(),
        };
        let before = self.exchanges.len();
        let (role, also) = match packet.what {
            What::Udp => self.datagram(packet, to_server),
            What::Tcp(segment) => self.segment(packet, segment, to_server),
            What::Icmp { .. } => (Role::IcmpError, None),
            What::Fragment { .. } => (Role::Fragment, None),
        };
        let of_exchange = !matches!(role, Role::ConnectionRequest | Role::Acceptance | Role::Close);
        let exchange = match packet.what {
            What::Udp if !to_server => self.answered_by(packet),
            _ if self.exchanges.len() > before => Some(self.exchanges.len() as u64),
            _ => (of_exchange && before > 0).then_some(before as u64),
        };
        if let (Role::Reply | Role::OutOfOrder | Role::Retransmission, false, Some(exchange)) =
            (role, to_server, exchange)
            && packet.sizes.payload > 0
        {
            let place = usize::try_from(exchange - 1).unwrap_or(usize::MAX);
            if let Some(on_the_wire) = self.exchanges.get_mut(place)
                // Of a doubled reply to a datagram the first counts.
                && (self.number == 6 || on_the_wire.answered.is_none())
            {
                on_the_wire.answered = Some(packet.time);
            }
        }
        let icmp = match packet.what {
            What::Icmp { icmp, .. } => Some(icmp),
            _ => None,
        };
        self.lines.push(Line {
            number,
            time: packet.time,
            to_server,
            role,
            sizes: packet.sizes,
            payload: packet.payload.clone(),
            is_cut: packet.is_cut,
            exchange,
            also,
            icmp,
        });
    }

    /// What can be said only when all is known.
    pub(super) fn settle(&mut self) {
        self.expected.clear();
    }

    fn datagram(&mut self, packet: &Packet, to_server: bool) -> (Role, Option<&'static str>) {
        if !to_server {
            let again = self
                .answered_by(packet)
                .and_then(|exchange| self.exchanges.get(usize::try_from(exchange).ok()? - 1))
                .is_some_and(|exchange| exchange.answered.is_some());
            return (Role::Reply, again.then_some("once more"));
        }
        let mut expected = bytes::BytesMut::from(&packet.payload[..]);
        echo_core::uppercase(&mut expected);
        self.expected.push(expected.to_vec());
        self.exchanges.push(OnTheWire { asked: Some(packet.time), answered: None });
        (Role::Request, None)
    }

    /// The exchange whose reply a datagram is: the one whose request it is in upper case, or else the last.
    fn answered_by(&self, packet: &Packet) -> Option<u64> {
        /// How much of a payload a server's timing can change (docs/protocol.md).
        const HEADER: usize = echo_core::header::HEADER_LEN;
        let tail = |bytes: &[u8]| bytes.get(HEADER..).map(<[u8]>::to_vec);
        let same = |expected: &&Vec<u8>| {
            **expected == packet.payload
                || (expected.starts_with(b"ECHO-RTT")
                    && tail(expected).is_some_and(|of| Some(of) == tail(&packet.payload)))
        };
        let matching = |open: bool| {
            let mut places = self.expected.iter().enumerate().rev().take(MOST_OPEN);
            let is_open = |place: usize| self.exchanges[place].answered.is_none();
            places.find(|(place, expected)| same(expected) && (!open || is_open(*place)))
        };
        let place = matching(true).or_else(|| matching(false)).map(|(place, _)| place);
        let place = place.or(self.exchanges.len().checked_sub(1))?;
        Some(place as u64 + 1)
    }

    fn segment(
        &mut self,
        packet: &Packet,
        segment: Segment,
        to_server: bool,
    ) -> (Role, Option<&'static str>) {
        let length = packet.sizes.payload;
        if segment.rst {
            self.is_over = true;
            return (Role::Reset, None);
        }
        let patience = self.handshake.unwrap_or_default().max(OUT_OF_ORDER_WITHIN);
        let stream = if to_server { &mut self.there } else { &mut self.back };
        if segment.syn {
            let again = stream.first.replace(segment.sequence.wrapping_add(1)).is_some();
            match (again, segment.ack) {
                (true, _) => return (Role::Retransmission, Some("of what opens the connection")),
                (false, false) => self.requested_at = Some(packet.time),
                (false, true) => {
                    let asked = self.requested_at;
                    self.handshake = asked.and_then(|asked| packet.time.checked_sub(asked));
                }
            }
            let role = if segment.ack { Role::Acceptance } else { Role::ConnectionRequest };
            return (role, None);
        }
        if length == 0 && !segment.fin {
            return (Role::Acknowledgement, None);
        }
        // The end of a side takes a number as well.
        let whole = length as u64 + u64::from(segment.fin);
        match stream.piece(segment.sequence, whole, packet.time, patience) {
            Piece::Again => return (Role::Retransmission, None),
            Piece::Late => return (Role::OutOfOrder, None),
            Piece::New => {}
        }
        let ends = segment.fin.then_some("and ends its side");
        if length == 0 {
            self.is_over |= self.lines.iter().any(|line| line.role == Role::Close);
            return (Role::Close, None);
        }
        if !to_server {
            self.last_was_reply = true;
            return (Role::Reply, ends);
        }
        if self.last_was_reply {
            self.last_was_reply = false;
            self.exchanges.push(OnTheWire { asked: Some(packet.time), answered: None });
        }
        (Role::Request, ends)
    }
}

impl Stream {
    /// What the bytes from `sequence` on are, and remembers them.
    fn piece(&mut self, sequence: u32, length: u64, time: Duration, patience: Duration) -> Piece {
        let first = *self.first.get_or_insert(sequence);
        // Numbers wrap around; a stream here is never so long that a piece is 2 GiB off.
        let near = u64::from(sequence.wrapping_sub(first));
        let wrapped = self.end & !u64::from(u32::MAX);
        let candidates =
            [wrapped.checked_sub(1 << 32), Some(wrapped), wrapped.checked_add(1 << 32)];
        let start = candidates
            .into_iter()
            .flatten()
            .map(|base| base + near)
            .min_by_key(|start| start.abs_diff(self.end))
            .unwrap_or(near);
        let end = start + length;
        let furthest = self.beyond.last_key_value().map_or(self.end, |(_, end)| self.end.max(*end));
        let is_seen = end <= self.end
            || self.beyond.range(..=start).next_back().is_some_and(|(_, seen)| end <= *seen);
        if is_seen {
            return Piece::Again;
        }
        let piece = if start >= furthest {
            self.furthest_at = time;
            Piece::New
        } else if time.saturating_sub(self.furthest_at) <= patience {
            Piece::Late
        } else {
            // It was lost before it came by here.
            Piece::Again
        };
        if self.beyond.len() < MOST_PIECES {
            self.beyond.insert(start, end);
        }
        while let Some((start, end)) = self.beyond.first_key_value().map(|(s, e)| (*s, *e)) {
            if start > self.end {
                break;
            }
            self.end = self.end.max(end);
            self.beyond.remove(&start);
        }
        piece
    }
}
