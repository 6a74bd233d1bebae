//! [`BufferedSocket`]: a socket with its receive buffer, used by every protocol. This file also contains
//! [`OperationError`] and [`set_option`]. `set_option` logs each socket option.

use crate::model::condition::{Condition, Failure};
use crate::model::protocol::Protocol;
use crate::model::receive_queue::ReceiveQueue;
use crate::net::failure::{Call, ReportedErrors, condition_of, failure_with_cause};
use crate::net::limitation::{Limitation, Part};
use crate::net::system::{
    NetworkError, REPORTS_ICMP_ORIGIN, ReceiveMeta, Receiver, WaitUntil, force_receive_queue,
    receive_queue_drops,
};
use crate::net::transport::{OpenConfig, Received, SocketError, SocketOperation};
use echo_core::Stamp;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;
use std::{fmt, io};
use tracing::debug;

/// The size of the program's receive buffer, in bytes. It is larger than the payload of the longest datagram (65,527
/// bytes over IPv6), so no datagram is cut off.
const BUFFER_LEN: usize = 65_536;

/// The kind of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketKind {
    pub(crate) style: Type,
    /// Without a value, the system chooses the usual protocol for the style.
    pub(crate) protocol: Option<socket2::Protocol>,
}

impl SocketKind {
    /// A socket for datagrams.
    pub(crate) const DATAGRAMS: Self = Self { style: Type::DGRAM, protocol: None };
    /// A socket for a stream.
    pub(crate) const STREAM: Self = Self { style: Type::STREAM, protocol: None };
}

pub(crate) struct BufferedSocket {
    pub(crate) inner: Socket,
    pub(crate) receiver: Receiver,
    buffer: Box<[u8]>,
    queue: Option<ReceiveQueue>,
    drops_at_arrival: Option<u64>,
}

impl BufferedSocket {
    /// Creates a socket for `peer`, binds it and sets its options. Does not connect it.
    ///
    /// # Errors
    ///
    /// The operation that failed. [`SocketOperation::Create`] fails, for example, if this host does not support the
    /// peer's version of IP.
    pub(crate) fn new(
        peer: SocketAddr,
        kind: SocketKind,
        config: &OpenConfig<'_>,
    ) -> Result<Self, OperationError> {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        Ok(Self { buffer, ..Self::without_buffer(peer, kind, config)? })
    }

    /// Like [`BufferedSocket::new`], for a socket that receives no data.
    pub(crate) fn without_buffer(
        peer: SocketAddr,
        kind: SocketKind,
        config: &OpenConfig<'_>,
    ) -> Result<Self, OperationError> {
        let SocketKind { style, protocol } = kind;
        let inner = Socket::new(Domain::for_address(peer), style, protocol)
            .map_err(|error| OperationError { operation: SocketOperation::Create, error })?;
        debug!(%peer, ?kind, "socket created");
        if let Some(ttl) = config.ttl {
            set_hop_limit(&inner, peer, ttl)?;
        }
        if let Some(address) = config.bind {
            inner.bind(&address.into()).map_err(|error| OperationError {
                operation: SocketOperation::Bind(address),
                error,
            })?;
            debug!(%address, "socket bound");
        }
        let receiver = Receiver::new(&inner, config.receiver);
        let queue = config.receiver.queue.and_then(|bytes| request_queue(&inner, bytes));
        Ok(Self { inner, receiver, buffer: Box::default(), queue, drops_at_arrival: None })
    }

    /// The size of the receive queue, if the configuration requests one.
    pub(crate) fn queue(&self) -> Option<ReceiveQueue> {
        self.queue
    }

    /// The number of packets that the receive queue had dropped when the last packet arrived.
    pub(crate) fn drops_at_arrival(&self) -> Option<u64> {
        self.drops_at_arrival
    }

    /// The number of packets that the receive queue has dropped.
    pub(crate) fn drops(&self) -> Option<u64> {
        receive_queue_drops(&self.inner)
    }

    /// Connects the socket to `peer`, for a protocol without connections. This sends no packet. The kernel looks up the
    /// route, so this function fails if there is no route.
    pub(crate) fn connect(&self, peer: SocketAddr) -> Result<(), OperationError> {
        let operation = SocketOperation::Connect;
        self.inner.connect(&peer.into()).map_err(|error| OperationError { operation, error })
    }

    /// The local address, if the system reports it.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.inner.local_addr().ok()?.as_socket()
    }

    /// Whether the socket is connected to itself. The kernel allows this if it has chosen the peer's port as the local
    /// port. Over a stream, it is a simultaneous open (RFC 9293, section 3.5). It shows that no other socket listens on
    /// the port.
    pub(crate) fn is_connected_to_itself(&self, peer: SocketAddr) -> bool {
        let key = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        self.local().is_some_and(|local| key(local) == key(peer))
    }

    /// Whether the system reports all ICMP errors about packets of this socket.
    pub(crate) fn reports_icmp_errors(&self) -> bool {
        let mut limitations = self.receiver.limitations().iter();
        REPORTS_ICMP_ORIGIN
            && !limitations.any(|limitation| limitation.is_missing(Part::IcmpErrors))
    }

    /// Returns the ICMP errors that arrived since the last call.
    pub(crate) fn network_errors(&mut self) -> Vec<NetworkError> {
        self.receiver.network_errors(&self.inner)
    }

    /// Waits for data. [`Received::Bytes`] with 0 bytes is an empty datagram or the end of a stream.
    pub(crate) fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let Some(arrival) = self.receive_to_buffer(until)? else {
            return Ok(Received::Nothing);
        };
        let ReceiveMeta { timestamp, hop_limit, .. } = arrival.meta;
        let (received, bytes) = (arrival.received, self.bytes(&arrival));
        Ok(Received::Bytes { received, timestamp, hop_limit, request: None, bytes })
    }

    /// Waits for data, and stores it in the buffer. Returns `None` if the wait ended without data.
    pub(crate) fn receive_to_buffer(&mut self, until: WaitUntil) -> io::Result<Option<Arrival>> {
        let meta = self.receiver.receive(&self.inner, &mut self.buffer, until)?;
        let received = Stamp::just_after();
        if let Some(ReceiveMeta { drops: Some(drops), .. }) = meta {
            self.drops_at_arrival = Some(drops);
        }
        Ok(meta.map(|meta| Arrival { received, meta }))
    }

    /// The bytes of `arrival`. They are valid until the next call of a function that receives data.
    pub(crate) fn bytes(&self, arrival: &Arrival) -> &[u8] {
        &self.buffer[..arrival.meta.len]
    }
}

/// Data that has arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When the system returned the data to the program.
    pub(crate) received: Stamp,
    pub(crate) meta: ReceiveMeta,
}

/// A failed operation on a socket. [`OperationError::with_peer`] converts it to a [`SocketError`].
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
pub(crate) struct OperationError {
    pub(crate) operation: SocketOperation,
    #[source]
    pub(crate) error: io::Error,
}

impl OperationError {
    /// The error of an exchange on an open socket.
    pub(crate) fn exchange(error: io::Error) -> Self {
        Self { operation: SocketOperation::Exchange, error }
    }

    /// Converts the error of an attempt to open the first transport of a run, if the attempt is an exchange that failed.
    /// `after` is the time since the start of the attempt.
    ///
    /// # Errors
    ///
    /// Returns any other error unchanged: the client cannot run as requested. For example, a missing permission to create
    /// a socket does not depend on the peer.
    pub(crate) fn into_failure(
        self,
        peer: SocketAddr,
        reported: ReportedErrors<'_>,
        after: Duration,
    ) -> Result<Failure, Self> {
        let call = Call::of(self.operation);
        let condition = condition_of(&self.error, call);
        let is_outcome = match self.operation {
            SocketOperation::Connect => true,
            SocketOperation::Create => {
                !matches!(condition, Condition::PermissionDenied | Condition::Unsupported)
            }
            // If the user selects a port, another socket can use it.
            SocketOperation::Bind(address) => {
                condition == Condition::LocalLimit && address.port() == 0
            }
            _ => false,
        };
        if !is_outcome {
            return Err(self);
        }
        Ok(failure_with_cause(self.error, call, peer, reported, after))
    }

    /// The limitation if the operation is optional. Without it, `part` is missing.
    pub(crate) fn into_limitation(self, part: Part) -> Limitation {
        let Self { operation, error } = self;
        let text = error.to_string();
        // The standard library adds the number of the error.
        let number = error.raw_os_error().map(|errno| format!(" (os error {errno})"));
        let words = number.and_then(|number| text.strip_suffix(&number).map(str::to_owned));
        Limitation::Missing { part, operation, error: words.unwrap_or(text) }
    }

    pub(crate) fn with_peer(self, protocol: &'static Protocol, address: SocketAddr) -> SocketError {
        let Self { operation, error } = self;
        SocketError { operation, protocol, address, error }
    }
}

/// Requests a receive queue of this size. A larger queue than the requested one stays as it is. Returns `None` if the system
/// does not report the size.
fn request_queue(socket: &Socket, bytes: usize) -> Option<ReceiveQueue> {
    let current = socket.recv_buffer_size().ok()?;
    if current < bytes {
        // The kernel doubles the value, because a half of the queue is for administration (socket(7)).
        let value = bytes.div_ceil(2);
        let _ = set_option("SO_RCVBUFFORCE", value, || force_receive_queue(socket, value))
            .or_else(|_| set_option("SO_RCVBUF", value, || socket.set_recv_buffer_size(value)));
    }
    let granted = socket.recv_buffer_size().ok()?;
    debug!(requested = bytes, granted, "receive queue");
    Some(ReceiveQueue { requested: bytes, granted })
}

/// Sets the hop limit of sent packets. An IPv6 socket can also send over IPv4, so it has both limits.
pub(crate) fn set_hop_limit(
    socket: &Socket,
    peer: SocketAddr,
    ttl: NonZeroU8,
) -> Result<(), OperationError> {
    let hops = u32::from(ttl.get());
    // Packets to a multicast address have a separate limit. A stream socket does not have this limit.
    let is_multicast = peer.ip().to_canonical().is_multicast()
        && socket.r#type().is_ok_and(|style| style != Type::STREAM);
    let set_v4 = || {
        if is_multicast {
            set_option("IP_MULTICAST_TTL", hops, || socket.set_multicast_ttl_v4(hops))
        } else {
            set_option("IP_TTL", hops, || socket.set_ttl_v4(hops))
        }
    };
    if peer.is_ipv4() {
        return set_v4();
    }
    if is_multicast {
        set_option("IPV6_MULTICAST_HOPS", hops, || socket.set_multicast_hops_v6(hops))?;
    } else {
        set_option("IPV6_UNICAST_HOPS", hops, || socket.set_unicast_hops_v6(hops))?;
    }
    // If the socket refuses this option, it cannot send over IPv4, so the error is ignored.
    let _ = set_v4();
    Ok(())
}

/// Calls `set` to set a socket option, and logs the option, its value and the result.
pub(crate) fn set_option(
    option: &'static str,
    value: impl fmt::Debug,
    set: impl FnOnce() -> io::Result<()>,
) -> Result<(), OperationError> {
    let result = set();
    match &result {
        Ok(()) => debug!(option, ?value, "socket option set"),
        Err(error) => debug!(option, ?value, %error, "socket option refused"),
    }
    result.map_err(|error| OperationError { operation: SocketOperation::SetOption(option), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Settings;

    fn loopback(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 0)
    }

    fn socket(ip: &str, change: impl FnOnce(&mut OpenConfig<'_>)) -> BufferedSocket {
        let mut config = OpenConfig::new(&Settings::one(""));
        config.bind = Some(loopback(ip));
        change(&mut config);
        BufferedSocket::new(loopback(ip), SocketKind::DATAGRAMS, &config).unwrap()
    }

    #[test]
    fn sent_packets_have_the_configured_hop_limit() {
        let ttl = NonZeroU8::new(7);
        let v4 = socket("127.0.0.1", |config| config.ttl = ttl);
        assert_eq!(v4.inner.ttl_v4().unwrap(), 7);
        let unchanged = socket("127.0.0.1", |_| {});
        assert_ne!(unchanged.inner.ttl_v4().unwrap(), 7);
        if std::net::UdpSocket::bind("[::1]:0").is_ok() {
            let v6 = socket("::1", |config| config.ttl = ttl);
            assert_eq!(v6.inner.unicast_hops_v6().unwrap(), 7);
        }
    }

    #[test]
    fn packets_to_a_multicast_address_have_the_configured_hop_limit() {
        let mut config = OpenConfig::new(&Settings::one(""));
        config.ttl = NonZeroU8::new(7);
        let socket = |ip: &str| {
            BufferedSocket::new(loopback(ip), SocketKind::DATAGRAMS, &config).unwrap().inner
        };
        assert_eq!(socket("224.0.0.1").multicast_ttl_v4().unwrap(), 7);
        if std::net::UdpSocket::bind("[::1]:0").is_ok() {
            assert_eq!(socket("ff02::1").multicast_hops_v6().unwrap(), 7);
            // The packets to this address are packets of IPv4.
            assert_eq!(socket("::ffff:224.0.0.1").multicast_ttl_v4().unwrap(), 7);
        }
        // A stream socket has no limit for multicast packets. The option does not fail.
        BufferedSocket::new(loopback("224.0.0.1"), SocketKind::STREAM, &config).unwrap();
    }

    #[cfg(all(target_os = "linux", not(portable)))]
    #[test]
    fn hop_limit_of_a_received_packet_is_reported_if_it_is_requested() {
        for ip in ["127.0.0.1", "::1"] {
            if std::net::UdpSocket::bind(loopback(ip)).is_err() {
                continue;
            }
            for requested in [true, false] {
                let mut receiver = socket(ip, |config| config.receiver.hop_limit = requested);
                let sender = socket(ip, |config| config.ttl = NonZeroU8::new(61));
                let to = receiver.local().unwrap();
                sender.inner.send_to(b"x", &to.into()).unwrap();
                let until = WaitUntil::Exact(std::time::Instant::now() + Duration::from_secs(1));
                let Received::Bytes { hop_limit, timestamp, .. } = receiver.receive(until).unwrap()
                else {
                    panic!("nothing received");
                };
                assert_eq!(hop_limit, requested.then_some(61), "{ip}");
                assert_eq!(timestamp, None, "kernel timestamps were not requested");
            }
        }
    }

    #[test]
    fn only_an_error_that_is_not_about_the_peer_ends_a_run_at_its_start() {
        let peer = loopback("127.0.0.1");
        let into_failure = |operation, kind: io::ErrorKind| {
            let error = OperationError { operation, error: kind.into() };
            let failure = error.into_failure(peer, ReportedErrors::NONE, Duration::ZERO);
            failure.ok().map(|failure| failure.condition)
        };
        let denied = io::ErrorKind::PermissionDenied;
        let in_use = io::ErrorKind::AddrInUse;
        let with_port = SocketAddr::new(peer.ip(), 7);
        for (operation, kind, condition) in [
            (SocketOperation::Create, denied, None),
            (SocketOperation::SetOption("IP_TTL"), denied, None),
            // A firewall rule of this host refuses the connection.
            (SocketOperation::Connect, denied, Some(Condition::PermissionDenied)),
            (SocketOperation::Create, io::ErrorKind::NetworkUnreachable, Some(Condition::NoRoute)),
            (SocketOperation::Create, io::ErrorKind::OutOfMemory, Some(Condition::LocalLimit)),
            // No port is free, or the port that the user selects is in use.
            (SocketOperation::Bind(peer), in_use, Some(Condition::LocalLimit)),
            (SocketOperation::Bind(with_port), in_use, None),
            (SocketOperation::Bind(peer), io::ErrorKind::AddrNotAvailable, None),
        ] {
            assert_eq!(into_failure(operation, kind), condition, "{operation}: {kind}");
        }
    }

    #[test]
    fn limitation_has_the_error_in_words() {
        let error = OperationError {
            operation: SocketOperation::SetOption("SO_TIMESTAMPING"),
            error: io::Error::other("Protocol not available"),
        };
        let text = error.into_limitation(Part::Breakdown).to_string();
        let expected = "No breakdown: this system refuses the socket option SO_TIMESTAMPING (Protocol not available).";
        assert_eq!(text, expected);
    }
}
