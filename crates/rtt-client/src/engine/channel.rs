//! [`Channel`]: an open transport to the server, and the division of received bytes into replies.
//!
//! A datagram is one message. A stream has no message boundaries. The channel collects bytes until the reply to the
//! oldest unanswered request is complete.

use crate::analysis::accounting::{ReceivedReply, beginning_of};
use crate::model::breakdown::TimestampId;
use crate::model::condition::Verification;
use crate::model::protocol::Framing;
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::{KernelStatistics, Traffic};
use crate::net::limitation::Limitation;
use crate::net::system::{NetworkError, WaitUntil};
use crate::net::transport::{OtherDatagram, Received, SentRequest, Transport};
use crate::plan::payload::{Mismatch, Payload, Quotation, ReplyCheck, ServerReport};
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
    sent_requests: u64,
    replies: u64,
    /// The requests without a reply, in the order of the expected replies. Empty if replies arrive as datagrams.
    unanswered: VecDeque<u64>,
    /// The received bytes of a stream that are not part of a complete reply.
    partial: BytesMut,
    /// The number of bytes in `partial` that have been compared with the expected reply.
    checked: usize,
    /// The arrival of the last bytes in `partial`.
    last_arrival: Option<Arrival>,
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
            sent_requests: 0,
            replies: 0,
            unanswered: VecDeque::new(),
            partial: BytesMut::new(),
            checked: 0,
            last_arrival: None,
        }
    }

    /// Sends request `seq`. An error from the system can belong to an earlier request. When `stop` is set, a wait for space
    /// in the send buffer ends with an error.
    pub(in crate::engine) fn send(
        &mut self,
        seq: u64,
        request: &[u8],
        stop: &AtomicBool,
    ) -> io::Result<SentRequest> {
        let sent = self.transport.send(seq, request, stop)?;
        self.sent_requests += 1;
        if self.framing == Framing::Stream {
            self.unanswered.push_back(seq);
        }
        Ok(sent)
    }

    /// Waits for a message. `only_in_flight` is the number of the request in flight, if there is exactly one. A
    /// datagram without a number then counts as the reply to this request.
    pub(in crate::engine) fn receive(
        &mut self,
        until: WaitUntil,
        payload: &mut Payload,
        only_in_flight: Option<u64>,
    ) -> io::Result<ChannelEvent> {
        // One read from a stream can return several replies.
        if let Some(event) = self.next_in_stream(payload) {
            return Ok(event);
        }
        match self.transport.receive(until)? {
            Received::Nothing => Ok(ChannelEvent::Nothing),
            Received::End => Ok(ChannelEvent::End),
            Received::Stray => Ok(ChannelEvent::Stray),
            Received::Bytes { received, timestamp, hop_limit, request, bytes } => {
                let arrival = Arrival { received, timestamp, hop_limit, receive_drops: None };
                match self.framing {
                    Framing::Datagrams => {
                        let seq = match number_in(request, bytes, payload) {
                            NumberIn::Number(seq) => Some(seq),
                            NumberIn::None => only_in_flight,
                            NumberIn::Contradictory => return Ok(ChannelEvent::Stray),
                        };
                        let checked = check_datagram(seq, bytes, payload);
                        let receive_drops = self.transport.drops_at_arrival();
                        let event = checked.into_event(seq, Arrival { receive_drops, ..arrival });
                        self.replies += u64::from(matches!(event, ChannelEvent::Reply(_)));
                        Ok(event)
                    }
                    Framing::Stream => {
                        self.partial.extend_from_slice(bytes);
                        self.last_arrival = Some(arrival);
                        Ok(self.next_in_stream(payload).unwrap_or(ChannelEvent::Nothing))
                    }
                }
            }
        }
    }

    /// The number of requests that were sent.
    pub(in crate::engine) fn sent_requests(&self) -> u64 {
        self.sent_requests
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
        let number = match number_in(error.request, &error.quoted_payload, payload) {
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
            let seq = payload.number_in(&bytes).or(only_in_flight);
            let is_correct =
                |seq: &u64| matches!(payload.check(*seq, &bytes, 0), ReplyCheck::Complete(_));
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

    /// Closes the connection and waits until the server has closed its side, or until `stop` is set. Returns the duration
    /// of the wait.
    pub(in crate::engine) fn close(
        mut self,
        timeout: Duration,
        stop: &AtomicBool,
    ) -> Option<Duration> {
        self.transport.close(timeout, stop)
    }

    /// The next message of a stream: a complete reply, or bytes that differ from the expected reply.
    fn next_in_stream(&mut self, payload: &mut Payload) -> Option<ChannelEvent> {
        let arrival = self.last_arrival.filter(|_| !self.partial.is_empty())?;
        let seq = self.unanswered.front().copied();
        let reply_len = payload.reply_len();
        // If later requests also have no reply, the bytes after this reply belong to the next reply.
        let available = self.partial.len();
        let end = if self.unanswered.len() > 1 { reply_len.min(available) } else { available };
        let check = match seq {
            Some(seq) => payload.check(seq, &self.partial[..end], self.checked),
            None => ReplyCheck::Wrong(Mismatch::NoRequestInFlight),
        };
        match check {
            ReplyCheck::Incomplete => {
                self.checked = end;
                None
            }
            ReplyCheck::Complete(report) => {
                self.checked = 0;
                self.replies += 1;
                self.unanswered.pop_front();
                let bytes = self.partial.split_to(reply_len).freeze();
                Some(ChannelEvent::Reply(ReceivedReply { report, ..arrival.reply(seq, bytes) }))
            }
            ReplyCheck::Wrong(mismatch) => {
                self.unanswered.pop_front();
                let bytes = beginning_of(&std::mem::take(&mut self.partial));
                Some(ChannelEvent::Wrong { reply: arrival.reply(seq, bytes), mismatch })
            }
        }
    }
}

impl Arrival {
    /// The message that consists of `bytes`.
    fn reply(self, seq: Option<u64>, bytes: Bytes) -> ReceivedReply {
        let Self { received, timestamp, hop_limit, receive_drops } = self;
        let report = ServerReport::None;
        ReceivedReply { seq, received, timestamp, hop_limit, receive_drops, report, bytes }
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
    let mismatch = match payload.check(seq.unwrap_or(0), datagram, 0) {
        ReplyCheck::Complete(report) => {
            return CheckedDatagram::Reply { bytes: Bytes::copy_from_slice(datagram), report };
        }
        ReplyCheck::Incomplete => {
            Mismatch::TooShort { received: datagram.len(), expected: payload.reply_len() }
        }
        ReplyCheck::Wrong(mismatch) => mismatch,
    };
    CheckedDatagram::Wrong { beginning: beginning_of(datagram), mismatch }
}

/// `in_header` is the number that the header identifies. `content` follows the header.
fn number_in(in_header: Option<u64>, content: &[u8], payload: &Payload) -> NumberIn {
    match (in_header, payload.number_in(content)) {
        (Some(in_header), Some(in_content)) if in_header != in_content => NumberIn::Contradictory,
        (Some(number), _) | (None, Some(number)) => NumberIn::Number(number),
        (None, None) => NumberIn::None,
    }
}

#[cfg(test)]
mod tests;
