//! Requests with a timing header. The server answers each request when it is complete, and the reply states how long
//! the server had the request. `docs/protocol.md` specifies the header.

use crate::Config;
use crate::limits::READ_SIZE;
use crate::timeouts::Tick;
use bytes::BytesMut;
use echo_core::header::{self, HEADER_LEN};
use echo_service::{ArrivalTime, TimestampedReceiver, escaped_excerpt};
use mio::net::TcpStream;
use std::io::{self, Read as _};
use std::time::Instant;

/// The timed requests of one connection: received bytes without a reply. They are fewer than one request of
/// [`header::MAX_TIMED_LEN`] bytes plus one read.
pub(crate) struct TimedRequests {
    received: BytesMut,
    /// Arrival of the last bytes. It is the arrival of each request that these bytes complete.
    arrival: ArrivalTime,
    /// Receives with kernel timestamps, where the system provides them.
    receiver: Option<TimestampedReceiver>,
    /// The tick in which the incomplete request started.
    incomplete_since: Option<Tick>,
}

impl TimedRequests {
    /// Starts with `received`, the first bytes of the connection, which the server has read at `arrival`.
    pub(crate) fn new(stream: &TcpStream, received: &[u8], arrival: Instant, tick: Tick) -> Self {
        Self {
            received: BytesMut::from(received),
            arrival: ArrivalTime::Program(arrival),
            receiver: TimestampedReceiver::new(stream),
            incomplete_since: Some(tick),
        }
    }

    /// Whether a complete request waits for its reply.
    pub(crate) fn has_request(&self) -> bool {
        header::timed_request_length(&self.received)
            .is_some_and(|length| self.received.len() >= length)
    }

    /// The tick in which the incomplete request started, if there is one.
    pub(crate) fn incomplete_since(&self) -> Option<Tick> {
        self.incomplete_since
    }

    /// Restarts the timeout of an incomplete request.
    pub(crate) fn restart_timeout(&mut self, tick: Tick) {
        self.incomplete_since = self.incomplete_since.map(|_| tick);
    }

    /// Reads once. Returns the number of bytes, 0 at the end of the input. `buffer` is the worker's read buffer.
    ///
    /// # Errors
    ///
    /// The error of the read; `WouldBlock` if no data is available.
    pub(crate) fn read(
        &mut self,
        mut stream: &TcpStream,
        buffer: &mut [u8],
        tick: Tick,
    ) -> io::Result<usize> {
        let length = if let Some(receiver) = &mut self.receiver {
            let received = stream.try_io(|| receiver.receive(stream, buffer))?;
            self.arrival = received.arrival;
            received.length
        } else {
            let length = stream.read(buffer)?;
            self.arrival = ArrivalTime::Program(Instant::now());
            length
        };
        self.received.extend_from_slice(&buffer[..length]);
        if length > 0 {
            self.incomplete_since.get_or_insert(tick);
        }
        Ok(length)
    }

    /// Removes the next complete request and returns its reply; `None` if no request is complete.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the received bytes do not start with a valid header; the error of the system if the address
    /// of the peer is needed for the log and not available.
    pub(crate) fn next_reply(
        &mut self,
        stream: &TcpStream,
        config: &Config,
        tick: Tick,
    ) -> io::Result<Option<BytesMut>> {
        if self.received.len() < HEADER_LEN {
            return Ok(None);
        }
        let length = header::timed_request_length(&self.received)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed timing header"))?;
        if self.received.len() < length {
            // One allocation for the rest of the request avoids repeated copies. It happens only after the peer has
            // sent READ_SIZE bytes: a header alone must not make the server allocate memory.
            if self.received.len() >= READ_SIZE {
                self.received.reserve(length - self.received.len() + READ_SIZE);
            }
            return Ok(None);
        }
        let mut text = self.received.split_to(length);
        self.incomplete_since = Some(tick);
        if self.received.is_empty() {
            // The reply takes over the memory, so that an idle connection has no buffer.
            self.received = BytesMut::new();
            self.incomplete_since = None;
        }
        if config.show_messages {
            let peer = stream.peer_addr()?;
            tracing::info!(%peer, "{}", escaped_excerpt(&text));
        }
        echo_core::uppercase(&mut text);
        // The clock is read immediately before the write: the client counts all later time as network time.
        let header = header::reply_header(text.len(), self.arrival.timing());
        text[..HEADER_LEN].copy_from_slice(&header);
        Ok(Some(text))
    }
}
