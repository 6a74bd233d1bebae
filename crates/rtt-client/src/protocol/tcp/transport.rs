//! TCP: a connection, and on it requests and replies, which nothing frames.

use super::facts::FACTS;
use crate::model::breakdown::TimestampId;
use crate::model::condition::Failure;
use crate::model::exchange::Connection;
use crate::model::tcp_info::TcpInfo;
use crate::model::traffic::Traffic;
use crate::net::socket::BufferedSocket;
use crate::net::system::{NetworkError, WaitUntil, connect, tcp_info};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SocketError, SocketOperation, Transport, failure_with_cause,
    ip_header_len,
};
use bytes::BytesMut;
use echo_core::Stamp;
use socket2::Type;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The longest request that is written before anything is read. A longer one could fill both
/// directions' buffers, and then both sides would wait for the other to read; 16 KiB fits into the
/// send buffer of every system at its default.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// The shortest time-out that every system takes for one.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long a longer one rests when it can be neither written on nor read from: short against the
/// milliseconds that it takes.
const REST: Duration = Duration::from_micros(20);

/// How much may arrive while one request is being written: the replies to what can be on its way before
/// it in both directions' buffers, and the longest request's own. More is no answer to anything.
const MOST_EARLY: usize = 64 * 1024 * 1024;

/// A segment's header without options, in bytes (RFC 9293), and what time stamps add with their padding
/// (RFC 7323, appendix A).
const HEADER: u64 = 20;
const STAMPS_OPTION: u64 = 12;

struct Tcp {
    wire: BufferedSocket,
    timeout: Duration,
    /// How many bytes have been sent: the kernel numbers its stamps by them.
    sent: u32,
    /// What arrived while a long request was being written, and when the last of it did; none, when it
    /// has been handed on.
    early: BytesMut,
    early_received: Option<Stamp>,
}

pub(super) fn open(peer: SocketAddr, config: OpenConfig) -> Result<OpenAttempt, SocketError> {
    let failed = |operation| {
        move |error| SocketError { operation, protocol: FACTS.title, address: peer, error }
    };
    let timeout = config.receiver.timeout;
    // Everything is set before connecting, so that nothing stands between handshake and request.
    let mut wire = match BufferedSocket::new(peer, Type::STREAM, config.bind, config.receiver) {
        Ok(wire) => wire,
        // This host may have no such family of addresses.
        Err(error) => {
            let failure = failure_with_cause(error, &[], Duration::ZERO);
            let failure = failure.map_err(failed(SocketOperation::Create))?;
            return Ok(OpenAttempt { connection: None, transport: Err(failure) });
        }
    };
    // A request must not wait for the acknowledgement of the one before it (RFC 896's algorithm), unless
    // it is just this that is to be shown.
    wire.socket
        .set_tcp_nodelay(!config.nagle)
        .map_err(failed(SocketOperation::SetOption("TCP_NODELAY")))?;
    wire.socket
        .set_write_timeout(Some(timeout.max(SHORTEST)))
        .map_err(failed(SocketOperation::SetOption("SO_SNDTIMEO")))?;

    let requested = Stamp::just_before();
    let (connected, requests) = connect(&wire.socket, &peer.into(), timeout.max(SHORTEST));
    let now = Stamp::just_after();
    let established = connected.is_ok().then_some(now);
    let transport = match connected {
        Ok(()) => {
            wire.receiver
                .leave_errors_to_tcp(&wire.socket)
                .and_then(|()| wire.receiver.enable_timestamps(&wire.socket))
                .map_err(failed(SocketOperation::SetOption("SO_TIMESTAMPING")))?;
            let (early, early_received) = (BytesMut::new(), None);
            Ok(Box::new(Tcp { wire, timeout, sent: 0, early, early_received }) as Box<_>)
        }
        Err(error) => {
            let failure = failure_with_cause(error, &wire.network_errors(), now.since(&requested));
            let failure = failure.map_err(failed(SocketOperation::Connect))?;
            let detail = failure.detail.or(requests_in_words(&requests));
            Err(Failure { detail, ..failure })
        }
    };
    Ok(OpenAttempt { connection: Some(Connection { requested, established }), transport })
}

/// When connection requests were sent, in words, where there was more than one.
fn requests_in_words(requests: &[Duration]) -> Option<String> {
    let (last, others) = requests.split_last().filter(|(_, others)| !others.is_empty())?;
    let told: Vec<String> = others.iter().map(|at| format!("{:.1}", at.as_secs_f64())).collect();
    let (count, last) = (requests.len(), last.as_secs_f64());
    Some(format!("{count} connection requests, at {} and {last:.1} s", told.join(", ")))
}

impl Transport for Tcp {
    fn local(&self) -> SocketAddr {
        self.wire.local()
    }

    fn send(&mut self, request: &[u8]) -> io::Result<(Stamp, TimestampId)> {
        let stamp = Stamp::just_before();
        if request.len() <= WRITTEN_AT_ONCE {
            (&self.wire.socket).write_all(request)?;
        } else {
            self.wire.socket.set_nonblocking(true)?;
            let written = self.write_and_read(request, stamp.monotonic() + self.timeout);
            self.wire.socket.set_nonblocking(false)?;
            written?;
        }
        // A packet's number is that of its last byte; they wrap as the kernel's do.
        #[expect(clippy::cast_possible_truncation, reason = "at most 16 MiB")]
        let length = request.len() as u32;
        self.sent = self.sent.wrapping_add(length);
        Ok((stamp, TimestampId { id: Some(self.sent.wrapping_sub(1)) }))
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        if let Some(received) = self.early_received.take() {
            return Ok(Received::Bytes { received, timestamp: None, bytes: &self.early });
        }
        match self.wire.receive(until)? {
            Received::Bytes { bytes: [], .. } => Ok(Received::End),
            received => Ok(received),
        }
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.wire.network_errors()
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.wire.receiver.transmitted(&self.wire.socket, timestamp_id.id?)
    }

    fn tcp_info(&self) -> Option<TcpInfo> {
        tcp_info(&self.wire.socket)
    }

    fn traffic(&self) -> Option<Traffic> {
        let segments = tcp_info(&self.wire.socket)?.segments?;
        let stamps = if segments.has_timestamps { STAMPS_OPTION } else { 0 };
        let header = ip_header_len(self.local()) + HEADER + stamps;
        Some(Traffic {
            packets_out: segments.sent,
            packets_in: segments.received,
            without_data_out: segments.sent.saturating_sub(segments.data_sent),
            without_data_in: segments.received.saturating_sub(segments.data_received),
            ip_bytes_out: segments.sent * header + segments.bytes_sent,
            ip_bytes_in: segments.received * header + segments.bytes_received,
        })
    }

    fn close(&mut self, patience: Duration) -> Option<Duration> {
        let begun = Instant::now();
        self.wire.socket.shutdown(Shutdown::Write).ok()?;
        let deadline = begun + patience;
        while Instant::now() < deadline {
            match self.receive(WaitUntil::Exact(deadline)) {
                Ok(Received::End) => return Some(begun.elapsed()),
                // What comes now is nobody's any more.
                Ok(Received::Bytes { .. } | Received::Nothing) => {}
                Err(_) => return None,
            }
        }
        None
    }
}

impl Tcp {
    /// Writes `request` and keeps what arrives meanwhile.
    fn write_and_read(&mut self, mut request: &[u8], deadline: Instant) -> io::Result<()> {
        if self.early_received.is_none() {
            self.early.clear();
        }
        let mut piece = [0; WRITTEN_AT_ONCE];
        while !request.is_empty() {
            match (&self.wire.socket).write(request) {
                Ok(written) => {
                    request = &request[written..];
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            match (&self.wire.socket).read(&mut piece) {
                Ok(0) => return Err(ErrorKind::ConnectionReset.into()),
                Ok(_) if self.early.len() > MOST_EARLY => {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                Ok(length) => {
                    self.early_received = Some(Stamp::just_after());
                    self.early.extend_from_slice(&piece[..length]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        return Err(ErrorKind::TimedOut.into());
                    }
                    thread::sleep(REST);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
