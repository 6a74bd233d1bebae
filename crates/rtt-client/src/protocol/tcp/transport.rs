//! The TCP transport: one connection.

use super::facts::{FACTS, HEADER_LEN};
use super::handshake::{describe_requests, retransmitted};
use super::system::{ConnectResult, connect, statistics};
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::Connection;
use crate::model::traffic::{KernelStatistics, Traffic, ip_header_len};
use crate::net::connectionless::{connected_to_itself, release_port};
use crate::net::failure::ReportedErrors;
use crate::net::limitation::{Limitation, Part};
use crate::net::socket::{BufferedSocket, OperationError, SocketKind, set_option};
use crate::net::system::{MAX_PAUSE, NetworkError, WaitUntil};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SentRequest, SocketError, SocketOperation, Transport,
};
use bytes::BytesMut;
use echo_core::Stamp;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tracing::debug;

/// The maximum length of a request that is written without reading in between, in bytes. A longer request could fill
/// the buffers of both directions. The client and the server would then wait for each other to read. The default
/// send buffer of every system holds 16 KiB.
const MAX_SINGLE_WRITE: usize = 16 * 1024;

/// The minimum timeout that every system supports.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The pause if the client cannot write the rest of a long request and cannot read. A long request takes milliseconds,
/// so this pause is short.
const WRITE_PAUSE: Duration = Duration::from_micros(20);

/// The maximum number of bytes that are read while one request is written. The bytes can belong to the reply to this
/// request, and to replies to earlier requests. More bytes than this cannot be replies.
const MAX_EARLY_BYTES: usize = 64 * 1024 * 1024;

/// The maximum number of attempts to connect if each of them connects the socket to itself.
const MAX_SELF_CONNECTIONS: u32 = 4;

/// The length of the timestamps option with its padding, in bytes (RFC 7323, appendix A).
const TIMESTAMPS_LEN: u64 = 12;

struct Tcp {
    socket: BufferedSocket,
    timeout: Duration,
    /// Whether a write ends after the timeout.
    has_write_timeout: bool,
    limitations: Vec<Limitation>,
    /// The number of bytes sent. The kernel uses this number to identify timestamps.
    sent: u32,
    /// Bytes that were read while a long request was written.
    early: BytesMut,
    /// The time at which the last early bytes were read. `None` after `receive` has returned them.
    early_received: Option<Stamp>,
    received_during_close: bool,
}

/// Whether Nagle's algorithm (RFC 896) is on. It delays a small write until the peer has acknowledged the earlier data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nagle {
    Off,
    On,
}

/// Connects to `peer`, without Nagle's algorithm. With it, a request could wait for the acknowledgement of the previous
/// one.
pub(super) fn open(peer: SocketAddr, config: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
    open_with(peer, config, Nagle::Off)
}

/// Connects to `peer`. If the system connects the socket to itself, tries again from another port.
pub(super) fn open_with(
    peer: SocketAddr,
    config: OpenConfig<'_>,
    nagle: Nagle,
) -> Result<OpenAttempt, SocketError> {
    let is_chosen_by_system = config.bind.is_none_or(|address| address.port() == 0);
    let attempts = if is_chosen_by_system { MAX_SELF_CONNECTIONS } else { 1 };
    for number in 1..=attempts {
        let opened = match open_once(peer, config, nagle)? {
            Opened::Attempt(attempt) => attempt,
            Opened::ConnectedToItself { requested } if number == attempts => {
                return Ok(self_connected(requested));
            }
            Opened::ConnectedToItself { .. } => {
                debug!(%peer, "connected to itself; trying another port");
                continue;
            }
        };
        // The port of the rejected socket can be the only one.
        let has_no_port =
            matches!(&opened.transport, Err(failure) if failure.condition == Condition::LocalLimit);
        return Ok(match &opened.connection {
            Some(connection) if has_no_port && number > 1 => self_connected(connection.requested),
            _ => opened,
        });
    }
    unreachable!("the last attempt returns")
}

/// The result of one attempt to connect.
enum Opened {
    Attempt(OpenAttempt),
    /// The local address is the peer's address. The socket is closed.
    ConnectedToItself {
        requested: Stamp,
    },
}

/// The failed attempt of a socket that was connected to itself.
fn self_connected(requested: Stamp) -> OpenAttempt {
    let failure = connected_to_itself(Stamp::just_after().since(&requested));
    OpenAttempt { connection: Some(Connection::requested(requested)), transport: Err(failure) }
}

fn open_once(
    peer: SocketAddr,
    config: OpenConfig<'_>,
    nagle: Nagle,
) -> Result<Opened, SocketError> {
    let with_peer = |error: OperationError| error.with_peer(&FACTS, peer);
    let timeout = config.receiver.timeout;
    let start = Stamp::just_before();
    // Set as many options as possible before the handshake, so that the first request can follow it soon.
    let mut socket = match BufferedSocket::new(peer, SocketKind::STREAM, &config) {
        Ok(socket) => socket,
        Err(error) => {
            let after = start.monotonic().elapsed();
            let failure =
                error.into_failure(peer, ReportedErrors::NONE, after).map_err(with_peer)?;
            return Ok(Opened::Attempt(OpenAttempt { connection: None, transport: Err(failure) }));
        }
    };
    let no_delay = nagle == Nagle::Off;
    let is_set = set_option("TCP_NODELAY", no_delay, || socket.inner.set_tcp_nodelay(no_delay));
    let refused = is_set.err().map(|error| error.into_limitation(Part::ImmediateSend));
    // A write repeats after this time until its own deadline, because the stop flag does not interrupt a system call.
    let write_timeout = timeout.clamp(MIN_TIMEOUT, MAX_PAUSE);
    let has_write_timeout = set_option("SO_SNDTIMEO", write_timeout, || {
        socket.inner.set_write_timeout(Some(write_timeout))
    })
    .is_ok();
    debug!(%peer, "connecting");

    let requested = Stamp::just_before();
    let ConnectResult { result, requests } =
        connect(&socket.inner, &peer.into(), timeout.max(MIN_TIMEOUT), config.stop);
    let now = Stamp::just_after();

    let handshake = now.since(&requested);
    let mut connection = Connection::requested(requested);
    connection.retransmitted =
        statistics(&socket.inner).and_then(|statistics| retransmitted(&statistics, handshake));
    let transport = match result {
        Ok(()) if socket.is_connected_to_itself(peer) => {
            release_port(&socket.inner);
            return Ok(Opened::ConnectedToItself { requested });
        }
        Ok(()) => {
            connection.complete(&FACTS.phases[0], now);
            connection.is_established = true;
            socket.receiver.disable_icmp_errors(&socket.inner);
            socket.receiver.enable_timestamps(&socket.inner);
            let limitations =
                socket.receiver.limitations().iter().cloned().chain(refused).collect();
            let tcp = Tcp { has_write_timeout, limitations, ..Tcp::new(socket, timeout) };
            Ok(Box::new(tcp) as Box<dyn Transport>)
        }
        Err(error) => {
            let error = OperationError { operation: SocketOperation::Connect, error };
            let errors = &socket.network_errors();
            let reported = ReportedErrors { errors, is_complete: socket.reports_icmp_errors() };
            let failure = error.into_failure(peer, reported, handshake).map_err(with_peer)?;
            let detail = failure.detail.or(describe_requests(&requests));
            Err(Failure { detail, ..failure })
        }
    };
    Ok(Opened::Attempt(OpenAttempt { connection: Some(connection), transport }))
}

/// A write of a stream ends with EAGAIN after the timeout. The peer has not acknowledged the earlier data.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Transport for Tcp {
    fn local(&self) -> Option<SocketAddr> {
        self.socket.local()
    }

    fn send(&mut self, _: u64, request: &[u8], stop: &AtomicBool) -> io::Result<SentRequest> {
        let stamp = Stamp::just_before();
        let deadline = stamp.monotonic() + self.timeout;
        if request.len() <= MAX_SINGLE_WRITE && self.has_write_timeout {
            self.write(request, deadline, stop).map_err(timed_out)?;
        } else {
            self.socket.inner.set_nonblocking(true)?;
            let result = self.write_and_read(request, deadline, stop);
            self.socket.inner.set_nonblocking(false)?;
            result?;
        }
        // The kernel identifies a write by the number of its last byte. This number has 32 bits and wraps.
        #[expect(clippy::cast_possible_truncation, reason = "a request has at most 16 MiB")]
        let length = request.len() as u32;
        self.sent = self.sent.wrapping_add(length);
        let timestamp_id = TimestampId { id: Some(self.sent.wrapping_sub(1)) };
        Ok(SentRequest { stamp, timestamp_id })
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        if let Some(received) = self.early_received.take() {
            return Ok(Received::Bytes {
                received,
                timestamp: None,
                hop_limit: None,
                request: None,
                bytes: &self.early,
            });
        }
        match self.socket.receive(until)? {
            Received::Bytes { bytes: [], .. } => Ok(Received::End),
            received => Ok(received),
        }
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.socket.network_errors()
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.socket.receiver.transmitted(&self.socket.inner, timestamp_id.id?)
    }

    fn kernel_statistics(&self) -> Option<KernelStatistics> {
        statistics(&self.socket.inner)
    }

    fn limitations(&self) -> Vec<Limitation> {
        self.limitations.clone()
    }

    fn traffic(&self) -> Option<Traffic> {
        let segments = statistics(&self.socket.inner)?.segments?;
        let options = if segments.has_timestamps { TIMESTAMPS_LEN } else { 0 };
        let header = ip_header_len(self.local()?) + HEADER_LEN as u64 + options;
        Some(Traffic {
            packets_out: segments.sent,
            packets_in: segments.received,
            without_data_out: segments.sent.saturating_sub(segments.data_sent),
            without_data_in: segments.received.saturating_sub(segments.data_received),
            ip_bytes_out: segments.sent * header + segments.bytes_sent,
            ip_bytes_in: segments.received * header + segments.bytes_received,
        })
    }

    fn close(&mut self, timeout: Duration, stop: &AtomicBool) -> Option<Duration> {
        let start = Instant::now();
        self.socket.inner.shutdown(Shutdown::Write).ok()?;
        let deadline = start + timeout;
        while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            let until = deadline.min(Instant::now() + MAX_PAUSE);
            match self.receive(WaitUntil::Exact(until)) {
                Ok(Received::End) => return Some(start.elapsed()),
                // After the last exchange, no request waits for these bytes.
                Ok(Received::Bytes { .. }) => self.received_during_close = true,
                Ok(Received::Failed { .. }) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        None
    }

    fn received_during_close(&self) -> bool {
        self.received_during_close
    }
}

impl Tcp {
    fn new(socket: BufferedSocket, timeout: Duration) -> Self {
        Self {
            socket,
            timeout,
            has_write_timeout: true,
            limitations: Vec::new(),
            sent: 0,
            early: BytesMut::new(),
            early_received: None,
            received_during_close: false,
        }
    }

    /// Writes a short `request`. The socket must be blocking.
    fn write(&self, mut request: &[u8], deadline: Instant, stop: &AtomicBool) -> io::Result<()> {
        while !request.is_empty() {
            match (&self.socket.inner).write(request) {
                Ok(written) => request = &request[written..],
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    // The write timeout of the socket has expired.
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                        if Instant::now() < deadline && !stop.load(Ordering::Relaxed) => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Writes a long `request`, and reads the bytes that arrive during this time. The socket must be non-blocking.
    fn write_and_read(
        &mut self,
        mut request: &[u8],
        deadline: Instant,
        stop: &AtomicBool,
    ) -> io::Result<()> {
        if self.early_received.is_none() {
            self.early.clear();
        }
        let mut piece = [0; MAX_SINGLE_WRITE];
        while !request.is_empty() {
            match (&self.socket.inner).write(request) {
                Ok(written) => {
                    request = &request[written..];
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            match (&self.socket.inner).read(&mut piece) {
                Ok(0) => return Err(ErrorKind::ConnectionReset.into()),
                Ok(_) if self.early.len() > MAX_EARLY_BYTES => {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                Ok(length) => {
                    self.early_received = Some(Stamp::just_after());
                    self.early.extend_from_slice(&piece[..length]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline || stop.load(Ordering::Relaxed) {
                        return Err(ErrorKind::TimedOut.into());
                    }
                    thread::sleep(WRITE_PAUSE);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
