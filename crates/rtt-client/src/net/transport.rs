//! What a protocol has to be able to do, and the protocols that there are.
//!
//! Adding one: a file beside `udp.rs`, and a row in [`PROTOCOLS`].

use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::Connection;
use crate::model::icmp::Origin;
use crate::model::tcp_info::TcpInfo;
use crate::model::traffic::Traffic;
use crate::net::system::{NetworkError, REPORTS_ICMP_ORIGIN, ReceiveConfig, WaitUntil};
use echo_core::Stamp;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

/// How a transport is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenConfig {
    pub(crate) bind: Option<IpAddr>,
    /// Whether small writes may be held back for acknowledgements (RFC 896), where a protocol does that.
    pub(crate) nagle: bool,
    pub(crate) receiver: ReceiveConfig,
}

/// An attempt to open a transport.
pub(crate) struct OpenAttempt {
    /// The connection that was asked for, where the protocol has connections.
    pub(crate) connection: Option<Connection>,
    pub(crate) transport: Result<Box<dyn Transport>, Failure>,
}

/// A way to one peer, open.
pub(crate) trait Transport {
    /// This side's address.
    fn local(&self) -> SocketAddr;

    /// Hands `request` to the system. Where the system reports an error, it may be an earlier request's.
    fn send(&mut self, request: &[u8]) -> io::Result<(Stamp, TimestampId)>;

    /// Waits for something to arrive.
    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>>;

    /// What the network has said since the last time about packets that were sent, where the system tells.
    fn network_errors(&mut self) -> Vec<NetworkError>;

    /// When the kernel gave a request to the interface, if it stamps and has said so.
    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime>;

    /// What the kernel knows of the connection, if there is one.
    fn tcp_info(&self) -> Option<TcpInfo> {
        None
    }

    /// What has crossed the wire so far, where that is known.
    fn traffic(&self) -> Option<Traffic> {
        None
    }

    /// Ends it in good order; returns how long the peer took to end its side, if it has one, and did.
    fn close(&mut self, _patience: Duration) -> Option<Duration> {
        None
    }
}

/// What a notice says about the packet that it is about; nothing, if it does not say that it was lost for good
/// (a path's MTU, say, is the system's own affair).
pub(crate) fn failure_from_icmp(notice: &NetworkError, after: Duration) -> Option<Failure> {
    let condition = notice.icmp.condition()?;
    let error = Some(io::Error::from_raw_os_error(notice.errno));
    let origin = Some(Origin::Icmp(notice.icmp));
    Some(Failure { error, origin, ..Failure::new(condition, after) })
}

/// What the system said when it was asked to send or to connect, with what the network had said to it. Without
/// a word from the network, it spoke for itself, or the peer did.
pub(crate) fn failure_with_cause(
    error: io::Error,
    network_errors: &[NetworkError],
    after: Duration,
) -> io::Result<Failure> {
    if let Some(failure) =
        network_errors.iter().rev().find_map(|notice| failure_from_icmp(notice, after))
    {
        return Ok(failure);
    }
    let mut failure = failure_from_error(error, after)?;
    failure.origin = failure.origin.map(|untold| {
        if REPORTS_ICMP_ORIGIN { origin_of_immediate_error(&failure) } else { untold }
    });
    Ok(failure)
}

/// Who has said so, where the network has not: it speaks in notices.
fn origin_of_immediate_error(failure: &Failure) -> Origin {
    match failure.condition {
        Condition::Refused | Condition::Reset => Origin::Peer,
        _ => Origin::ThisHost,
    }
}

/// An IP packet's header without options, in bytes (RFC 791, RFC 8200).
pub(crate) fn ip_header_len(local: SocketAddr) -> u64 {
    if local.is_ipv4() { 20 } else { 40 }
}

/// What a wait came to.
pub(crate) enum Received<'a> {
    /// Nothing has arrived.
    Nothing,
    /// The peer has ended the connection.
    End,
    /// Bytes: a datagram, or the next piece of a stream.
    Bytes {
        /// When the system had handed them over.
        received: Stamp,
        /// When they had arrived in the kernel.
        timestamp: Option<SystemTime>,
        bytes: &'a [u8],
    },
}

/// The system would not do what measuring needs, and not because of the peer or the network.
#[derive(Debug, thiserror::Error)]
#[error("{operation} for {protocol} {address}")]
pub struct SocketError {
    /// What was to be done.
    pub operation: SocketOperation,
    /// The protocol's title.
    pub protocol: &'static str,
    /// The peer.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub error: io::Error,
}

/// The operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOperation {
    /// Creating the socket.
    Create,
    /// Setting a socket option, by its name.
    SetOption(&'static str),
    /// Connecting to the peer.
    Connect,
    /// Sending requests and receiving replies.
    Exchange,
}

impl fmt::Display for SocketOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("opening a socket"),
            Self::SetOption(option) => write!(f, "setting {option}"),
            Self::Connect => f.write_str("connecting"),
            Self::Exchange => f.write_str("an exchange"),
        }
    }
}

/// What a failed system call says about the peer or the way to it; the error itself, if nothing.
pub(crate) fn failure_from_error(error: io::Error, after: Duration) -> io::Result<Failure> {
    match Condition::from_error(&error) {
        Some(condition) => {
            let error = (condition != Condition::Silent).then_some(error);
            // On a connection that stands there is nobody else who could have broken it off.
            let told = if condition == Condition::Reset { Origin::Peer } else { Origin::Unknown };
            let origin = error.as_ref().map(|_| told);
            Ok(Failure { error, origin, ..Failure::new(condition, after) })
        }
        None => Err(error),
    }
}
