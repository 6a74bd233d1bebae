//! A transport for unit tests and fuzz targets. It returns scripted messages and does not use a socket.

use crate::model::breakdown::TimestampId;
#[cfg(test)]
use crate::model::{exchange::Connection, protocol::Phase};
use crate::net::system::{NetworkError, WaitUntil};
#[cfg(test)]
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::net::transport::{Received, SentRequest, Transport};
use bytes::BytesMut;
use echo_core::Stamp;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

/// The address of the simulated server.
pub(in crate::engine) const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7);

#[cfg(test)]
static PHASE: Phase = Phase { name: "greeting", end: "greeting received" };

/// The result of one call of `receive`.
#[cfg(test)]
pub(in crate::engine) enum Incoming {
    Bytes(&'static [u8]),
    /// A datagram whose header contains the number of its request.
    ReplyTo(u64, &'static [u8]),
    Stray,
    End,
}

/// A transport that returns these messages, and then nothing. A message can have the number of its request.
pub(in crate::engine) fn of_messages(
    messages: impl IntoIterator<Item = (Option<u64>, Vec<u8>)>,
) -> Box<dyn Transport> {
    let messages = messages.into_iter().map(|(request, bytes)| Message::Bytes(request, bytes));
    let incoming = messages.collect();
    Box::new(TestTransport { incoming, echoes: false, current: Vec::new() })
}

/// A successful attempt to open a transport. The transport returns the `incoming` messages, and then nothing.
#[cfg(test)]
pub(in crate::engine) fn scripted(incoming: impl IntoIterator<Item = Incoming>) -> OpenAttempt {
    let script = incoming.into_iter().map(|incoming| match incoming {
        Incoming::Bytes(bytes) => Message::Bytes(None, bytes.to_vec()),
        Incoming::ReplyTo(request, bytes) => Message::Bytes(Some(request), bytes.to_vec()),
        Incoming::Stray => Message::Stray,
        Incoming::End => Message::End,
    });
    attempt(TestTransport { incoming: script.collect(), echoes: false, current: Vec::new() })
}

/// Opens a transport to a simulated server. It replies with each request in upper case, and takes one millisecond to
/// close a connection.
#[cfg(test)]
#[expect(clippy::unnecessary_wraps, reason = "the signature of a driver")]
pub(in crate::engine) fn open_echo(
    _: SocketAddr,
    _: OpenConfig<'_>,
) -> Result<OpenAttempt, SocketError> {
    Ok(attempt(TestTransport { incoming: VecDeque::new(), echoes: true, current: Vec::new() }))
}

#[cfg(test)]
fn attempt(transport: TestTransport) -> OpenAttempt {
    let requested = Stamp::just_before();
    let mut connection = Connection::requested(requested);
    connection.complete(&PHASE, Stamp::just_after());
    connection.is_established = true;
    OpenAttempt { connection: Some(connection), transport: Ok(Box::new(transport)) }
}

/// A message that the transport returns.
#[cfg_attr(not(test), expect(dead_code, reason = "fuzz targets use only bytes"))]
enum Message {
    Bytes(Option<u64>, Vec<u8>),
    Stray,
    End,
}

struct TestTransport {
    incoming: VecDeque<Message>,
    echoes: bool,
    current: Vec<u8>,
}

impl Transport for TestTransport {
    fn local(&self) -> Option<SocketAddr> {
        Some(ADDRESS)
    }

    fn send(&mut self, _: u64, request: &[u8], _: &AtomicBool) -> io::Result<SentRequest> {
        if self.echoes {
            let mut reply = BytesMut::from(request);
            echo_core::uppercase(&mut reply);
            self.incoming.push_back(Message::Bytes(None, reply.to_vec()));
        }
        Ok(SentRequest { stamp: Stamp::just_before(), timestamp_id: TimestampId::default() })
    }

    fn receive(&mut self, _: WaitUntil) -> io::Result<Received<'_>> {
        match self.incoming.pop_front() {
            Some(Message::Bytes(request, bytes)) => {
                self.current = bytes;
                let received = Stamp::just_after();
                Ok(Received::Bytes {
                    received,
                    timestamp: None,
                    hop_limit: None,
                    request,
                    bytes: &self.current,
                })
            }
            Some(Message::Stray) => Ok(Received::Stray),
            Some(Message::End) => Ok(Received::End),
            None => Ok(Received::Nothing),
        }
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        Vec::new()
    }

    fn transmitted(&mut self, _: TimestampId) -> Option<SystemTime> {
        None
    }

    fn close(&mut self, _: Duration, _: &AtomicBool) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }
}
