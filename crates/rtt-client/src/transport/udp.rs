//! UDP: a datagram there, a datagram back.
//!
//! The socket is connected, which sends nothing: it makes the kernel drop datagrams from anybody else,
//! and hand over the ICMP errors that its own datagrams cause.

use super::{Opening, Protocol, SocketError, Transport};
use crate::verify::{Verdict, verify};
use crate::{Condition, Exchange, Failure, Outcome};
use bytes::Bytes;
use echo_core::Stamp;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::{io, time::Duration, time::Instant};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    about: "One exchange over UDP: the reply, the RTT, and the times of both",
    default_port: 25000,
    // 65,535 less 20 bytes of IPv4 header and 8 of UDP header.
    longest: 65_507,
    carries_empty: true,
    open,
};

/// Room for the longest datagram and a byte more, so that none is cut without being noticed.
const BUFFER: usize = 65_536;

struct Udp {
    socket: UdpSocket,
    peer: SocketAddr,
    buffer: Box<[u8]>,
}

fn open(peer: SocketAddr, timeout: Duration) -> Result<Opening, SocketError> {
    let failed = |operation| {
        move |error| SocketError { operation, protocol: PROTOCOL.title, address: peer, error }
    };
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let asked = Instant::now();
    let transport = match UdpSocket::bind(any).and_then(|socket| {
        socket.connect(peer)?;
        Ok(socket)
    }) {
        Ok(socket) => {
            socket.set_read_timeout(Some(timeout)).map_err(failed("setting a time-out"))?;
            let buffer = vec![0; BUFFER].into_boxed_slice();
            Ok(Box::new(Udp { socket, peer, buffer }) as Box<dyn Transport>)
        }
        // Connecting looks for a route, so the kernel can say here already that there is none.
        Err(error) => Err(failure_of(error, asked.elapsed()).map_err(failed("opening a socket"))?),
    };
    Ok(Opening { connection: None, transport })
}

impl Transport for Udp {
    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or(self.peer)
    }

    fn exchange(
        &mut self,
        seq: u64,
        request: &Bytes,
        expected: &Bytes,
    ) -> Result<Exchange, SocketError> {
        let sent = Stamp::just_before();
        let outcome = match self.socket.send(request) {
            Ok(_) => self.wait(sent, expected),
            Err(error) => failure_of(error, sent.monotonic().elapsed()).map(Outcome::Error),
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

impl Udp {
    fn wait(&mut self, sent: Stamp, expected: &Bytes) -> io::Result<Outcome> {
        loop {
            match self.socket.recv(&mut self.buffer) {
                Ok(length) => {
                    let received = Stamp::just_after();
                    let text = Bytes::copy_from_slice(&self.buffer[..length]);
                    return Ok(judge(text, expected, sent, received));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let after = sent.monotonic().elapsed();
                    let failure = failure_of(error, after)?;
                    return Ok(match failure.condition {
                        Condition::Silent => Outcome::Lost(failure),
                        _ => Outcome::Error(failure),
                    });
                }
            }
        }
    }
}

fn judge(text: Bytes, expected: &Bytes, sent: Stamp, received: Stamp) -> Outcome {
    let detail = match verify(&text, 0, expected) {
        Verdict::Whole => return Outcome::Reply { received, text },
        Verdict::Begun => format!("{} bytes instead of {}", text.len(), expected.len()),
        Verdict::Wrong(detail) => detail,
    };
    let failure = Failure {
        condition: Condition::WrongAnswer,
        error: None,
        after: received.since(&sent),
        detail: Some(detail),
    };
    Outcome::Corrupt { received, text, failure }
}

/// What a socket's error says about the peer or the way to it; the error itself, if nothing.
fn failure_of(error: io::Error, after: Duration) -> io::Result<Failure> {
    let condition = match Condition::of(&error) {
        // Windows tells of an ICMP "port unreachable" with WSAECONNRESET.
        Some(Condition::Reset) => Condition::Refused,
        Some(condition) => condition,
        None => return Err(error),
    };
    let error = (condition != Condition::Silent).then_some(error);
    Ok(Failure { condition, error, after, detail: None })
}
