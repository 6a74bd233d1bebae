//! Timed requests: requests with a timing header. The server answers each request when it is complete. The reply
//! contains the time that the server needed. `docs/protocol.md` specifies the header.

use crate::Config;
use crate::connection::StepContext;
use crate::limits::{MAX_TIMED_REQUEST_SIZE, READ_SIZE};
use crate::timeouts::{Tick, Timeout, Timeouts};
use bytes::BytesMut;
use echo_core::header::version2::{self, FlowCounts, Report};
use echo_core::header::{self, ArrivalClock, HEADER_LEN, Request, RequestStart};
use echo_service::{ArrivalTime, ClockMonitor, TimestampedReceiver, escaped_excerpt};
use mio::net::TcpStream;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Maximum capacity of the buffer for received bytes: an incomplete request of the maximum size, and one more read.
pub(crate) const MAX_RECEIVED: usize = MAX_TIMED_REQUEST_SIZE + READ_SIZE;

/// The timed requests of one connection.
pub(crate) struct TimedRequests {
    /// Received bytes that are not answered yet: fewer than [`MAX_RECEIVED`]. Only [`TimedRequests::new`] and
    /// [`TimedRequests::reserve`] allocate the buffer.
    received: BytesMut,
    /// Arrival time of the last bytes. A request has the arrival time of its last byte.
    arrival: ArrivalTime,
    /// The time that the last bytes waited for the rate limit of the source.
    limit_delay: Duration,
    timestamps: Timestamps,
    incomplete: Option<Incomplete>,
    counts: FlowCounts,
    clock: ClockMonitor,
}

/// The arrival of an incomplete request since the start of a window.
#[derive(Debug, Clone, Copy)]
struct Incomplete {
    window_start: Tick,
    /// Number of bytes since then.
    arrived: u64,
}

/// Whether the kernel timestamps the received data.
enum Timestamps {
    /// No request has needed timestamps.
    NotRequested,
    Enabled(TimestampedReceiver),
    /// The system does not provide them.
    Unavailable,
}

impl TimedRequests {
    /// `received` contains the first bytes of the connection. They have just been read, after they had waited for
    /// `limit_delay`.
    pub(crate) fn new(received: &[u8], tick: Tick, limit_delay: Duration) -> Self {
        Self {
            received: BytesMut::from(received),
            arrival: ArrivalTime::Program(Instant::now()),
            limit_delay,
            timestamps: Timestamps::NotRequested,
            incomplete: Some(Incomplete::new(tick)),
            counts: FlowCounts { id: random_id(), ..FlowCounts::default() },
            clock: ClockMonitor::default(),
        }
    }

    /// Whether a complete request is not answered yet.
    pub(crate) fn has_request(&self) -> bool {
        Request::parse(&self.received)
            .is_some_and(|request| self.received.len() >= request.length())
    }

    /// Whether an incomplete request arrives more slowly than the minimum rate. The caller calls this function once in
    /// each tick.
    pub(crate) fn is_too_slow(&mut self, now: Tick, timeouts: Timeouts) -> bool {
        let Some(incomplete) = &mut self.incomplete else { return false };
        if incomplete.arrived >= timeouts.required_progress(u64::MAX) {
            *incomplete = Incomplete::new(now);
        }
        timeouts.is_expired(Timeout::Stall, incomplete.window_start, now)
    }

    /// Restarts the timeout of an incomplete request.
    pub(crate) fn restart_timeout(&mut self, tick: Tick) {
        self.incomplete = self.incomplete.map(|_| Incomplete::new(tick));
    }

    /// Records that a complete request has waited for the rate limit of the source.
    pub(crate) fn add_limit_delay(&mut self, delay: Duration) {
        self.limit_delay += delay;
    }

    /// Reads once. Returns the number of bytes; 0 means the end of the input.
    ///
    /// # Errors
    ///
    /// The error of the read; `WouldBlock` if no data is available.
    pub(crate) fn read(
        &mut self,
        mut stream: &TcpStream,
        context: &mut StepContext<'_>,
    ) -> io::Result<usize> {
        let buffer = &mut *context.read_buffer;
        let length = if let Timestamps::Enabled(receiver) = &mut self.timestamps {
            let received = stream.try_io(|| receiver.receive(stream, buffer))?;
            self.arrival = received.arrival;
            received.length
        } else {
            let length = stream.read(buffer)?;
            self.arrival = ArrivalTime::Program(Instant::now());
            length
        };
        self.limit_delay = context.limit_delay;
        self.append(&buffer[..length]);
        if length > 0 {
            let incomplete = self.incomplete.get_or_insert(Incomplete::new(context.tick));
            incomplete.arrived += length as u64;
        }
        Ok(length)
    }

    /// Appends received bytes. If the request arrives in small pieces, the doubled capacity avoids repeated copies.
    fn append(&mut self, bytes: &[u8]) {
        let needed = self.received.len() + bytes.len();
        if needed > self.received.capacity() {
            self.reserve(needed.max(2 * self.received.len()).min(MAX_RECEIVED));
        }
        self.received.extend_from_slice(bytes);
    }

    /// Ensures that the buffer has this capacity. The function does not use [`BytesMut::reserve`], because it can
    /// allocate twice the old capacity: the buffer can also contain the requests that the server has answered.
    fn reserve(&mut self, capacity: usize) {
        if capacity > self.received.capacity() {
            let mut larger = BytesMut::with_capacity(capacity);
            larger.extend_from_slice(&self.received);
            self.received = larger;
        }
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
        let request = match Request::at_start(&self.received) {
            RequestStart::Header(request) => request,
            RequestStart::Incomplete => return Ok(None),
            RequestStart::Malformed => {
                let reason = "the timing header is malformed";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        };
        let length = request.length();
        if self.received.len() < length {
            // One allocation for the rest of the request avoids repeated copies. The server allocates it only after the
            // peer has sent READ_SIZE bytes. A header alone must not cause a large allocation.
            if self.received.len() >= READ_SIZE {
                self.reserve(length + READ_SIZE);
            }
            return Ok(None);
        }
        let mut text = self.received.split_to(length);
        self.incomplete = Some(Incomplete::new(tick));
        if self.received.is_empty() {
            // The reply now owns the buffer, so an idle connection has no buffer.
            self.received = BytesMut::new();
            self.incomplete = None;
        }
        if config.show_messages {
            let peer = stream.peer_addr()?;
            tracing::info!(%peer, text = escaped_excerpt(&text), "request");
        }
        echo_core::uppercase(&mut text);
        if request.needs_timestamps() {
            self.enable_timestamps(stream);
        }
        // Reads the clock as late as possible. The client counts the time after this reading as network time.
        match request {
            Request::Version1 { .. } => {
                let header = header::reply_header(text.len(), self.arrival.timing());
                text[..HEADER_LEN].copy_from_slice(&header);
            }
            Request::Version2(_) => {
                let header = version2::reply_header(text.len(), &self.report());
                text[..version2::HEADER_LEN].copy_from_slice(&header);
            }
        }
        Ok(Some(text))
    }

    /// Enables kernel timestamps for the data that the server reads from now on.
    fn enable_timestamps(&mut self, stream: &TcpStream) {
        if matches!(self.timestamps, Timestamps::NotRequested) {
            self.timestamps = TimestampedReceiver::new(stream)
                .map_or(Timestamps::Unavailable, Timestamps::Enabled);
        }
    }

    /// The report for the reply to one request of this connection. The connection is the flow, so no request is
    /// missing.
    fn report(&mut self) -> Report {
        self.counts.received = self.counts.received.wrapping_add(1);
        self.counts.sent = self.counts.sent.wrapping_add(1);
        let report = self.arrival.report(self.clock.state(Instant::now()));
        let limit_delay = match report.timing.arrival {
            // A request can arrive during the wait of earlier data.
            ArrivalClock::Kernel => self.limit_delay.min(report.timing.server),
            ArrivalClock::Program => self.limit_delay,
        };
        Report { flow: Some(self.counts), limit_delay, ..report }
    }
}

impl Incomplete {
    fn new(window_start: Tick) -> Self {
        Self { window_start, arrived: 0 }
    }
}

/// A random number for the counts of a connection.
fn random_id() -> NonZeroU32 {
    #[expect(clippy::cast_possible_truncation, reason = "32 random bits are sufficient")]
    let id = RandomState::new().hash_one(0) as u32;
    NonZeroU32::new(id).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Requests whose lengths move the start of an incomplete request to any position in the buffer.
    #[test]
    fn buffer_never_exceeds_its_maximum_capacity() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let config = Config::default();
        for second in [44, 500, READ_SIZE, 40_000, MAX_TIMED_REQUEST_SIZE] {
            for piece in [100, 1000, READ_SIZE - 1, READ_SIZE] {
                let mut bytes = Vec::new();
                for length in [MAX_TIMED_REQUEST_SIZE, second, MAX_TIMED_REQUEST_SIZE, second] {
                    let end = bytes.len() + length;
                    bytes.extend_from_slice(&header::request_header(length));
                    bytes.resize(end, b'x');
                }
                let mut requests = TimedRequests::new(&[], 0, Duration::ZERO);
                let mut replies = 0;
                for bytes in bytes.chunks(piece) {
                    requests.append(bytes);
                    while requests.next_reply(&stream, &config, 0).unwrap().is_some() {
                        replies += 1;
                    }
                    let capacity = requests.received.capacity();
                    assert!(capacity <= MAX_RECEIVED, "{capacity}: {second}, {piece}");
                }
                assert_eq!((replies, requests.received.capacity()), (4, 0), "{second}, {piece}");
            }
        }
    }
}
