//! The state of a TCP connection. It determines the role of each segment.

use super::Header;
use crate::capture::dissector::{Classification, FlowState, ObservedPacket};
use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::stream::{MessageLengths, StreamBytes, StreamPairing};
use crate::capture::flow::FlowSide;
use crate::capture::reassembly::{Arrival, ByteStream, Segment};
use crate::capture::role::{Detail, PacketRole};
use std::time::Duration;

/// The minimum of [`Segment::reordering_window`]. If the RTT of the handshake is longer, that RTT is the window.
/// Wireshark uses this value if the capture contains no handshake.
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
    /// The side that sent the first FIN or RST.
    closed_by: Option<FlowSide>,
    has_fin: bool,
    /// Whether the server sent a SYN, ACK.
    was_accepted: bool,
    answer: Answer,
    /// Whether the connection has ended. A later SYN starts another connection.
    is_over: bool,
}

/// The first segment from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The server has not sent a segment.
    None,
    /// A RST after the SYN.
    Refusal,
    /// Any other segment.
    Other,
}

/// A segment, and the fields of its header.
#[derive(Clone, Copy)]
struct ObservedSegment {
    header: Header,
    sender: FlowSide,
    payload_bytes: u64,
    captured_bytes: u64,
    time: Duration,
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
            has_fin: false,
            was_accepted: false,
            answer: Answer::None,
            is_over: false,
        }
    }
}

impl FlowState for Connection {
    fn add(&mut self, packet: &ObservedPacket<'_>, exchanges: &mut Exchanges) -> Classification {
        let ObservedPacket { sender, time, payload_bytes, .. } = *packet;
        // The dissector has checked the header, so it is complete.
        let header = Header::parse(packet.header).unwrap_or_default();
        let captured_bytes = packet.payload.len() as u64;
        let segment = ObservedSegment { header, sender, payload_bytes, captured_bytes, time };
        if header.ack {
            self.stream_to(sender).acknowledge(header.acknowledgement);
        }
        self.add_segment(segment, exchanges)
    }

    /// Whether this is the SYN of another connection between the same ports. A SYN from the server is one if no earlier
    /// SYN shows the direction of this connection. Otherwise both sides can send a SYN at the same time (RFC 9293,
    /// section 3.5).
    fn is_start_of_next_connection(&self, header: &[u8], sender: FlowSide) -> bool {
        Header::parse(header).is_some_and(|Header { syn, ack, sequence, .. }| {
            let is_first_syn = syn && !ack;
            let is_other = match sender {
                FlowSide::Client => self.from_client.has_other_start(sequence),
                FlowSide::Server => self.syn_time.is_none() && !self.was_accepted,
            };
            is_first_syn && (self.is_over || is_other)
        })
    }

    /// The side that sent the first FIN or RST.
    fn closed_by(&self) -> Option<FlowSide> {
        self.closed_by
    }

    fn is_refused(&self) -> bool {
        self.answer == Answer::Refusal
    }

    fn was_accepted(&self) -> bool {
        self.was_accepted
    }
}

impl Connection {
    /// Adds a segment and determines its role.
    fn add_segment(
        &mut self,
        segment: ObservedSegment,
        exchanges: &mut Exchanges,
    ) -> Classification {
        let ObservedSegment { header, sender, payload_bytes, .. } = segment;
        if header.fin || header.rst {
            self.closed_by.get_or_insert(sender);
        }
        if sender == FlowSide::Server && self.answer == Answer::None {
            let is_refusal = header.rst && self.syn_time.is_some();
            self.answer = if is_refusal { Answer::Refusal } else { Answer::Other };
        }
        if header.rst {
            self.is_over = true;
            let classification = Classification::new(PacketRole::Rst, exchanges.latest());
            return match self.answer {
                Answer::Refusal if sender == FlowSide::Server => {
                    classification.with_detail(Detail::Refusal)
                }
                _ => classification,
            };
        }
        if header.syn {
            return self.add_syn(segment);
        }
        if payload_bytes == 0 && !header.fin {
            return Classification::new(PacketRole::Ack, exchanges.latest());
        }
        self.add_data(segment, exchanges)
    }

    /// Adds a SYN or a SYN, ACK.
    fn add_syn(&mut self, segment: ObservedSegment) -> Classification {
        let ObservedSegment { header, sender, time, .. } = segment;
        if self.stream_from(sender).start(header.sequence) {
            return Classification::new(PacketRole::Retransmission, None)
                .with_detail(Detail::OfHandshake);
        }
        if header.ack {
            self.was_accepted = true;
            self.handshake_rtt = self.syn_time.and_then(|syn_time| time.checked_sub(syn_time));
            Classification::new(PacketRole::SynAck, None)
        } else {
            self.syn_time = Some(time);
            Classification::new(PacketRole::Syn, None)
        }
    }

    /// Adds a segment with data, a FIN or both.
    fn add_data(&mut self, segment: ObservedSegment, exchanges: &mut Exchanges) -> Classification {
        let ObservedSegment { header, sender, payload_bytes, captured_bytes, time } = segment;
        let placement = {
            let handshake_rtt = self.handshake_rtt.unwrap_or_default();
            let reordering_window = handshake_rtt.max(MIN_REORDERING_WINDOW);
            // A FIN uses one sequence number.
            let length = payload_bytes + u64::from(header.fin);
            let sequence = header.sequence;
            self.stream_from(sender).add(Segment { sequence, length, time, reordering_window })
        };
        let bytes = StreamBytes {
            start: placement.start,
            captured: captured_bytes,
            time,
            reply_end: self.from_server.contiguous_end(),
        };
        let exchange = match sender {
            _ if payload_bytes == 0 => None,
            FlowSide::Client => self.pairing.add_request(bytes, exchanges),
            FlowSide::Server if placement.arrival == Arrival::Repeated => {
                self.pairing.exchange_of_reply(bytes.start, exchanges)
            }
            FlowSide::Server => self.pairing.add_reply(bytes, exchanges),
        };
        match placement.arrival {
            Arrival::Repeated | Arrival::FillsLoss => {
                Classification::new(PacketRole::Retransmission, exchange)
            }
            Arrival::OutOfOrder => Classification::new(PacketRole::OutOfOrder, exchange),
            Arrival::New if payload_bytes == 0 => {
                self.is_over |= self.has_fin;
                self.has_fin = true;
                Classification::new(PacketRole::Fin, None)
            }
            Arrival::New => {
                let role = if sender == FlowSide::Client {
                    PacketRole::Request
                } else {
                    PacketRole::Reply
                };
                let classification = Classification::new(role, exchange);
                if header.fin {
                    self.has_fin = true;
                    return classification.with_detail(Detail::WithFin);
                }
                classification
            }
        }
    }

    fn stream_from(&mut self, sender: FlowSide) -> &mut ByteStream {
        match sender {
            FlowSide::Client => &mut self.from_client,
            FlowSide::Server => &mut self.from_server,
        }
    }

    fn stream_to(&mut self, receiver: FlowSide) -> &mut ByteStream {
        self.stream_from(receiver.opposite())
    }
}
