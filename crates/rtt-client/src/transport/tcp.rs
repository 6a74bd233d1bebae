//! TCP: a connection, and on it the request and the reply, which nothing frames: the reply is complete
//! when it is as long as it must be.

use super::{Opening, Protocol, SocketError, Transport};
use crate::verify::{Verdict, verify};
use crate::{Condition, Connection, Exchange, Failure, Outcome};
use bytes::{Bytes, BytesMut};
use echo_core::Stamp;
use socket2::{Domain, Socket, Type};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::{thread, time::Duration};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "tcp",
    title: "TCP",
    about: "One exchange over TCP: handshake, request and total RTT, and the times of each",
    default_port: 12000,
    // No limit of TCP's; one of ours, for a message that is held in memory three times.
    longest: 16 * 1024 * 1024,
    carries_empty: false,
    open,
};

/// The longest request that is written before reading begins. A longer one could fill both
/// directions' buffers, and then both sides would wait for the other to read; 16 KiB fits into the
/// send buffer of every system at its default.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// How much is read at once.
const BUFFER: usize = 64 * 1024;

struct Tcp {
    stream: TcpStream,
    peer: SocketAddr,
    timeout: Duration,
    buffer: Box<[u8]>,
}

fn open(peer: SocketAddr, timeout: Duration) -> Result<Opening, SocketError> {
    let failed = |operation| {
        move |error| SocketError { operation, protocol: PROTOCOL.title, address: peer, error }
    };
    // Everything is set before connecting, so that nothing stands between handshake and request.
    let socket = match Socket::new(Domain::for_address(peer), Type::STREAM, None) {
        Ok(socket) => socket,
        // This host may have no such family of addresses.
        Err(error) => {
            let failure = failure_of(error, Duration::ZERO).map_err(failed("opening a socket"))?;
            return Ok(Opening { connection: None, transport: Err(failure) });
        }
    };
    // A request must not wait for the acknowledgement of the one before it (RFC 896's algorithm).
    socket.set_tcp_nodelay(true).map_err(failed("setting TCP_NODELAY"))?;
    socket.set_read_timeout(Some(timeout)).map_err(failed("setting a time-out"))?;
    socket.set_write_timeout(Some(timeout)).map_err(failed("setting a time-out"))?;
    let buffer = vec![0; BUFFER].into_boxed_slice();

    let requested = Stamp::just_before();
    let connected = socket.connect_timeout(&peer.into(), timeout);
    let now = Stamp::just_after();
    let established = connected.is_ok().then_some(now);
    let transport = match connected {
        Ok(()) => Ok(Box::new(Tcp { stream: socket.into(), peer, timeout, buffer }) as Box<_>),
        Err(error) => {
            let failure = failure_of(error, now.since(&requested));
            Err(failure.map_err(failed("connecting"))?)
        }
    };
    Ok(Opening { connection: Some(Connection { requested, established }), transport })
}

impl Transport for Tcp {
    fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap_or(self.peer)
    }

    fn exchange(
        &mut self,
        seq: u64,
        request: &Bytes,
        expected: &Bytes,
    ) -> Result<Exchange, SocketError> {
        let Self { stream, timeout, buffer, .. } = self;
        let sent = Stamp::just_before();
        let outcome = if request.len() <= WRITTEN_AT_ONCE {
            match stream.write_all(request) {
                Ok(()) => wait(stream, buffer, sent, *timeout, expected),
                Err(error) => failure_of(error, sent.monotonic().elapsed()).map(outcome_of),
            }
        } else {
            thread::scope(|scope| {
                let stream = &*stream;
                // Why writing ended early is what reading comes to see as well.
                let writer = scope.spawn(move || {
                    let mut writer = stream;
                    writer.write_all(request)
                });
                let outcome = wait(stream, buffer, sent, *timeout, expected);
                if !writer.is_finished() {
                    // The peer has answered what it can't have read: it is not waited for any longer.
                    let _ = stream.shutdown(Shutdown::Both);
                }
                outcome
            })
        };
        let outcome = outcome.map_err(|error| SocketError {
            operation: "an exchange",
            protocol: PROTOCOL.title,
            address: self.peer,
            error,
        })?;
        Ok(Exchange { seq, sent: Some(sent), outcome })
    }
}

/// Reads until the reply is complete, or shows itself as something else, or the time is over.
fn wait(
    mut stream: &TcpStream,
    buffer: &mut [u8],
    sent: Stamp,
    timeout: Duration,
    expected: &Bytes,
) -> io::Result<Outcome> {
    let mut text = BytesMut::new();
    loop {
        match stream.read(buffer) {
            Ok(0) => {
                let detail = format!(
                    "the peer closed the connection after {} of the reply's {} bytes",
                    text.len(),
                    expected.len()
                );
                return Ok(Outcome::Error(Failure {
                    condition: Condition::Closed,
                    error: None,
                    after: sent.monotonic().elapsed(),
                    detail: Some(detail),
                }));
            }
            Ok(length) => {
                let received = Stamp::just_after();
                let judged = text.len();
                text.extend_from_slice(&buffer[..length]);
                match verify(&text, judged, expected) {
                    Verdict::Whole => {
                        return Ok(Outcome::Reply { received, text: text.freeze() });
                    }
                    Verdict::Begun => {
                        let left = timeout.saturating_sub(sent.monotonic().elapsed());
                        if left.is_zero() {
                            return Ok(Outcome::Lost(silent(sent, text.len(), expected.len())));
                        }
                        stream.set_read_timeout(Some(left))?;
                    }
                    Verdict::Wrong(detail) => {
                        let failure = Failure {
                            condition: Condition::WrongAnswer,
                            error: None,
                            after: received.since(&sent),
                            detail: Some(detail),
                        };
                        return Ok(Outcome::Corrupt { received, text: text.freeze(), failure });
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let failure = failure_of(error, sent.monotonic().elapsed())?;
                return Ok(match failure.condition {
                    Condition::Silent => Outcome::Lost(silent(sent, text.len(), expected.len())),
                    _ => Outcome::Error(failure),
                });
            }
        }
    }
}

fn outcome_of(failure: Failure) -> Outcome {
    match failure.condition {
        Condition::Silent => Outcome::Lost(failure),
        _ => Outcome::Error(failure),
    }
}

fn silent(sent: Stamp, arrived: usize, expected: usize) -> Failure {
    let detail = (arrived > 0).then(|| format!("{arrived} of the reply's {expected} bytes came"));
    let after = sent.monotonic().elapsed();
    Failure { condition: Condition::Silent, error: None, after, detail }
}

/// What a socket's error says about the peer or the way to it; the error itself, if nothing.
fn failure_of(error: io::Error, after: Duration) -> io::Result<Failure> {
    match Condition::of(&error) {
        Some(condition) => {
            let error = (condition != Condition::Silent).then_some(error);
            Ok(Failure { condition, error, after, detail: None })
        }
        None => Err(error),
    }
}
