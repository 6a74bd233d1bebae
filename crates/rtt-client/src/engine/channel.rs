//! One way to the peer, open: its transport, and which requests are waiting for their replies on it.

use crate::model::breakdown::TimestampId;
use crate::model::exchange::Connection;
use crate::model::protocol::Framing;
use crate::net::system::WaitUntil;
use crate::net::transport::{OpenAttempt, Received, Transport};
use crate::plan::payload::{Payload, ReplyCheck};
use bytes::{Bytes, BytesMut};
use echo_core::Stamp;
use echo_core::header::Timing;
use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

/// How much of a wrong answer is kept, in bytes: enough to see what speaks there.
const WRONG_ANSWER_KEPT: usize = 1024;

/// An open way to the peer.
pub(in crate::engine) struct Channel {
    pub(in crate::engine) transport: Box<dyn Transport>,
    pub(in crate::engine) connection: Option<Connection>,
    framing: Framing,
    /// Requests handed over.
    pub(in crate::engine) sends: u64,
    /// Whole replies that came.
    pub(in crate::engine) replies: u64,
    /// The requests whose replies have to come next, in order; for a stream alone.
    pub(in crate::engine) waiting: VecDeque<u64>,
    /// What has arrived and is no whole reply yet.
    inbox: BytesMut,
    judged: usize,
    received: Option<(Stamp, Option<SystemTime>)>,
}

/// Something that a wait on a link came to.
pub(in crate::engine) enum ChannelEvent {
    Nothing,
    /// The peer has ended it.
    End,
    /// A reply.
    Reply(ReceivedReply),
    /// What is no reply. On a stream nothing can be made of what follows it.
    Wrong {
        arrived: ReceivedReply,
        why: String,
    },
}

/// What has arrived.
pub(in crate::engine) struct ReceivedReply {
    /// The request that it answers, if that can be told.
    pub(in crate::engine) seq: Option<u64>,
    pub(in crate::engine) received: Stamp,
    pub(in crate::engine) stamp: Option<SystemTime>,
    pub(in crate::engine) timing: Option<Timing>,
    pub(in crate::engine) bytes: Bytes,
}

impl Channel {
    pub(in crate::engine) fn new(
        opening: OpenAttempt,
        framing: Framing,
    ) -> Result<Self, crate::model::condition::Failure> {
        Ok(Self {
            transport: opening.transport?,
            connection: opening.connection,
            framing,
            sends: 0,
            replies: 0,
            waiting: VecDeque::new(),
            inbox: BytesMut::new(),
            judged: 0,
            received: None,
        })
    }

    /// Whether a reply has begun to arrive that is not whole.
    pub(in crate::engine) fn is_amid_a_reply(&self) -> bool {
        !self.inbox.is_empty()
    }

    pub(in crate::engine) fn bytes_of_a_reply(&self) -> usize {
        self.inbox.len()
    }

    pub(in crate::engine) fn send(
        &mut self,
        seq: u64,
        request: &[u8],
    ) -> io::Result<(Stamp, TimestampId)> {
        let sent = self.transport.send(request)?;
        self.sends += 1;
        if self.framing == Framing::Stream {
            self.waiting.push_back(seq);
        }
        Ok(sent)
    }

    /// Waits for a reply. `only` is the one request in the air, where there is no other: what bears no
    /// number can only be its reply.
    pub(in crate::engine) fn receive(
        &mut self,
        until: WaitUntil,
        payload: &mut Payload,
        only: Option<u64>,
    ) -> io::Result<ChannelEvent> {
        // Several replies can have come in one piece.
        if let Some(next) = self.next_in_inbox(payload) {
            return Ok(next);
        }
        match self.transport.receive(until)? {
            Received::Nothing => Ok(ChannelEvent::Nothing),
            Received::End => Ok(ChannelEvent::End),
            Received::Bytes { received, timestamp: stamp, bytes } => match self.framing {
                Framing::Datagrams => {
                    let bytes = Bytes::copy_from_slice(bytes);
                    Ok(self.datagram(bytes, received, stamp, payload, only))
                }
                Framing::Stream => {
                    self.inbox.extend_from_slice(bytes);
                    self.received = Some((received, stamp));
                    Ok(self.next_in_inbox(payload).unwrap_or(ChannelEvent::Nothing))
                }
            },
        }
    }

    fn datagram(
        &mut self,
        bytes: Bytes,
        received: Stamp,
        stamp: Option<SystemTime>,
        payload: &mut Payload,
        only: Option<u64>,
    ) -> ChannelEvent {
        let seq = payload.number_of(&bytes).or(only);
        let mut arrived = ReceivedReply { seq, received, stamp, timing: None, bytes };
        let verdict = payload.judge(seq.unwrap_or(0), &arrived.bytes, 0);
        let why = match verdict {
            ReplyCheck::Complete(timing) => {
                self.replies += 1;
                arrived.timing = timing;
                return ChannelEvent::Reply(arrived);
            }
            ReplyCheck::Incomplete => {
                format!("{} bytes instead of {}", arrived.bytes.len(), payload.reply_len())
            }
            ReplyCheck::Wrong(why) => why,
        };
        arrived.bytes.truncate(WRONG_ANSWER_KEPT);
        ChannelEvent::Wrong { arrived, why }
    }

    /// The next reply of a stream, if enough of it has arrived to say what it is.
    fn next_in_inbox(&mut self, payload: &mut Payload) -> Option<ChannelEvent> {
        let (received, stamp) = self.received.filter(|_| !self.inbox.is_empty())?;
        let seq = self.waiting.front().copied();
        let length = payload.reply_len();
        // What follows a reply is the next one's, if there is to be a next one.
        let end =
            if self.waiting.len() > 1 { length.min(self.inbox.len()) } else { self.inbox.len() };
        let verdict = match seq {
            Some(seq) => payload.judge(seq, &self.inbox[..end], self.judged),
            None => ReplyCheck::Wrong("more bytes than there are replies to come".into()),
        };
        match verdict {
            ReplyCheck::Incomplete => {
                self.judged = end;
                None
            }
            ReplyCheck::Complete(timing) => {
                self.judged = 0;
                self.replies += 1;
                self.waiting.pop_front();
                let bytes = self.inbox.split_to(length).freeze();
                Some(ChannelEvent::Reply(ReceivedReply { seq, received, stamp, timing, bytes }))
            }
            ReplyCheck::Wrong(why) => {
                self.waiting.pop_front();
                let mut bytes = std::mem::take(&mut self.inbox).freeze();
                bytes.truncate(WRONG_ANSWER_KEPT);
                let arrived = ReceivedReply { seq, received, stamp, timing: None, bytes };
                Some(ChannelEvent::Wrong { arrived, why })
            }
        }
    }
}
