//! Messages that begin with a timing header: each is answered when it is whole, with how long it was here.
//! `docs/protocol.md` specifies it.

use crate::Config;
use crate::bounds::{PIECE, Round};
use bytes::BytesMut;
use echo_core::header::{self, HEADER_LEN};
use echo_service::{ArrivalTime, TimestampedReceiver, escaped_excerpt};
use mio::net::TcpStream;
use std::io::{self, Read as _};
use std::time::Instant;

/// What has been read of a connection that asks for timings, and is not answered yet: less than a message
/// of [`header::MAX_TIMED_LEN`] bytes, and a piece.
pub(crate) struct Timed {
    inbox: BytesMut,
    /// When the last piece arrived: a message that is whole arrived with it.
    since: ArrivalTime,
    receiver: Option<TimestampedReceiver>,
    /// In which round the message began that is not whole yet.
    pub(crate) begun: Option<Round>,
}

impl Timed {
    /// A connection that has begun with `piece`, read just now.
    pub(crate) fn new(stream: &TcpStream, piece: &[u8], now: Instant, round: Round) -> Self {
        let inbox = BytesMut::from(piece);
        let receiver = TimestampedReceiver::new(stream);
        Self { inbox, since: ArrivalTime::Program(now), receiver, begun: Some(round) }
    }

    /// Whether a message has arrived whole.
    pub(crate) fn has_message(&self) -> bool {
        header::timed_request_length(&self.inbox).is_some_and(|length| self.inbox.len() >= length)
    }

    /// The reply to the next message that has arrived whole.
    ///
    /// # Errors
    ///
    /// If what arrived is no such message.
    pub(crate) fn next_reply(
        &mut self,
        stream: &TcpStream,
        config: &Config,
        round: Round,
    ) -> io::Result<Option<BytesMut>> {
        if self.inbox.len() < HEADER_LEN {
            return Ok(None);
        }
        let length = header::timed_request_length(&self.inbox)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a malformed header"))?;
        if self.inbox.len() < length {
            // Room for all of it at once, so that it need not be moved again and again; but not for one who has
            // only announced it.
            if self.inbox.len() >= PIECE {
                self.inbox.reserve(length - self.inbox.len() + PIECE);
            }
            return Ok(None);
        }
        let mut text = self.inbox.split_to(length);
        self.begun = Some(round);
        if self.inbox.is_empty() {
            // Its memory goes with the message: a connection that is idle has none.
            self.inbox = BytesMut::new();
            self.begun = None;
        }
        if config.show_messages {
            let peer = stream.peer_addr()?;
            tracing::info!(%peer, "{}", escaped_excerpt(&text));
        }
        echo_core::uppercase(&mut text);
        // The last thing before sending: what comes after it counts as the network's.
        let told = header::reply_header(text.len(), self.since.timing());
        text[..HEADER_LEN].copy_from_slice(&told);
        Ok(Some(text))
    }

    /// Reads a piece, by way of `scratch`. Returns how long it is; 0 at the end.
    ///
    /// # Errors
    ///
    /// As the stream has them; `WouldBlock` where there is nothing yet.
    pub(crate) fn read(
        &mut self,
        mut stream: &TcpStream,
        scratch: &mut [u8],
        round: Round,
    ) -> io::Result<usize> {
        let length = if let Some(receiver) = &mut self.receiver {
            let arrived = stream.try_io(|| receiver.receive(stream, scratch))?;
            self.since = arrived.arrival;
            arrived.length
        } else {
            let length = stream.read(scratch)?;
            self.since = ArrivalTime::Program(Instant::now());
            length
        };
        self.inbox.extend_from_slice(&scratch[..length]);
        if length > 0 {
            self.begun.get_or_insert(round);
        }
        Ok(length)
    }
}
