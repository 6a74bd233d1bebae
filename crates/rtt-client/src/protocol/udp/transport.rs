//! The UDP transport: a connected UDP socket.
//!
//! Connecting a UDP socket sends no packet, but it changes what the socket receives. The kernel drops datagrams from
//! other addresses. By default, the kernel reports only the ICMP errors that it classifies as permanent.

use super::facts::FACTS;
use crate::model::breakdown::TimestampId;
use crate::model::traffic::Traffic;
use crate::net::datagram_counter::DatagramCounter;
use crate::net::socket::{BufferedSocket, OperationError, SocketKind};
use crate::net::system::{NetworkError, WaitUntil};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SentRequest, SocketError, SocketOperation, Transport,
};
use echo_core::Stamp;
use std::io;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};
use tracing::debug;

/// The length of a UDP header, in bytes (RFC 768).
const HEADER_LEN: u64 = 8;

struct Udp {
    socket: BufferedSocket,
    /// The number of datagrams sent. The kernel uses this number to identify timestamps.
    sent: u32,
    counter: DatagramCounter,
}

/// Opens a socket that is connected to `peer`.
pub(super) fn open(peer: SocketAddr, config: OpenConfig) -> Result<OpenAttempt, SocketError> {
    let start = Instant::now();
    let transport = match open_socket(peer, config) {
        Ok(socket) => {
            debug!(%peer, local = socket.local().map(tracing::field::display), "connected");
            let counter = DatagramCounter::new(HEADER_LEN);
            Ok(Box::new(Udp { socket, sent: 0, counter }) as Box<dyn Transport>)
        }
        Err(error) => {
            debug!(%peer, %error, "not connected");
            let failure = error.into_failure(&[], start.elapsed());
            Err(failure.map_err(|error| error.with_peer(&FACTS, peer))?)
        }
    };
    Ok(OpenAttempt { connection: None, transport })
}

fn open_socket(peer: SocketAddr, config: OpenConfig) -> Result<BufferedSocket, OperationError> {
    let socket = BufferedSocket::new(peer, SocketKind::DATAGRAMS, &config)?;
    // The kernel looks up the route when the socket is connected. So this call fails if there is no route.
    socket
        .inner
        .connect(&peer.into())
        .map_err(|error| OperationError { operation: SocketOperation::Connect, error })?;
    socket.receiver.enable_timestamps(&socket.inner)?;
    Ok(socket)
}

impl Transport for Udp {
    fn local(&self) -> Option<SocketAddr> {
        self.socket.local()
    }

    fn send(&mut self, _: u64, request: &[u8]) -> io::Result<SentRequest> {
        let stamp = Stamp::just_before();
        self.socket.inner.send(request)?;
        let id = Some(self.sent);
        self.sent = self.sent.wrapping_add(1);
        self.counter.sent(request.len());
        Ok(SentRequest { stamp, timestamp_id: TimestampId { id } })
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let received = self.socket.receive(until).map_err(|error| match error.kind() {
            // Windows reports an ICMP "port unreachable" as this error.
            io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused.into(),
            _ => error,
        })?;
        if let Received::Bytes { bytes, .. } = &received {
            self.counter.received(bytes.len());
        }
        Ok(received)
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.socket.network_errors()
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.socket.receiver.transmitted(&self.socket.inner, timestamp_id.id?)
    }

    fn traffic(&self) -> Option<Traffic> {
        self.counter.traffic(&self.socket.inner)
    }
}
