//! What a protocol has to be able to do, and the protocols that there are.
//!
//! Adding one: a file beside `udp.rs`, and a row in [`PROTOCOLS`].

mod tcp;
mod udp;
mod wire;

use crate::breakdown::Marks;
use crate::system::{InletConfig, Notice, ORIGINS, TcpInfo, Until};
use crate::{Condition, Connection, Failure, Origin, Unconnected};
use echo_core::Stamp;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

/// The protocols, in the order in which people read them.
pub static PROTOCOLS: &[Protocol] = &[udp::PROTOCOL, tcp::PROTOCOL];

/// The protocol with that name, if there is one.
#[must_use]
pub fn protocol_named(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// What the rest of the client has to know of a protocol.
#[derive(Debug)]
pub struct Protocol {
    /// As in a URL and in scripts: `udp`.
    pub name: &'static str,
    /// As people write it: `UDP`.
    pub title: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// The port of its server, where none is given.
    pub default_port: u16,
    /// The longest request or reply that one exchange carries, in bytes.
    pub longest: usize,
    /// Whether a request of no bytes is a request.
    pub carries_empty: bool,
    pub(crate) framing: Framing,
    /// Its number in IP's header, where it is over IP itself.
    pub(crate) ip_number: u8,
    pub(crate) open: fn(SocketAddr, OpenConfig) -> Result<Opening, SocketError>,
    /// What a client sees that asks from a socket which is not connected, where there are such: it is given
    /// the peer, this side's address, the question and its patience.
    pub(crate) unconnected: Option<AskUnconnected>,
}

/// Asks from a socket that is not connected.
pub(crate) type AskUnconnected =
    fn(SocketAddr, Option<IpAddr>, &[u8], Duration) -> io::Result<Unconnected>;

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Protocol {}

/// How replies arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One at a time, whole, in any order.
    Datagrams,
    /// In order, cut anywhere.
    Stream,
}

/// How a transport is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenConfig {
    pub(crate) bind: Option<IpAddr>,
    /// Whether small writes may be held back for acknowledgements (RFC 896), where a protocol does that.
    pub(crate) nagle: bool,
    pub(crate) inlet: InletConfig,
}

/// An attempt to open a transport.
pub(crate) struct Opening {
    /// The connection that was asked for, where the protocol has connections.
    pub(crate) connection: Option<Connection>,
    pub(crate) transport: Result<Box<dyn Transport>, Failure>,
}

/// A way to one peer, open.
pub(crate) trait Transport {
    /// This side's address.
    fn local(&self) -> SocketAddr;

    /// Hands `request` to the system. Where the system reports an error, it may be an earlier request's.
    fn send(&mut self, request: &[u8]) -> io::Result<(Stamp, Marks)>;

    /// Waits for something to arrive.
    fn receive(&mut self, until: Until) -> io::Result<Received<'_>>;

    /// What the network has said since the last time about packets that were sent, where the system tells.
    fn notices(&mut self) -> Vec<Notice>;

    /// When the kernel gave a request to the interface, if it stamps and has said so.
    fn transmitted(&mut self, marks: Marks) -> Option<SystemTime>;

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
pub(crate) fn failure_in(notice: &Notice, after: Duration) -> Option<Failure> {
    let condition = notice.icmp.condition()?;
    let error = Some(io::Error::from_raw_os_error(notice.errno));
    let origin = Some(Origin::Icmp(notice.icmp));
    Some(Failure { error, origin, ..Failure::seen(condition, after) })
}

/// What the system said when it was asked to send or to connect, with what the network had said to it. Without
/// a word from the network, it spoke for itself, or the peer did.
pub(crate) fn failure_with(
    error: io::Error,
    notices: &[Notice],
    after: Duration,
) -> io::Result<Failure> {
    if let Some(failure) = notices.iter().rev().find_map(|notice| failure_in(notice, after)) {
        return Ok(failure);
    }
    let mut failure = failure_of(error, after)?;
    failure.origin =
        failure.origin.map(|untold| if ORIGINS { told_at_once(&failure) } else { untold });
    Ok(failure)
}

/// Who has said so, where the network has not: it speaks in notices.
fn told_at_once(failure: &Failure) -> Origin {
    match failure.condition {
        Condition::Refused | Condition::Reset => Origin::Peer,
        _ => Origin::ThisHost,
    }
}

/// What has crossed the wire, as packets of IP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) packets_out: u64,
    pub(crate) packets_in: u64,
    /// Packets that carry nothing of the application's: acknowledgements and what opens and ends.
    pub(crate) without_data_out: u64,
    pub(crate) without_data_in: u64,
    /// Headers of IP and above, and payload, in bytes.
    pub(crate) ip_bytes_out: u64,
    pub(crate) ip_bytes_in: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}

impl Traffic {
    fn with(self, other: Self, count: fn(u64, u64) -> u64) -> Self {
        Self {
            packets_out: count(self.packets_out, other.packets_out),
            packets_in: count(self.packets_in, other.packets_in),
            without_data_out: count(self.without_data_out, other.without_data_out),
            without_data_in: count(self.without_data_in, other.without_data_in),
            ip_bytes_out: count(self.ip_bytes_out, other.ip_bytes_out),
            ip_bytes_in: count(self.ip_bytes_in, other.ip_bytes_in),
        }
    }
}

/// An IP packet's header without options, in bytes (RFC 791, RFC 8200).
fn ip_header(local: SocketAddr) -> u64 {
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
        stamp: Option<SystemTime>,
        bytes: &'a [u8],
    },
}

/// The system would not do what measuring needs, and not because of the peer or the network.
#[derive(Debug, thiserror::Error)]
#[error("{operation} for {protocol} {address}: {error}")]
pub struct SocketError {
    /// What was to be done.
    pub operation: &'static str,
    /// The protocol's title.
    pub protocol: &'static str,
    /// The peer.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// What a failed system call says about the peer or the way to it; the error itself, if nothing.
pub(crate) fn failure_of(error: io::Error, after: Duration) -> io::Result<Failure> {
    match Condition::of(&error) {
        Some(condition) => {
            let error = (condition != Condition::Silent).then_some(error);
            // On a connection that stands there is nobody else who could have broken it off.
            let told = if condition == Condition::Reset { Origin::Peer } else { Origin::Untold };
            let origin = error.as_ref().map(|_| told);
            Ok(Failure { error, origin, ..Failure::seen(condition, after) })
        }
        None => Err(error),
    }
}
