//! The ICMP transport: a ping socket, or a raw socket if this user may not create a ping socket.
//!
//! | | ping socket | raw socket |
//! |---|---|---|
//! | who may create it | the groups in `net.ipv4.ping_group_range` | processes with `CAP_NET_RAW` |
//! | identifier | chosen by the kernel | chosen here ([`filter`]) |
//! | received messages | echo replies with its identifier | all messages from the peer, reduced by [`filter`] |
//! | IPv4 header of a received packet | removed by the kernel | removed here |
//!
//! Both sockets are connected, so the kernel drops packets of other hosts. Both report ICMP errors with the quoted
//! request. A raw socket also receives errors about requests of other sockets. The transport drops these.

use super::facts::{FACTS, HEADER_LEN};
use super::message::{self, EchoId, Message, Packet, Version};
use super::{filter, permission};
use crate::model::breakdown::TimestampId;
use crate::model::traffic::Traffic;
use crate::net::datagram_counter::DatagramCounter;
use crate::net::socket::{Arrival, BufferedSocket, OperationError, SocketKind};
use crate::net::system::{NetworkError, ReceiveConfig, WaitUntil, attach_filter};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SentRequest, SocketError, SocketOperation, Transport,
};
use echo_core::Stamp;
use socket2::{Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};
use tracing::debug;

/// The largest number of packets that are removed from a new raw socket. More cannot arrive between two system calls.
const MAX_EARLY_PACKETS: usize = 10_000;

struct Icmp {
    socket: BufferedSocket,
    version: Version,
    identifier: u16,
    /// The number of requests sent.
    sent: u64,
    /// The message of the request that is sent. It is stored here so that its memory is used again.
    request: Vec<u8>,
    /// Errors about requests of this socket that no call of `network_errors` has returned yet.
    errors: Vec<NetworkError>,
    counter: DatagramCounter,
}

/// Opens a socket that is connected to `peer`.
pub(super) fn open(peer: SocketAddr, config: OpenConfig) -> Result<OpenAttempt, SocketError> {
    let start = Instant::now();
    // An IPv6 address can contain an IPv4 address. Its host receives ICMP, and not ICMPv6.
    let peer = match peer.ip().to_canonical() {
        ip if ip.is_ipv4() => (ip, 0).into(),
        _ => peer,
    };
    let transport = match Icmp::open(peer, config) {
        Ok(icmp) => {
            debug!(%peer, local = icmp.local().map(tracing::field::display), "connected");
            Ok(Box::new(icmp) as Box<dyn Transport>)
        }
        Err(error) => {
            debug!(%peer, %error, "not connected");
            let failure = error.into_failure(&[], start.elapsed());
            Err(failure.map_err(|error| error.with_peer(&FACTS, peer))?)
        }
    };
    Ok(OpenAttempt { connection: None, transport })
}

impl Icmp {
    fn open(peer: SocketAddr, config: OpenConfig) -> Result<Self, OperationError> {
        let version = Version::for_address(peer);
        let receiver = ReceiveConfig { hop_limit: true, ..config.receiver };
        let config = OpenConfig { receiver, ..config };
        let protocol = Some(match version {
            Version::V4 => Protocol::ICMPV4,
            Version::V6 => Protocol::ICMPV6,
        });
        let socket = |style| BufferedSocket::new(peer, SocketKind { style, protocol }, &config);
        let (socket, identifier) = match socket(Type::DGRAM) {
            Ok(socket) => {
                connect(&socket, peer)?;
                // On Linux, the kernel has chosen the identifier, and it is the local port.
                let port = socket.local().map(|local| local.port()).filter(|port| *port > 0);
                (socket, port.unwrap_or_else(filter::new_identifier))
            }
            Err(OperationError { operation: SocketOperation::Create, error }) => {
                debug!(%peer, %error, "no ping socket; using a raw socket");
                let socket = socket(Type::RAW).map_err(explain_missing_permission)?;
                let identifier = filter::new_identifier();
                attach_filter(&socket.inner, &filter::program(version, identifier))?;
                connect(&socket, peer)?;
                remove_early_packets(&socket.inner).map_err(OperationError::exchange)?;
                (socket, identifier)
            }
            Err(error) => return Err(error),
        };
        socket.receiver.enable_timestamps(&socket.inner)?;
        Ok(Self {
            socket,
            version,
            identifier,
            sent: 0,
            request: Vec::new(),
            errors: Vec::new(),
            counter: DatagramCounter::new(HEADER_LEN as u64),
        })
    }

    /// Whether a request with this sequence number was sent. The first request has number 1. The numbers wrap.
    fn was_sent(&self, sequence: u16) -> bool {
        self.sent > u64::from(u16::MAX) || (1..=self.sent).contains(&u64::from(sequence))
    }

    /// Whether the error of a call on the socket is only about requests of other sockets. This is possible for a raw
    /// socket.
    fn is_foreign_error(&mut self) -> bool {
        self.fetch_errors() > 0 && self.errors.is_empty()
    }

    /// Reads the errors that have arrived, and stores those about requests of this socket. Returns the number of the
    /// other errors.
    fn fetch_errors(&mut self) -> usize {
        let errors = self.socket.network_errors();
        let count = errors.len();
        let own =
            errors.into_iter().filter_map(|error| own_error(self.version, self.identifier, error));
        let stored = self.errors.len();
        self.errors.extend(own);
        count - (self.errors.len() - stored)
    }
}

impl Transport for Icmp {
    /// The local IP address, with the identifier as the port.
    fn local(&self) -> Option<SocketAddr> {
        let mut local = self.socket.local()?;
        local.set_port(self.identifier);
        Some(local)
    }

    fn send(&mut self, _: u64, request: &[u8]) -> io::Result<SentRequest> {
        #[expect(clippy::cast_possible_truncation, reason = "both numbers wrap")]
        let (sequence, timestamp_id) = ((self.sent + 1) as u16, self.sent as u32);
        let id = EchoId { identifier: self.identifier, sequence };
        message::write_request(&mut self.request, self.version, id, request);
        let mut stamp = Stamp::just_before();
        if let Err(error) = self.socket.inner.send(&self.request) {
            if !self.is_foreign_error() {
                return Err(error);
            }
            stamp = Stamp::just_before();
            self.socket.inner.send(&self.request)?;
        }
        // The kernel counts the datagrams of a socket from 0.
        let timestamp_id = TimestampId { id: Some(timestamp_id) };
        self.sent += 1;
        self.counter.sent(request.len());
        Ok(SentRequest { stamp, timestamp_id })
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let arrival = match self.socket.receive_to_buffer(until) {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return Ok(Received::Nothing),
            Err(_) if self.is_foreign_error() => return Ok(Received::Stray),
            Err(error) => return Err(error),
        };
        let bytes = self.socket.bytes(&arrival);
        let Some(Packet { message, ttl }) = message::without_ip_header(self.version, bytes) else {
            return Ok(Received::Stray);
        };
        match message::parse(self.version, self.identifier, message) {
            Message::Reply { sequence, payload } if self.was_sent(sequence) => {
                self.counter.received(payload.len());
                let Arrival { received, meta } = arrival;
                let hop_limit = ttl.or(meta.hop_limit);
                let timestamp = meta.timestamp;
                Ok(Received::Bytes {
                    received,
                    timestamp,
                    hop_limit,
                    request: None,
                    bytes: payload,
                })
            }
            Message::Request => Ok(Received::Nothing),
            Message::Reply { .. } | Message::Other => Ok(Received::Stray),
        }
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.fetch_errors();
        std::mem::take(&mut self.errors)
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.socket.receiver.transmitted(&self.socket.inner, timestamp_id.id?)
    }

    fn traffic(&self) -> Option<Traffic> {
        self.counter.traffic(&self.socket.inner)
    }
}

/// Connects `socket` to `peer`. The kernel looks up the route, so this call fails if there is no route.
fn connect(socket: &BufferedSocket, peer: SocketAddr) -> Result<(), OperationError> {
    let operation = SocketOperation::Connect;
    socket.inner.connect(&peer.into()).map_err(|error| OperationError { operation, error })
}

/// If the system refuses to create a raw socket because of a missing permission, explains which one.
fn explain_missing_permission(error: OperationError) -> OperationError {
    let OperationError { operation, error } = error;
    let is_missing =
        operation == SocketOperation::Create && error.kind() == ErrorKind::PermissionDenied;
    let error = if is_missing { permission::missing_permission() } else { error };
    OperationError { operation, error }
}

/// Removes the packets that a raw socket received before it was connected. They can be from any host.
fn remove_early_packets(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let mut packet = [0; 1];
    for _ in 0..MAX_EARLY_PACKETS {
        // Any error means that the queue is empty. A later call reports an error of the network.
        if (&*socket).read(&mut packet).is_err() {
            break;
        }
    }
    socket.set_nonblocking(false)
}

/// The error with the payload that it quotes. `None` if the quote is not a request of this socket.
fn own_error(version: Version, identifier: u16, error: NetworkError) -> Option<NetworkError> {
    let NetworkError { icmp, errno, quoted_payload: quote, .. } = error;
    let payload = message::quoted_payload(version, identifier, &quote)?;
    Some(NetworkError { icmp, errno, request: None, quoted_payload: payload.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::icmp::IcmpError;

    fn error(quoted_payload: Vec<u8>) -> NetworkError {
        let icmp = IcmpError { is_v6: false, kind: 11, code: 0, from: None };
        NetworkError { icmp, errno: 113, request: None, quoted_payload }
    }

    #[test]
    fn error_has_the_payload_of_our_request_without_its_header() {
        let id = EchoId { identifier: 7, sequence: 1 };
        let mut request = Vec::new();
        message::write_request(&mut request, Version::V4, id, b"0000000001");
        let own = |quote: &[u8]| own_error(Version::V4, 7, error(quote.to_vec()));
        assert_eq!(own(&request), Some(error(b"0000000001".to_vec())));
        assert_eq!(own(&request[..HEADER_LEN - 1]), None, "truncated");
        let mut forged = request.clone();
        forged[5] ^= 1;
        assert_eq!(own(&forged), None, "another identifier");
        // A quoted reply is not from this socket.
        assert_eq!(own(&[&[0], &request[1..]].concat()), None);
    }
}
