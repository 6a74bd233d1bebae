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
//! request. A raw socket also receives errors about requests of other sockets. Errors about requests of other programs,
//! and errors about requests that were not sent, count as stray packets.

use super::facts::{FACTS, HEADER_LEN};
use super::message::{self, EchoId, Message, Packet, QuotedRequest, Version};
use super::sequence::{SentRequests, sequence_of};
use super::{filter, permission};
use crate::model::breakdown::TimestampId;
use crate::model::condition::Condition;
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::Traffic;
use crate::net::connectionless;
use crate::net::datagram_counter::DatagramCounter;
use crate::net::failure::{Call, condition_of};
use crate::net::limitation::{Limitation, Part};
use crate::net::socket::{Arrival, BufferedSocket, OperationError, SocketKind};
use crate::net::system::{
    NetworkError, REPORTS_ICMP_ORIGIN, ReceiveConfig, WaitUntil, attach_filter, path_mtu,
};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SentRequest, SocketError, SocketOperation, Transport,
};
use echo_core::Stamp;
use socket2::{Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tracing::debug;

/// The maximum number of packets that are removed from a new raw socket. Between two system calls, only a few arrive.
const MAX_EARLY_PACKETS: usize = 10_000;

/// The reason if the local address cannot be used.
const WRONG_VERSION: &str = "the address has another version of IP than the target";

struct Icmp {
    socket: BufferedSocket,
    version: Version,
    identifier: u16,
    sent: SentRequests,
    /// The message of the current request. It is a field so that all requests use the same memory.
    request: Vec<u8>,
    /// Errors about requests of this socket that no call of `network_errors` has returned yet.
    errors: Vec<NetworkError>,
    /// The number of other errors that no call of `receive` has returned yet.
    stray_errors: usize,
    counter: DatagramCounter,
    limitations: Vec<Limitation>,
}

/// Opens a socket that is connected to `peer`.
pub(super) fn open(peer: SocketAddr, config: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
    // An IPv6 address can contain an IPv4 address. Its host receives ICMP, and not ICMPv6.
    let (peer, bind) = (canonical(peer), config.bind.map(canonical));
    let config = OpenConfig { bind, ..config };
    connectionless::open_with(&FACTS, peer, || Icmp::open(peer, config))
}

impl Icmp {
    fn open(peer: SocketAddr, config: OpenConfig<'_>) -> Result<Self, OperationError> {
        let version = Version::for_address(peer);
        // The kernel does not check the version of the address if the socket is a raw socket.
        if let Some(bind) = config.bind
            && Version::for_address(bind) != version
        {
            let operation = SocketOperation::Bind(bind);
            let error = io::Error::new(ErrorKind::Unsupported, WRONG_VERSION);
            return Err(OperationError { operation, error });
        }
        let receiver = ReceiveConfig { hop_limit: true, ..config.receiver };
        let config = OpenConfig { receiver, ..config };
        let protocol = Some(match version {
            Version::V4 => Protocol::ICMPV4,
            Version::V6 => Protocol::ICMPV6,
        });
        let socket = |style| BufferedSocket::new(peer, SocketKind { style, protocol }, &config);
        let mut limitations = Vec::new();
        let (mut socket, identifier) = match socket(Type::DGRAM) {
            Ok(socket) => {
                socket.connect(peer)?;
                // On Linux, the kernel has chosen the identifier, and it is the local port.
                let port = socket.local().map(|local| local.port()).filter(|port| *port > 0);
                (socket, port.unwrap_or_else(filter::new_identifier))
            }
            Err(OperationError { operation: SocketOperation::Create, error: ping_error })
                if condition_of(&ping_error, Call::Socket) != Condition::LocalLimit =>
            {
                debug!(%peer, error = %ping_error, "no ping socket; using a raw socket");
                let socket = socket(Type::RAW)
                    .map_err(|error| explain_missing_permission(error, &ping_error))?;
                let identifier = filter::new_identifier();
                let filter = filter::program(version, identifier);
                let refused = attach_filter(&socket.inner, &filter).err();
                limitations.extend(refused.map(|error| error.into_limitation(Part::PacketFilter)));
                socket.connect(peer)?;
                remove_early_packets(&socket.inner).map_err(OperationError::exchange)?;
                (socket, identifier)
            }
            Err(error) => return Err(error),
        };
        socket.receiver.enable_timestamps(&socket.inner);
        limitations.extend_from_slice(socket.receiver.limitations());
        Ok(Self {
            limitations,
            socket,
            version,
            identifier,
            sent: SentRequests::default(),
            request: Vec::new(),
            errors: Vec::new(),
            stray_errors: 0,
            counter: DatagramCounter::new(HEADER_LEN as u64),
        })
    }

    /// Reads the errors that have arrived, and stores those about requests of this socket. Returns the number of all
    /// errors.
    fn fetch_errors(&mut self) -> usize {
        let errors = self.socket.network_errors();
        let count = errors.len();
        for error in errors {
            match ErrorOrigin::of(&error, self.version, self.identifier, &self.sent) {
                ErrorOrigin::ThisSocket(error) => self.errors.push(error),
                ErrorOrigin::ThisProcess => {}
                ErrorOrigin::Unknown => self.stray_errors += 1,
            }
        }
        count
    }

    /// Converts an error of a receive call. Returns [`Received::Nothing`] if the error is not about a request of this
    /// socket.
    fn receive_failed(&mut self, error: io::Error) -> io::Result<Received<'_>> {
        let count = self.fetch_errors();
        if !self.errors.is_empty() {
            return Err(error);
        }
        if count == 0 && REPORTS_ICMP_ORIGIN {
            // The kernel stores an ICMP error in the queue. Then the next system call fails with its error code (errno).
            // Between these two steps, an earlier call can read the queue. Then the error is already processed.
            // Other errors are from this host.
            return match condition_of(&error, Call::Receive) {
                Condition::LocalLimit | Condition::Unsupported => Err(error),
                _ => Ok(Received::Nothing),
            };
        }
        if count == 0 { Err(error) } else { Ok(self.take_stray_error()) }
    }

    fn take_stray_error(&mut self) -> Received<'static> {
        match self.stray_errors.checked_sub(1) {
            Some(rest) => {
                self.stray_errors = rest;
                Received::Stray
            }
            None => Received::Nothing,
        }
    }
}

impl Transport for Icmp {
    /// The local IP address, with the identifier as the port.
    fn local(&self) -> Option<SocketAddr> {
        let mut local = self.socket.local()?;
        local.set_port(self.identifier);
        Some(local)
    }

    fn send(&mut self, number: u64, request: &[u8], _: &AtomicBool) -> io::Result<SentRequest> {
        let id = EchoId { identifier: self.identifier, sequence: sequence_of(number) };
        message::write_request(&mut self.request, self.version, id, request);
        let mut stamp = Stamp::just_before();
        if let Err(error) = self.socket.inner.send(&self.request) {
            self.fetch_errors();
            let is_local = condition_of(&error, Call::Send) == Condition::LocalLimit;
            if is_local || !self.errors.is_empty() {
                return Err(error);
            }
            // The error can be about a request of another socket, or `receive` has processed it. The kernel returns the
            // error code of an ICMP error only once. So a second call fails only if this host causes the error.
            stamp = Stamp::just_before();
            self.socket.inner.send(&self.request)?;
        }
        self.sent.add(number);
        Ok(SentRequest { stamp, timestamp_id: self.counter.sent(request.len()) })
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        if self.stray_errors > 0 {
            return Ok(self.take_stray_error());
        }
        let arrival = match self.socket.receive_to_buffer(until) {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return Ok(Received::Nothing),
            Err(error) => return self.receive_failed(error),
        };
        let bytes = self.socket.bytes(&arrival);
        let Some(Packet { message, ttl }) = message::without_ip_header(self.version, bytes) else {
            return Ok(Received::Stray);
        };
        // A raw socket receives an IPv4 packet before the kernel checks its checksum.
        if ttl.is_some() && !message::has_correct_checksum(message) {
            return Ok(Received::Stray);
        }
        match message::parse(self.version, self.identifier, message) {
            Message::Reply { sequence, payload } => {
                let Some(request) = self.sent.newest_with(sequence) else {
                    return Ok(Received::Stray);
                };
                self.counter.received(payload.len());
                let Arrival { received, meta } = arrival;
                Ok(Received::Bytes {
                    received,
                    timestamp: meta.timestamp,
                    hop_limit: ttl.or(meta.hop_limit),
                    request: Some(request),
                    bytes: payload,
                })
            }
            Message::Request => Ok(Received::Nothing),
            Message::Other => Ok(Received::Stray),
        }
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.fetch_errors();
        std::mem::take(&mut self.errors)
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.socket.receiver.transmitted(&self.socket.inner, timestamp_id.id?)
    }

    fn receive_queue(&self) -> Option<ReceiveQueue> {
        self.socket.queue()
    }

    fn drops_at_arrival(&self) -> Option<u64> {
        self.socket.drops_at_arrival()
    }

    fn drops(&self) -> Option<ReceiveDrops> {
        // The kernel checks the checksum before it adds a message to the queue.
        Some(ReceiveDrops { total: self.socket.drops()?, with_wrong_checksum: 0 })
    }

    fn limitations(&self) -> Vec<Limitation> {
        self.limitations.clone()
    }

    fn path_mtu(&self) -> Option<u32> {
        path_mtu(&self.socket.inner)
    }

    fn traffic(&self) -> Option<Traffic> {
        self.counter.traffic(&self.socket.inner)
    }
}

/// The IPv4 address that an IPv6 address contains, or the address itself.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip.is_ipv4() => (ip, address.port()).into(),
        _ => address,
    }
}

/// If the system refuses to create a raw socket because of a missing permission, explains which one. `ping_error` is
/// the reason why there is no ping socket.
fn explain_missing_permission(error: OperationError, ping_error: &io::Error) -> OperationError {
    let OperationError { operation, error } = error;
    let is_missing =
        operation == SocketOperation::Create && error.kind() == ErrorKind::PermissionDenied;
    let error = if is_missing { permission::missing_permission(ping_error) } else { error };
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

/// The socket whose request an ICMP error quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ErrorOrigin {
    /// A request of this socket. The error contains the number and the payload of the request.
    ThisSocket(NetworkError),
    /// A request of another socket of this process.
    ThisProcess,
    /// A request of another program, or a forged or incomplete quote.
    Unknown,
}

impl ErrorOrigin {
    pub(super) fn of(
        error: &NetworkError,
        version: Version,
        identifier: u16,
        sent: &SentRequests,
    ) -> Self {
        match message::parse_quote(version, &error.quoted_payload) {
            Some(QuotedRequest { id, payload }) if id.identifier == identifier => {
                let Some(number) = sent.newest_with(id.sequence) else { return Self::Unknown };
                let quoted_payload = payload.to_vec();
                Self::ThisSocket(NetworkError { request: Some(number), quoted_payload, ..*error })
            }
            Some(QuotedRequest { id, .. })
                if filter::are_of_one_process(id.identifier, identifier) =>
            {
                Self::ThisProcess
            }
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::icmp::IcmpError;

    const IDENTIFIER: u16 = 7;

    fn error(request: Option<u64>, quoted_payload: &[u8]) -> NetworkError {
        let icmp = IcmpError { is_v6: false, kind: 11, code: 0, from: None };
        NetworkError {
            icmp,
            errno: 113,
            request,
            mtu: None,
            quoted_payload: quoted_payload.to_vec(),
        }
    }

    fn request(identifier: u16, sequence: u16) -> Vec<u8> {
        let mut request = Vec::new();
        let id = EchoId { identifier, sequence };
        message::write_request(&mut request, Version::V4, id, b"0000065538");
        request
    }

    /// The origin of an error with this quote, after the requests 2 to 65,538.
    fn origin(quote: &[u8]) -> ErrorOrigin {
        let mut sent = SentRequests::default();
        sent.add(2);
        sent.add(65_538);
        ErrorOrigin::of(&error(None, quote), Version::V4, IDENTIFIER, &sent)
    }

    #[test]
    fn error_has_the_number_and_the_payload_of_the_request_that_it_quotes() {
        let quote = request(IDENTIFIER, 2);
        let own = |payload| ErrorOrigin::ThisSocket(error(Some(65_538), payload));
        assert_eq!(origin(&quote), own(b"0000065538"));
        // RFC 792 requires only eight bytes of the message.
        assert_eq!(origin(&quote[..HEADER_LEN]), own(b""));
    }

    #[test]
    fn error_with_another_quote_is_not_about_a_request_of_this_socket() {
        let quote = request(IDENTIFIER, 2);
        assert_eq!(origin(&quote[..HEADER_LEN - 1]), ErrorOrigin::Unknown, "truncated");
        // A quoted reply is not from this socket.
        assert_eq!(origin(&[&[0], &quote[1..]].concat()), ErrorOrigin::Unknown);
        assert_eq!(origin(&request(!IDENTIFIER, 2)), ErrorOrigin::Unknown, "another program");
        assert_eq!(origin(&request(IDENTIFIER ^ 1, 2)), ErrorOrigin::ThisProcess);
        let mut none_sent = SentRequests::default();
        let origin = |sent: &SentRequests| {
            ErrorOrigin::of(&error(None, &quote), Version::V4, IDENTIFIER, sent)
        };
        assert_eq!(origin(&none_sent), ErrorOrigin::Unknown, "unsent sequence number");
        none_sent.add(1);
        assert_eq!(origin(&none_sent), ErrorOrigin::Unknown, "unsent sequence number");
    }
}
