//! The state of a TCP connection, from which the role of each segment follows.

use super::{Classification, Side};
use crate::capture::dissect::TcpHeader;
use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::stream::{MessageLengths, StreamBytes, StreamPairing};
use crate::capture::reassembly::{Arrival, ByteStream, Segment};
use crate::capture::role::{Detail, Role};
use std::time::Duration;

/// The minimum time within which a segment that fills a gap counts as out of order. Wireshark uses this value if the
/// capture contains no handshake. A longer handshake RTT replaces it.
const MIN_REORDERING_WINDOW: Duration = Duration::from_millis(3);

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Connection {
    from_client: ByteStream,
    from_server: ByteStream,
    pairing: StreamPairing,
    /// The time of the SYN.
    syn_time: Option<Duration>,
    /// The time from the SYN to the SYN, ACK.
    handshake_rtt: Option<Duration>,
    /// The side whose FIN or RST came first.
    closed_by: Option<Side>,
    fin_seen: bool,
    /// After this, a SYN starts another connection.
    is_over: bool,
}

/// A segment, with the fields that its role depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObservedSegment {
    pub(super) header: TcpHeader,
    pub(super) sender: Side,
    pub(super) payload_bytes: u64,
    pub(super) time: Duration,
}

impl Connection {
    pub(super) fn new(lengths: Option<MessageLengths>) -> Self {
        Self {
            from_client: ByteStream::default(),
            from_server: ByteStream::default(),
            pairing: StreamPairing::new(lengths),
            syn_time: None,
            handshake_rtt: None,
            closed_by: None,
            fin_seen: false,
            is_over: false,
        }
    }

    pub(super) fn closed_by(&self) -> Option<Side> {
        self.closed_by
    }

    /// Whether the segment is the SYN of another connection between the same ports.
    pub(super) fn is_followed_by(&self, header: &TcpHeader) -> bool {
        let is_syn = header.syn && !header.ack;
        is_syn && (self.is_over || self.from_client.started_with_other(header.sequence))
    }

    /// Adds a segment and determines its role.
    pub(super) fn add(
        &mut self,
        segment: ObservedSegment,
        exchanges: &mut Exchanges,
    ) -> Classification {
        let ObservedSegment { header, sender, payload_bytes, .. } = segment;
        if header.fin || header.rst {
            self.closed_by.get_or_insert(sender);
        }
        if header.rst {
            self.is_over = true;
            return Classification::new(Role::Rst, exchanges.latest());
        }
        if header.syn {
            return self.add_syn(segment);
        }
        if payload_bytes == 0 && !header.fin {
            return Classification::new(Role::Ack, exchanges.latest());
        }
        self.add_data(segment, exchanges)
    }

    /// Adds a SYN or a SYN, ACK.
    fn add_syn(&mut self, segment: ObservedSegment) -> Classification {
        let ObservedSegment { header, sender, time, .. } = segment;
        if self.stream_from(sender).start(header.sequence) {
            return Classification::new(Role::Retransmission, None)
                .with_detail(Detail::OfHandshake);
        }
        if header.ack {
            self.handshake_rtt = self.syn_time.and_then(|syn_time| time.checked_sub(syn_time));
            Classification::new(Role::SynAck, None)
        } else {
            self.syn_time = Some(time);
            Classification::new(Role::Syn, None)
        }
    }

    /// Adds a segment with data, a FIN or both.
    fn add_data(&mut self, segment: ObservedSegment, exchanges: &mut Exchanges) -> Classification {
        let ObservedSegment { header, sender, payload_bytes, time } = segment;
        let placement = {
            let handshake_rtt = self.handshake_rtt.unwrap_or_default();
            let reordering_window = handshake_rtt.max(MIN_REORDERING_WINDOW);
            // A FIN takes one sequence number.
            let length = payload_bytes + u64::from(header.fin);
            let sequence = header.sequence;
            self.stream_from(sender).add(Segment { sequence, length, time, reordering_window })
        };
        let bytes = StreamBytes {
            start: placement.start,
            length: payload_bytes,
            time,
            reply_end: self.from_server.contiguous_end(),
        };
        let exchange = match sender {
            _ if payload_bytes == 0 => None,
            Side::Client => self.pairing.add_request(bytes, exchanges),
            Side::Server if placement.arrival == Arrival::SeenBefore => {
                self.pairing.exchange_of_reply(bytes.start, exchanges)
            }
            Side::Server => self.pairing.add_reply(bytes, exchanges),
        };
        match placement.arrival {
            Arrival::SeenBefore | Arrival::FillsLoss => {
                Classification::new(Role::Retransmission, exchange)
            }
            Arrival::OutOfOrder => Classification::new(Role::OutOfOrder, exchange),
            Arrival::New if payload_bytes == 0 => {
                self.is_over |= self.fin_seen;
                self.fin_seen = true;
                Classification::new(Role::Fin, None)
            }
            Arrival::New => {
                let role = if sender == Side::Client { Role::Request } else { Role::Reply };
                let classification = Classification::new(role, exchange);
                if header.fin {
                    self.fin_seen = true;
                    return classification.with_detail(Detail::WithFin);
                }
                classification
            }
        }
    }

    fn stream_from(&mut self, sender: Side) -> &mut ByteStream {
        match sender {
            Side::Client => &mut self.from_client,
            Side::Server => &mut self.from_server,
        }
    }
}
