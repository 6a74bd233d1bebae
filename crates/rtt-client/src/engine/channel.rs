//! [`Channel`]: an open transport to the server, and the division of received bytes into replies.
//!
//! A datagram is one message. A stream has no message boundaries. The channel collects bytes until the reply to the
//! oldest unanswered request is complete.

mod stream;

use crate::analysis::accounting::{ReceivedReply, beginning_of};
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Failure, Verification};
use crate::model::protocol::Framing;
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::{KernelStatistics, Traffic};
use crate::net::limitation::Limitation;
use crate::net::system::{NetworkError, WaitUntil};
use crate::net::transport::{OtherDatagram, Received, SentRequest, Transport};
use crate::plan::payload::{ExtraBytes, Mismatch, Payload, Quotation, ReplyCheck, ServerReport};
use bytes::{Bytes, BytesMut};
use echo_core::Stamp;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

/// An open transport to the server.
pub(in crate::engine) struct Channel {
    transport: Box<dyn Transport>,
    framing: Framing,
    /// When the connection was established, if there is one.
    established: Option<Stamp>,
    sent_requests: u64,
    replies: u64,
    /// The requests without a reply, in the order of the expected replies. Empty if replies arrive as datagrams.
    unanswered: VecDeque<u64>,
    /// The received bytes of a stream that are not part of a complete reply.
    partial: BytesMut,
    /// The number of bytes in `partial` that have been compared with the expected reply.
    checked: usize,
    /// The arrival of the first bytes in `partial`.
    first_arrival: Option<Stamp>,
    /// The arrival of the last bytes in `partial`.
    last_arrival: Option<Arrival>,
    /// Whether the channel has removed bytes that arrived after the reply to the latest request.
    discarded_since_request: bool,
    /// The number of requests before which the channel has removed such bytes.
    requests_after_discarded_bytes: u64,
}

/// A channel that the client has closed.
#[derive(Debug)]
pub(in crate::engine) struct ClosedChannel {
    /// The time until the server closed its side of the connection.
    pub(in crate::engine) duration: Option<Duration>,
    /// Whether bytes arrived after the last reply, and the client had discarded no bytes before. The bytes that it
    /// counted as replies can then be parts of earlier replies.
    pub(in crate::engine) has_extra_bytes: bool,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    received: Stamp,
    timestamp: Option<SystemTime>,
    hop_limit: Option<u8>,
    receive_drops: Option<u64>,
}

/// The result of a wait for a message.
#[derive(Debug)]
pub(in crate::engine) enum ChannelEvent {
    /// There is no complete message.
    Nothing,
    /// A packet that cannot be a reply to a request on this channel.
    Stray,
    /// The server has closed the connection.
    End,
    /// A reply with the expected bytes.
    Reply(ReceivedReply),
    /// Request `seq` failed.
    Failed { seq: u64, failure: Failure },
    /// A message that is not the expected reply. On a stream, the position of the next reply is then unknown, and the
    /// channel must not be used again.
    Wrong { reply: ReceivedReply, mismatch: Mismatch },
}

/// The request that an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum QuotedRequest {
    Number(u64, Verification),
    /// Neither the header nor the content identifies a request. The content of a message without a number can still be
    /// verified.
    Unknown(Verification),
    /// The header and the content identify two different requests, or the content is not from the request.
    Contradictory,
}

/// The result of the check of a datagram, with a copy of its bytes.
enum CheckedDatagram {
    Reply { bytes: Bytes, report: ServerReport },
    Wrong { beginning: Bytes, mismatch: Mismatch },
}

/// The number of a request in a datagram.
enum NumberIn {
    Number(u64),
    /// Neither the header nor the content contains a number.
    None,
    /// The header and the content contain different numbers.
    Contradictory,
}

impl Channel {
    /// Creates a channel with an open transport.
    pub(in crate::engine) fn new(transport: Box<dyn Transport>, framing: Framing) -> Self {
        Self {
            transport,
            framing,
            established: None,
            sent_requests: 0,
            replies: 0,
            unanswered: VecDeque::new(),
            partial: BytesMut::new(),
            checked: 0,
            first_arrival: None,
            last_arrival: None,
            discarded_since_request: false,
            requests_after_discarded_bytes: 0,
        }
    }

    /// The same channel, whose connection was established at this time.
    pub(in crate::engine) fn established_at(self, established: Option<Stamp>) -> Self {
        Self { established, ..self }
    }

    /// Sends request `seq`. An error from the system can belong to an earlier request. When `stop` is set, a wait for space
    /// in the send buffer ends with an error.
    ///
    /// If the server sends first, the request is empty, and a connection sends nothing. The reply can have arrived since the
    /// connection was established. So the time of such a request is that time.
    pub(in crate::engine) fn send(
        &mut self,
        seq: u64,
        request: &[u8],
        stop: &AtomicBool,
    ) -> io::Result<SentRequest> {
        let mut sent = self.transport.send(seq, request, stop)?;
        if request.is_empty()
            && self.sent_requests == 0
            && let Some(established) = self.established
        {
            sent.stamp = established;
        }
        self.sent_requests += 1;
        self.requests_after_discarded_bytes +=
            u64::from(std::mem::take(&mut self.discarded_since_request));
        if self.framing == Framing::Stream {
            self.unanswered.push_back(seq);
        }
        Ok(sent)
    }

    /// Waits for a message. A datagram without a number counts as the reply to the request `without_number`.
    pub(in crate::engine) fn receive(
        &mut self,
        until: WaitUntil,
        payload: &mut Payload,
        without_number: Option<u64>,
    ) -> io::Result<ChannelEvent> {
        // One read from a stream can return several replies.
        if let Some(event) = self.next_in_stream(payload) {
            return Ok(event);
        }
        match self.transport.receive(until)? {
            Received::Nothing => Ok(ChannelEvent::Nothing),
            Received::End => Ok(ChannelEvent::End),
            Received::Stray => Ok(ChannelEvent::Stray),
            Received::Failed { request, failure } => {
                Ok(ChannelEvent::Failed { seq: request, failure })
            }
            Received::Established { request, received, retransmitted } => {
                self.replies += 1;
                let arrival =
                    Arrival { received, timestamp: None, hop_limit: None, receive_drops: None };
                let reply = arrival.reply(Some(request), Bytes::new());
                Ok(ChannelEvent::Reply(ReceivedReply { retransmitted, ..reply }))
            }
            Received::Bytes { received, timestamp, hop_limit, request, bytes } => {
                let arrival = Arrival { received, timestamp, hop_limit, receive_drops: None };
                match self.framing {
                    Framing::Datagrams => {
                        let in_content = payload.number_in_reply(bytes);
                        let seq = match number_in(request, in_content) {
                            NumberIn::Number(seq) => Some(seq),
                            NumberIn::None => without_number,
                            NumberIn::Contradictory => return Ok(ChannelEvent::Stray),
                        };
                        let checked = check_datagram(seq, bytes, payload);
                        let receive_drops = self.transport.drops_at_arrival();
                        let event = checked.into_event(seq, Arrival { receive_drops, ..arrival });
                        self.replies += u64::from(matches!(event, ChannelEvent::Reply(_)));
                        Ok(event)
                    }
                    Framing::Stream => {
                        if self.partial.is_empty() {
                            self.first_arrival = Some(received);
                        }
                        self.partial.extend_from_slice(bytes);
                        self.last_arrival = Some(arrival);
                        Ok(self.next_in_stream(payload).unwrap_or(ChannelEvent::Nothing))
                    }
                }
            }
        }
    }

    /// Whether a request was sent.
    pub(in crate::engine) fn has_sent(&self) -> bool {
        self.sent_requests > 0
    }

    /// The number of complete replies with the expected bytes.
    pub(in crate::engine) fn replies(&self) -> u64 {
        self.replies
    }

    /// The number of requests on this channel without a reply. It is 0 if replies arrive as datagrams.
    pub(in crate::engine) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// The number of bytes of an incomplete reply.
    pub(in crate::engine) fn partial_reply_len(&self) -> usize {
        self.partial.len()
    }

    /// The local address.
    pub(in crate::engine) fn local(&self) -> Option<SocketAddr> {
        self.transport.local()
    }

    /// The errors that the network has reported since the last call.
    pub(in crate::engine) fn network_errors(&mut self) -> Vec<NetworkError> {
        self.transport.network_errors()
    }

    /// The request that caused an ICMP error.
    pub(in crate::engine) fn request_of(
        error: &NetworkError,
        payload: &mut Payload,
    ) -> QuotedRequest {
        let in_content = payload.number_in_request(&error.quoted_payload);
        let number = match number_in(error.request, in_content) {
            NumberIn::Number(number) => Some(number),
            NumberIn::None => None,
            NumberIn::Contradictory => return QuotedRequest::Contradictory,
        };
        let verification = match payload.check_quotation(number, &error.quoted_payload) {
            Quotation::Complete => Verification::Verified,
            Quotation::Incomplete => Verification::Unverified,
            Quotation::Different => return QuotedRequest::Contradictory,
        };
        number.map_or(QuotedRequest::Unknown(verification), |number| {
            QuotedRequest::Number(number, verification)
        })
    }

    /// See [`Transport::give_up`].
    pub(in crate::engine) fn give_up(&mut self, seq: u64) -> Option<String> {
        self.transport.give_up(seq)
    }

    /// The time at which the kernel transmitted a request, if there is a kernel timestamp.
    pub(in crate::engine) fn transmitted(&mut self, id: TimestampId) -> Option<SystemTime> {
        self.transport.transmitted(id)
    }

    /// The limitations of the transport.
    pub(in crate::engine) fn limitations(&self) -> Vec<Limitation> {
        self.transport.limitations()
    }

    /// The maximum length of a packet on the path, if the kernel has it.
    pub(in crate::engine) fn path_mtu(&self) -> Option<u32> {
        self.transport.path_mtu()
    }

    /// Returns the datagrams from other addresses than the peer's that arrived since the last call. For each of them, the
    /// source and the number of its request, if the datagram is a correct reply.
    pub(in crate::engine) fn replies_from_others(
        &mut self,
        payload: &mut Payload,
        only_in_flight: Option<u64>,
    ) -> Vec<(SocketAddr, Option<u64>)> {
        let datagrams = self.transport.datagrams_from_others().into_iter();
        let replies = datagrams.map(|OtherDatagram { from, bytes }| {
            let seq = payload.number_in_reply(&bytes).or(only_in_flight);
            let is_correct =
                |seq: &u64| payload.check(*seq, &bytes, 0, ExtraBytes::Wrong).is_complete();
            (from, seq.filter(is_correct))
        });
        replies.collect()
    }

    pub(in crate::engine) fn kernel_statistics(&self) -> Option<KernelStatistics> {
        self.transport.kernel_statistics()
    }

    pub(in crate::engine) fn traffic(&self) -> Option<Traffic> {
        self.transport.traffic()
    }

    /// See [`Transport::receive_queue`].
    pub(in crate::engine) fn receive_queue(&self) -> Option<ReceiveQueue> {
        self.transport.receive_queue()
    }

    /// See [`Transport::drops`].
    pub(in crate::engine) fn drops(&self) -> Option<ReceiveDrops> {
        self.transport.drops()
    }

    /// Closes the connection and waits until the server has closed its side, or until `stop` is set.
    pub(in crate::engine) fn close(
        mut self,
        timeout: Duration,
        stop: &AtomicBool,
    ) -> ClosedChannel {
        let duration = self.transport.close(timeout, stop);
        let has_rest = self.discarded_since_request
            || !self.partial.is_empty()
            || self.transport.received_during_close();
        // If the rest of each earlier reply arrived before the next request, the channel has removed all of it.
        let all_were_removed = self.requests_after_discarded_bytes + 1 == self.sent_requests;
        let has_extra_bytes = self.sent_requests > 1 && !all_were_removed && has_rest;
        ClosedChannel { duration, has_extra_bytes }
    }
}

impl Arrival {
    /// The message that consists of `bytes`.
    fn reply(self, seq: Option<u64>, bytes: Bytes) -> ReceivedReply {
        let Self { received, timestamp, hop_limit, receive_drops } = self;
        ReceivedReply {
            seq,
            received,
            first_byte: None,
            timestamp,
            hop_limit,
            receive_drops,
            report: ServerReport::None,
            retransmitted: None,
            bytes,
        }
    }
}

impl CheckedDatagram {
    fn into_event(self, seq: Option<u64>, arrival: Arrival) -> ChannelEvent {
        match self {
            Self::Reply { bytes, report } => {
                ChannelEvent::Reply(ReceivedReply { report, ..arrival.reply(seq, bytes) })
            }
            Self::Wrong { beginning, mismatch } => {
                ChannelEvent::Wrong { reply: arrival.reply(seq, beginning), mismatch }
            }
        }
    }
}

/// Compares a datagram with the reply to request `seq`. Copies only the bytes that are kept, because any host can send many
/// long datagrams.
fn check_datagram(seq: Option<u64>, datagram: &[u8], payload: &mut Payload) -> CheckedDatagram {
    let mismatch = match payload.check(seq.unwrap_or(0), datagram, 0, ExtraBytes::Wrong) {
        ReplyCheck::Complete { report, .. } => {
            return CheckedDatagram::Reply { bytes: Bytes::copy_from_slice(datagram), report };
        }
        ReplyCheck::Incomplete => payload.mismatch_of_part(datagram.len()),
        ReplyCheck::Wrong(mismatch) => mismatch,
    };
    CheckedDatagram::Wrong { beginning: beginning_of(datagram), mismatch }
}

/// `in_header` is the number of the request that the header of the datagram identifies. `in_content` is the number
/// after the header.
fn number_in(in_header: Option<u64>, in_content: Option<u64>) -> NumberIn {
    match (in_header, in_content) {
        (Some(in_header), Some(in_content)) if in_header != in_content => NumberIn::Contradictory,
        (Some(number), _) | (None, Some(number)) => NumberIn::Number(number),
        (None, None) => NumberIn::None,
    }
}

#[cfg(test)]
mod tests;
