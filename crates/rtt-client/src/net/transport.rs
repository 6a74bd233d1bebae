//! The interface between the engine and the protocols: [`Transport`], and how errors of the system become a
//! [`Failure`] of an exchange or a [`SocketError`] that ends the run.
//!
//! Each protocol implements [`Transport`] in its folder below `protocol/`.

use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::Connection;
use crate::model::icmp::Origin;
use crate::model::tcp_info::TcpInfo;
use crate::model::traffic::Traffic;
use crate::net::system::{
    KERNEL_TIMESTAMPS, NetworkError, REPORTS_ICMP_ORIGIN, ReceiveConfig, WaitUntil,
};
use crate::plan::Settings;
use echo_core::Stamp;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use std::{fmt, io};

/// How to open a transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenConfig {
    /// The local address. With port 0, the system chooses a port.
    pub(crate) bind: Option<SocketAddr>,
    /// Keep Nagle's algorithm (RFC 896), which delays small writes until earlier data is acknowledged, if the
    /// protocol has it.
    pub(crate) nagle: bool,
    pub(crate) receiver: ReceiveConfig,
}

impl OpenConfig {
    /// The configuration that `settings` select, without Nagle's algorithm. It has kernel timestamps if the settings
    /// request a breakdown and this system supports them.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bind: settings.bind,
            nagle: false,
            receiver: ReceiveConfig {
                timeout: settings.timeout,
                spin: settings.spin,
                timestamps: settings.breakdown && KERNEL_TIMESTAMPS,
            },
        }
    }

    /// The same configuration without kernel timestamps.
    pub(crate) fn without_timestamps(self) -> Self {
        Self { receiver: ReceiveConfig { timestamps: false, ..self.receiver }, ..self }
    }
}

/// The result of an attempt to open a transport.
pub(crate) struct OpenAttempt {
    /// The attempt to connect, if the protocol has connections and the client has sent a connection request.
    pub(crate) connection: Option<Connection>,
    /// The open transport, or what the attempt shows about the peer or the route to it.
    pub(crate) transport: Result<Box<dyn Transport>, Failure>,
}

/// An open transport to one peer.
pub(crate) trait Transport {
    /// The local address.
    fn local(&self) -> SocketAddr;

    /// Passes `request` to the system.
    ///
    /// # Errors
    ///
    /// The system's error. It can belong to an earlier request.
    fn send(&mut self, request: &[u8]) -> io::Result<SentRequest>;

    /// Waits for data.
    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>>;

    /// The ICMP errors about packets of this transport that arrived since the last call, if the system
    /// reports them.
    fn network_errors(&mut self) -> Vec<NetworkError>;

    /// When the kernel handed a request to the network driver, if it has recorded this.
    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime>;

    /// What the kernel reports about the connection, if the protocol is TCP.
    fn tcp_info(&self) -> Option<TcpInfo> {
        None
    }

    /// The packets that were sent and received so far, if they are known.
    fn traffic(&self) -> Option<Traffic> {
        None
    }

    /// Closes the connection and waits for the peer to close its side. Returns the time that the peer needed,
    /// or `None` if there is no connection or the peer did not close it within `timeout`.
    fn close(&mut self, _timeout: Duration) -> Option<Duration> {
        None
    }
}

/// A request that the system has accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentRequest {
    /// The time just before the program passed the request to the system.
    pub(crate) stamp: Stamp,
    /// Identifies the kernel's timestamp of the request.
    pub(crate) timestamp_id: TimestampId,
}

/// The result of a wait for data.
pub(crate) enum Received<'a> {
    /// No data has arrived.
    Nothing,
    /// The peer has closed its side of the connection.
    End,
    /// A datagram, or the next bytes of a stream.
    Bytes {
        /// When the system returned the bytes to the program.
        received: Stamp,
        /// When the kernel received the packet.
        timestamp: Option<SystemTime>,
        bytes: &'a [u8],
    },
}

/// An operation on a socket failed for a reason that is not the peer or the network.
#[derive(Debug, thiserror::Error)]
#[error("{operation} for {protocol} {address}")]
pub struct SocketError {
    /// The operation that failed.
    pub operation: SocketOperation,
    /// The protocol's title.
    pub protocol: &'static str,
    /// The address of the peer.
    pub address: SocketAddr,
    /// The system's error.
    #[source]
    pub error: io::Error,
}

/// The operation that a [`SocketError`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOperation {
    /// Creating the socket.
    Create,
    /// Binding the socket to this local address.
    Bind(SocketAddr),
    /// Setting the socket option with this name.
    SetOption(&'static str),
    /// Connecting to the peer.
    Connect,
    /// Sending requests and receiving replies.
    Exchange,
}

impl fmt::Display for SocketOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("creating a socket"),
            Self::Bind(address) if address.port() > 0 => write!(f, "binding to {address}"),
            Self::Bind(SocketAddr::V6(address)) if address.scope_id() > 0 => {
                write!(f, "binding to {}%{}", address.ip(), address.scope_id())
            }
            Self::Bind(address) => write!(f, "binding to {}", address.ip()),
            Self::SetOption(option) => write!(f, "setting the socket option {option}"),
            Self::Connect => f.write_str("connecting"),
            Self::Exchange => f.write_str("exchanging data"),
        }
    }
}

/// The failure that an ICMP error causes. `None` if the error does not mean that the packet is lost for good:
/// the system handles "packet too big", for example, itself.
pub(crate) fn failure_from_icmp(error: &NetworkError, after: Duration) -> Option<Failure> {
    let condition = error.icmp.condition()?;
    let origin = Some(Origin::Icmp(error.icmp));
    let error = Some(io::Error::from_raw_os_error(error.errno));
    Some(Failure { error, origin, ..Failure::new(condition, after) })
}

/// The failure that a failed system call shows, if the error describes the peer or the route to it.
///
/// # Errors
///
/// The error itself, if it does not.
pub(crate) fn failure_from_error(error: io::Error, after: Duration) -> io::Result<Failure> {
    let Some(condition) = Condition::from_error(&error) else { return Err(error) };
    if condition == Condition::Silent {
        return Ok(Failure::new(condition, after));
    }
    // Only the peer can reset an established connection.
    let origin = if condition == Condition::Reset { Origin::Peer } else { Origin::Unknown };
    let origin = Some(origin);
    Ok(Failure { error: Some(error), origin, ..Failure::new(condition, after) })
}

/// The failure of an attempt to open a transport. The latest ICMP error is its cause, if there is one.
///
/// # Errors
///
/// The error itself, if it does not describe the peer or the route to it.
pub(crate) fn failure_with_cause(
    error: io::Error,
    network_errors: &[NetworkError],
    after: Duration,
) -> io::Result<Failure> {
    let from_icmp = network_errors.iter().rev().find_map(|error| failure_from_icmp(error, after));
    if let Some(failure) = from_icmp {
        return Ok(failure);
    }
    let mut failure = failure_from_error(error, after)?;
    // If this system reports ICMP errors and there is none, the error is from the peer's TCP or from this host.
    if REPORTS_ICMP_ORIGIN && failure.origin.is_some() {
        failure.origin = Some(match failure.condition {
            Condition::Refused | Condition::Reset => Origin::Peer,
            _ => Origin::ThisHost,
        });
    }
    Ok(failure)
}
