//! The transport of handshakes: each exchange is the handshake of a new connection.
//!
//! The request is the connection request (SYN), and the reply is the SYN with ACK. The kernel of the server's host replies,
//! before the server program accepts the connection. Each exchange has its own socket, so several handshakes can be in
//! flight.
//!
//! **Errors.** The kernel assigns each error to its handshake, so this transport reports errors as verified. A reset
//! must acknowledge the sequence number of the SYN, and an ICMP error must quote it (RFC 5961, section 3.2, and RFC 5927,
//! section 4.1). This number has 32 random bits.
//!
//! **End of a connection.** The client closes a connection directly after its handshake, with a FIN. A reset would be
//! cheaper, but many servers log it as an error. After a FIN, the local port stays in the state TIME-WAIT for one minute
//! (`TCP_TIMEWAIT_LEN` in Linux), so a fast series can use all ports. If the server sends data first, this host answers
//! it with a reset, because the socket no longer exists.

use super::facts::HANDSHAKE;
use super::handshake::retransmitted;
use super::system::{ConnectPoller, EndedHandshake, start_to_connect, statistics};
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::net::connectionless::{self, connected_to_itself, release_port};
use crate::net::failure::{ReportedErrors, failure_from_socket_error};
use crate::net::limitation::Limitation;
use crate::net::socket::{BufferedSocket, OperationError, SocketKind, set_option};
use crate::net::system::{NetworkError, WaitUntil};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SentRequest, SocketError, SocketOperation, Transport,
};
use echo_core::Stamp;
use socket2::SockAddr;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

/// The reason if the system has no port for a connection.
const NO_FREE_PORT: &str = "no free local port: after a handshake, its port is not available for one minute \
                            (TIME-WAIT); lower the number of handshakes per second";

struct Handshakes {
    peer: SocketAddr,
    peer_for_connect: SockAddr,
    config: OpenConfig<'static>,
    /// The local address of the connections. Its port is 0, unless the user selects a port.
    local: Option<SocketAddr>,
    /// The socket of the first handshake. Its options show whether the client can run as requested.
    first: Option<BufferedSocket>,
    limitations: Vec<Limitation>,
    poller: ConnectPoller,
    /// The handshakes in flight, with the numbers of their requests. The plan limits the requests in flight, and each of
    /// them needs a descriptor.
    in_flight: BTreeMap<u64, Handshake>,
    /// The requests that failed when the client sent them. `receive` returns them.
    failed: VecDeque<(u64, Failure)>,
}

struct Handshake {
    socket: BufferedSocket,
    requested: Stamp,
}

/// Prepares the first handshake with `peer`. Sends no packet.
pub(super) fn open(peer: SocketAddr, config: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
    let config = config.without_interrupt();
    connectionless::open_with(&HANDSHAKE, peer, || Handshakes::open(peer, config))
}

impl Handshakes {
    fn open(peer: SocketAddr, config: OpenConfig<'static>) -> Result<Self, OperationError> {
        let poller = ConnectPoller::new(config.receiver.spin)
            .map_err(|error| OperationError { operation: SocketOperation::Create, error })?;
        let mut handshakes = Self {
            peer,
            peer_for_connect: peer.into(),
            config,
            local: source_address(peer, config.bind),
            first: None,
            limitations: Vec::new(),
            poller,
            in_flight: BTreeMap::new(),
            failed: VecDeque::new(),
        };
        let first = handshakes.new_socket()?;
        handshakes.limitations = first.receiver.limitations().to_vec();
        handshakes.first = Some(first);
        Ok(handshakes)
    }

    fn new_socket(&self) -> Result<BufferedSocket, OperationError> {
        let socket = BufferedSocket::without_buffer(self.peer, SocketKind::STREAM, &self.config)?;
        set_option("O_NONBLOCK", true, || socket.inner.set_nonblocking(true))?;
        Ok(socket)
    }

    /// The socket for request `number`. The poller waits for the end of its handshake.
    fn socket_for(&mut self, number: u64) -> Result<BufferedSocket, OperationError> {
        let socket = self.first.take().map_or_else(|| self.new_socket(), Ok)?;
        let operation = SocketOperation::Create;
        self.poller
            .add(&socket.inner, number)
            .map_err(|error| OperationError { operation, error })?;
        Ok(socket)
    }

    /// The failure of an operation before or during a handshake.
    fn failure(
        &self,
        error: OperationError,
        reported: ReportedErrors<'_>,
        after: Duration,
    ) -> Failure {
        let is_port_missing = error.operation == SocketOperation::Connect
            && error.error.kind() == ErrorKind::AddrNotAvailable;
        let failure = error.into_failure(self.peer, reported, after).unwrap_or_else(|error| {
            failure_from_socket_error(error.with_peer(&HANDSHAKE, self.peer), after)
        });
        if is_port_missing && failure.condition == Condition::LocalLimit {
            return Failure { detail: Some(NO_FREE_PORT.to_owned()), ..failure };
        }
        failure
    }

    /// The failure of a handshake that ended with `error`.
    fn connect_failure(
        &self,
        socket: &mut BufferedSocket,
        error: io::Error,
        after: Duration,
    ) -> Failure {
        let error = OperationError { operation: SocketOperation::Connect, error };
        let errors = &socket.network_errors();
        let reported = ReportedErrors { errors, is_complete: socket.reports_icmp_errors() };
        self.failure(error, reported, after)
    }

    /// The result of a handshake that is over. Closes its connection.
    fn finish(
        &self,
        ended: EndedHandshake,
        handshake: Handshake,
        received: Stamp,
    ) -> Received<'static> {
        let EndedHandshake { number: request, error } = ended;
        let Handshake { mut socket, requested } = handshake;
        let after = received.since(&requested);
        let error = error.map_or_else(|| socket.inner.take_error(), |error| Ok(Some(error)));
        if let Some(error) = error.unwrap_or_else(Some).filter(is_about_handshake) {
            let failure = self.connect_failure(&mut socket, error, after);
            return Received::Failed { request, failure };
        }
        if socket.is_connected_to_itself(self.peer) {
            release_port(&socket.inner);
            return Received::Failed { request, failure: connected_to_itself(after) };
        }
        let retransmitted =
            statistics(&socket.inner).and_then(|statistics| retransmitted(&statistics, after));
        Received::Established { request, received, retransmitted }
    }
}

impl Transport for Handshakes {
    fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    fn send(&mut self, number: u64, _: &[u8], _: &AtomicBool) -> io::Result<SentRequest> {
        let sent = |stamp| SentRequest { stamp, timestamp_id: TimestampId::default() };
        let mut socket = match self.socket_for(number) {
            Ok(socket) => socket,
            Err(error) => {
                let failure = self.failure(error, ReportedErrors::NONE, Duration::ZERO);
                self.failed.push_back((number, failure));
                return Ok(sent(Stamp::just_before()));
            }
        };
        let requested = Stamp::just_before();
        match start_to_connect(&socket.inner, &self.peer_for_connect) {
            Ok(()) => {
                self.in_flight.insert(number, Handshake { socket, requested });
            }
            Err(error) => {
                let after = requested.monotonic().elapsed();
                let failure = self.connect_failure(&mut socket, error, after);
                self.failed.push_back((number, failure));
            }
        }
        Ok(sent(requested))
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        if let Some((request, failure)) = self.failed.pop_front() {
            return Ok(Received::Failed { request, failure });
        }
        let sockets = self.in_flight.iter().map(|(number, it)| (*number, &it.socket.inner));
        let ended = self.poller.wait(until, &sockets)?;
        let received = Stamp::just_after();
        let Some(ended) = ended else { return Ok(Received::Nothing) };
        let Some(handshake) = self.in_flight.remove(&ended.number) else {
            return Ok(Received::Nothing);
        };
        Ok(self.finish(ended, handshake, received))
    }

    /// Closes the socket of a handshake that is not over. The kernel then sends no further SYN.
    fn give_up(&mut self, number: u64) -> Option<String> {
        let Handshake { socket, .. } = self.in_flight.remove(&number)?;
        let repeated = statistics(&socket.inner)?.retransmissions.filter(|number| *number > 0)?;
        Some(format!("{} connection requests (SYN)", repeated + 1))
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        // `receive` returns each error as the failure of its request.
        Vec::new()
    }

    fn transmitted(&mut self, _: TimestampId) -> Option<SystemTime> {
        None
    }

    fn limitations(&self) -> Vec<Limitation> {
        self.limitations.clone()
    }
}

/// Whether the handshake failed because of this error. A reset during a handshake is the error "connection refused".
/// `ConnectionReset` and `BrokenPipe` mean that a reset ended the established connection.
fn is_about_handshake(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The address that the system selects for connections to `peer`, with the port of `bind`, or 0. A datagram socket shows it
/// without sending a packet.
fn source_address(peer: SocketAddr, bind: Option<SocketAddr>) -> Option<SocketAddr> {
    if bind.is_some_and(|address| !address.ip().is_unspecified()) {
        return bind;
    }
    let any = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    let mut local = socket.local_addr().ok()?;
    local.set_port(bind.map_or(0, |address| address.port()));
    Some(local)
}

#[cfg(test)]
mod tests;
