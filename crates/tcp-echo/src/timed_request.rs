//! Timed requests: requests with a timing header. The server answers each request when it is complete. The reply
//! contains the time that the server needed. `docs/protocol.md` specifies the header.

use crate::Config;
use crate::limits::READ_SIZE;
use crate::timeouts::Tick;
use bytes::BytesMut;
use echo_core::header::{self, HEADER_LEN};
use echo_service::{ArrivalTime, TimestampedReceiver, escaped_excerpt};
use mio::net::TcpStream;
use std::io::{self, Read as _};
use std::time::Instant;

/// The timed requests of one connection.
pub(crate) struct TimedRequests {
    /// Received bytes that are not answered yet. Their number is less than [`header::MAX_TIMED_LEN`] + [`READ_SIZE`].
    received: BytesMut,
    /// Arrival time of the last bytes. A request has the arrival time of its last byte.
    arrival: ArrivalTime,
    /// Reads with kernel timestamps. `None` if the system does not provide them.
    receiver: Option<TimestampedReceiver>,
    incomplete_since: Option<Tick>,
}

impl TimedRequests {
    /// `received` contains the first bytes of the connection, and `arrival` is the time of their read.
    pub(crate) fn new(stream: &TcpStream, received: &[u8], arrival: Instant, tick: Tick) -> Self {
        Self {
            received: BytesMut::from(received),
            arrival: ArrivalTime::Program(arrival),
            receiver: TimestampedReceiver::new(stream),
            incomplete_since: Some(tick),
        }
    }

    /// Whether a complete request is not answered yet.
    pub(crate) fn has_request(&self) -> bool {
        header::timed_request_length(&self.received)
            .is_some_and(|length| self.received.len() >= length)
    }

    /// The tick in which the incomplete request started. `None` if there is no incomplete request.
    pub(crate) fn incomplete_since(&self) -> Option<Tick> {
        self.incomplete_since
    }

    /// Restarts the timeout of an incomplete request.
    pub(crate) fn restart_timeout(&mut self, tick: Tick) {
        self.incomplete_since = self.incomplete_since.map(|_| tick);
    }

    /// Reads once. Returns the number of bytes; 0 means the end of the input. `buffer` is the worker's read buffer.
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

    /// Removes the next complete request, and returns its reply. `None` if no request is complete.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the received bytes do not start with a valid header. The system's error if the log needs the
    /// peer's address and the system does not return it.
    pub(crate) fn next_reply(
        &mut self,
        stream: &TcpStream,
        config: &Config,
        tick: Tick,
    ) -> io::Result<Option<BytesMut>> {
        if self.received.len() < HEADER_LEN {
            return Ok(None);
        }
        let length = header::timed_request_length(&self.received).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the timing header is malformed")
        })?;
        if self.received.len() < length {
            // One allocation for the rest of the request avoids repeated copies. The server allocates it only after the
            // peer has sent READ_SIZE bytes. A header alone must not cause a large allocation.
            if self.received.len() >= READ_SIZE {
                self.received.reserve(length - self.received.len() + READ_SIZE);
            }
            return Ok(None);
        }
        let mut text = self.received.split_to(length);
        self.incomplete_since = Some(tick);
        if self.received.is_empty() {
            // The reply now owns the buffer, so an idle connection has no buffer.
            self.received = BytesMut::new();
            self.incomplete_since = None;
        }
        if config.show_messages {
            let peer = stream.peer_addr()?;
            tracing::info!(%peer, text = escaped_excerpt(&text), "request");
        }
        echo_core::uppercase(&mut text);
        // Reads the clock as late as possible. The client counts the time after this reading as network time.
        let header = header::reply_header(text.len(), self.arrival.timing());
        text[..HEADER_LEN].copy_from_slice(&header);
        Ok(Some(text))
    }
}
