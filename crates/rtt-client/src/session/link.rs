//! One way to the peer, open: its transport, and which requests are waiting for their replies on it.

use crate::Connection;
use crate::breakdown::Marks;
use crate::load::{Load, Verdict};
use crate::system::Until;
use crate::transport::{Framing, Opening, Received, Transport};
use bytes::{Bytes, BytesMut};
use echo_core::Stamp;
use echo_core::header::Timing;
use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

/// How much of a wrong answer is kept, in bytes: enough to see what speaks there.
const WRONG_ANSWER_KEPT: usize = 1024;

/// An open way to the peer.
pub(super) struct Link {
    pub(super) transport: Box<dyn Transport>,
    pub(super) connection: Option<Connection>,
    framing: Framing,
    /// Requests handed over.
    pub(super) sends: u64,
    /// Whole replies that came.
    pub(super) replies: u64,
    /// The requests whose replies have to come next, in order; for a stream alone.
    pub(super) waiting: VecDeque<u64>,
    /// What has arrived and is no whole reply yet.
    inbox: BytesMut,
    judged: usize,
    received: Option<(Stamp, Option<SystemTime>)>,
}

/// Something that a wait on a link came to.
pub(super) enum Arrival {
    Nothing,
    /// The peer has ended it.
    End,
    /// A reply.
    Reply(Arrived),
    /// What is no reply. On a stream nothing can be made of what follows it.
    Wrong {
        arrived: Arrived,
        why: String,
    },
}

/// What has arrived.
pub(super) struct Arrived {
    /// The request that it answers, if that can be told.
    pub(super) seq: Option<u64>,
    pub(super) received: Stamp,
    pub(super) stamp: Option<SystemTime>,
    pub(super) timing: Option<Timing>,
    pub(super) bytes: Bytes,
}

impl Link {
    pub(super) fn new(opening: Opening, framing: Framing) -> Result<Self, crate::Failure> {
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
    pub(super) fn is_amid_a_reply(&self) -> bool {
        !self.inbox.is_empty()
    }

    pub(super) fn bytes_of_a_reply(&self) -> usize {
        self.inbox.len()
    }

    pub(super) fn send(&mut self, seq: u64, request: &[u8]) -> io::Result<(Stamp, Marks)> {
        let sent = self.transport.send(request)?;
        self.sends += 1;
        if self.framing == Framing::Stream {
            self.waiting.push_back(seq);
        }
        Ok(sent)
    }

    /// Waits for a reply. `only` is the one request in the air, where there is no other: what bears no
    /// number can only be its reply.
    pub(super) fn receive(
        &mut self,
        until: Until,
        load: &mut Load,
        only: Option<u64>,
    ) -> io::Result<Arrival> {
        // Several replies can have come in one piece.
        if let Some(next) = self.next_in_inbox(load) {
            return Ok(next);
        }
        match self.transport.receive(until)? {
            Received::Nothing => Ok(Arrival::Nothing),
            Received::End => Ok(Arrival::End),
            Received::Bytes { received, stamp, bytes } => match self.framing {
                Framing::Datagrams => {
                    let bytes = Bytes::copy_from_slice(bytes);
                    Ok(self.datagram(bytes, received, stamp, load, only))
                }
                Framing::Stream => {
                    self.inbox.extend_from_slice(bytes);
                    self.received = Some((received, stamp));
                    Ok(self.next_in_inbox(load).unwrap_or(Arrival::Nothing))
                }
            },
        }
    }

    fn datagram(
        &mut self,
        bytes: Bytes,
        received: Stamp,
        stamp: Option<SystemTime>,
        load: &mut Load,
        only: Option<u64>,
    ) -> Arrival {
        let seq = load.number_of(&bytes).or(only);
        let mut arrived = Arrived { seq, received, stamp, timing: None, bytes };
        let verdict = load.judge(seq.unwrap_or(0), &arrived.bytes, 0);
        let why = match verdict {
            Verdict::Whole(timing) => {
                self.replies += 1;
                arrived.timing = timing;
                return Arrival::Reply(arrived);
            }
            Verdict::Begun => {
                format!("{} bytes instead of {}", arrived.bytes.len(), load.reply_len())
            }
            Verdict::Wrong(why) => why,
        };
        arrived.bytes.truncate(WRONG_ANSWER_KEPT);
        Arrival::Wrong { arrived, why }
    }

    /// The next reply of a stream, if enough of it has arrived to say what it is.
    fn next_in_inbox(&mut self, load: &mut Load) -> Option<Arrival> {
        let (received, stamp) = self.received.filter(|_| !self.inbox.is_empty())?;
        let seq = self.waiting.front().copied();
        let length = load.reply_len();
        // What follows a reply is the next one's, if there is to be a next one.
        let end =
            if self.waiting.len() > 1 { length.min(self.inbox.len()) } else { self.inbox.len() };
        let verdict = match seq {
            Some(seq) => load.judge(seq, &self.inbox[..end], self.judged),
            None => Verdict::Wrong("more bytes than there are replies to come".into()),
        };
        match verdict {
            Verdict::Begun => {
                self.judged = end;
                None
            }
            Verdict::Whole(timing) => {
                self.judged = 0;
                self.replies += 1;
                self.waiting.pop_front();
                let bytes = self.inbox.split_to(length).freeze();
                Some(Arrival::Reply(Arrived { seq, received, stamp, timing, bytes }))
            }
            Verdict::Wrong(why) => {
                self.waiting.pop_front();
                let mut bytes = std::mem::take(&mut self.inbox).freeze();
                bytes.truncate(WRONG_ANSWER_KEPT);
                let arrived = Arrived { seq, received, stamp, timing: None, bytes };
                Some(Arrival::Wrong { arrived, why })
            }
        }
    }
}
