//! [`Transport`]: the trait that each protocol implements in its folder of `protocol/`.
//!
//! If the first transport of a run cannot be opened, a [`SocketError`] ends the run. Later errors become the failure of
//! an exchange (see [`crate::net::failure`]).

use crate::model::breakdown::TimestampId;
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Retransmitted};
use crate::model::protocol::{DisplayAddress, Protocol};
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::{KernelStatistics, Traffic};
use crate::net::limitation::Limitation;
use crate::net::system::{KERNEL_TIMESTAMPS, NetworkError, ReceiveConfig, WaitUntil};
use crate::plan::Settings;
use bytes::Bytes;
use echo_core::Stamp;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};
use std::{fmt, io};

/// The stop flag of an operation that the user cannot interrupt.
static NEVER_SET: AtomicBool = AtomicBool::new(false);

/// How to open a transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenConfig<'a> {
    /// The local address. With port 0, the system chooses a port.
    pub(crate) bind: Option<SocketAddr>,
    /// The hop limit of sent packets. Without a value, the system chooses it.
    pub(crate) ttl: Option<NonZeroU8>,
    pub(crate) receiver: ReceiveConfig,
    /// The stop flag. When it is set, a wait for the peer ends with the failure [`Condition::Silent`]. The caller
    /// checks the flag before it uses the failure.
    pub(crate) stop: &'a AtomicBool,
}

impl OpenConfig<'_> {
    /// The configuration for `settings`. It has kernel timestamps if the settings request
    /// a breakdown and this system supports them. See also [`OpenConfig::interrupted_by`].
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bind: settings.bind,
            ttl: settings.ttl,
            receiver: ReceiveConfig {
                timeout: settings.timeout,
                spin: settings.spin,
                timestamps: settings.breakdown && KERNEL_TIMESTAMPS,
                hop_limit: false,
                queue: None,
            },
            stop: &NEVER_SET,
        }
    }

    /// The same configuration with a stop flag.
    pub(crate) fn interrupted_by(self, stop: &AtomicBool) -> OpenConfig<'_> {
        OpenConfig { stop, ..self }
    }

    /// The same configuration without a stop flag, for an attempt in another thread.
    pub(crate) fn without_interrupt(self) -> OpenConfig<'static> {
        OpenConfig { stop: &NEVER_SET, ..self }
    }

    /// The same configuration without kernel timestamps.
    pub(crate) fn without_timestamps(self) -> Self {
        Self { receiver: ReceiveConfig { timestamps: false, ..self.receiver }, ..self }
    }

    /// The same configuration without the user's local port, for a second socket in addition to the measured one.
    pub(crate) fn with_any_local_port(mut self) -> Self {
        if let Some(address) = &mut self.bind {
            address.set_port(0);
        }
        self
    }
}

/// The result of an attempt to open a transport.
pub(crate) struct OpenAttempt {
    /// The attempt to connect. `None` if the protocol has no connections, or if no connection request was sent.
    pub(crate) connection: Option<Connection>,
    /// The open transport, or the failure of the attempt.
    pub(crate) transport: Result<Box<dyn Transport>, Failure>,
}

/// An open transport to one peer. It can be opened by another thread than the one that uses it.
pub(crate) trait Transport: Send {
    /// The local address, if the system reports it.
    fn local(&self) -> Option<SocketAddr>;

    /// Passes a request, or a part of it, to the system. `number` is the number of the request. The numbers of the
    /// requests of a transport increase. When `stop` is set, a wait for space in the send buffer ends with an error.
    ///
    /// # Errors
    ///
    /// The system's error. The cause can be an earlier request.
    fn send(&mut self, number: u64, request: &[u8], stop: &AtomicBool) -> io::Result<SentRequest>;

    /// Waits for data.
    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>>;

    /// Ends the wait for the reply to this request. Returns an observation about the request, if there is one.
    fn give_up(&mut self, _number: u64) -> Option<String> {
        None
    }

    /// Returns the ICMP errors about this transport's packets that arrived since the last call. Empty if the system
    /// does not report them.
    fn network_errors(&mut self) -> Vec<NetworkError>;

    /// The time at which the kernel passed a request to the network driver, if the kernel has recorded it.
    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime>;

    /// The kernel's statistics about the connection, if the kernel has them (see [`Protocol::kernel_statistics`]).
    ///
    /// [`Protocol::kernel_statistics`]: crate::model::protocol::Protocol::kernel_statistics
    fn kernel_statistics(&self) -> Option<KernelStatistics> {
        None
    }

    /// The size of the receive queue, if the configuration requests one.
    fn receive_queue(&self) -> Option<ReceiveQueue> {
        None
    }

    /// The number of replies that the receive queue had dropped when the last reply arrived, if the system reports it.
    fn drops_at_arrival(&self) -> Option<u64> {
        None
    }

    /// The number of replies that the receive queue has dropped, if the system reports it.
    fn drops(&self) -> Option<ReceiveDrops> {
        None
    }

    /// The limitations of this transport.
    fn limitations(&self) -> Vec<Limitation> {
        Vec::new()
    }

    /// The maximum length of a packet on the path, in bytes, if the kernel has it.
    fn path_mtu(&self) -> Option<u32> {
        None
    }

    /// Returns the datagrams that arrived from other addresses than the peer's since the last call, at most
    /// [`MAX_OTHER_DATAGRAMS`] of them. Empty if the system does not pass them to this transport.
    fn datagrams_from_others(&mut self) -> Vec<OtherDatagram> {
        Vec::new()
    }

    /// The number of packets sent and received so far, if it is known.
    fn traffic(&self) -> Option<Traffic> {
        None
    }

    /// Closes the connection and waits until the peer closes its side. Returns the duration of this wait. Returns
    /// `None` if there is no connection, or if the peer does not close its side within `timeout` and before `stop` is set.
    fn close(&mut self, _timeout: Duration, _stop: &AtomicBool) -> Option<Duration> {
        None
    }

    /// Whether bytes arrived during [`Transport::close`].
    fn received_during_close(&self) -> bool {
        false
    }
}

/// The maximum number of datagrams from other addresses that one call returns. Any host can send them.
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "only the Linux implementation receives such datagrams")
)]
pub(crate) const MAX_OTHER_DATAGRAMS: usize = 256;

/// A datagram from another address than the peer's.
#[derive(Debug)]
pub(crate) struct OtherDatagram {
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Bytes,
}

/// A request that the system has accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentRequest {
    /// The time immediately before the program passed the request to the system.
    pub(crate) stamp: Stamp,
    /// Identifies the kernel's timestamp of the request.
    pub(crate) timestamp_id: TimestampId,
}

/// The result of a wait for data.
pub(crate) enum Received<'a> {
    /// The wait ended without data.
    Nothing,
    /// A packet arrived that cannot be a reply to a request of this transport.
    Stray,
    /// The peer has closed its side of the connection.
    End,
    /// The connection of a request is established. The handshake is the exchange.
    Established {
        /// The number of the request.
        request: u64,
        /// When the system reported the end of the handshake.
        received: Stamp,
        /// The packets of the handshake that were sent again. Absent if the system does not report it.
        retransmitted: Option<Retransmitted>,
    },
    /// A request failed. The system has verified that the error belongs to it.
    Failed {
        /// The number of the request.
        request: u64,
        failure: Failure,
    },
    /// A datagram, or the next bytes of a stream.
    Bytes {
        /// When the system returned the bytes to the program.
        received: Stamp,
        /// When the kernel received the packet.
        timestamp: Option<SystemTime>,
        /// The hop limit (TTL) of the received packet, if the transport requests it.
        hop_limit: Option<u8>,
        /// The number of the request to which the datagram replies, if the header of the datagram identifies it.
        request: Option<u64>,
        bytes: &'a [u8],
    },
}

/// An operation on a socket failed. The peer and the network are not the reason.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} for {} {}", .protocol.title, .protocol.display_address(*.address))]
pub struct SocketError {
    /// The operation that failed.
    pub operation: SocketOperation,
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The address of the peer.
    pub address: SocketAddr,
    /// The system's error.
    #[source]
    pub error: io::Error,
}

/// An operation on a socket. Its text follows the word "cannot" in error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOperation {
    /// Creating the socket.
    Create,
    /// Binding the socket to this local address.
    Bind(SocketAddr),
    /// Setting the socket option with this name.
    SetOption(&'static str),
    /// Reading the socket option with this name.
    ReadOption(&'static str),
    /// Connecting to the peer.
    Connect,
    /// Sending requests and receiving replies.
    Exchange,
}

impl fmt::Display for SocketOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create a socket"),
            Self::Bind(address) if address.port() > 0 => write!(f, "bind to {address}"),
            Self::Bind(address) => write!(f, "bind to {}", DisplayAddress::without_port(*address)),
            Self::SetOption(option) => write!(f, "set the socket option {option}"),
            Self::ReadOption(option) => write!(f, "read the socket option {option}"),
            Self::Connect => f.write_str("connect"),
            Self::Exchange => f.write_str("exchange data"),
        }
    }
}
