//! What a protocol has to be able to do, and the protocols that there are.
//!
//! Adding one: a file beside `udp.rs`, and a row in [`PROTOCOLS`].

mod tcp;
mod udp;

use crate::{Connection, Exchange, Failure};
use bytes::Bytes;
use std::{io, net::SocketAddr, time::Duration};

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
    pub(crate) open: fn(SocketAddr, Duration) -> Result<Opening, SocketError>,
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Protocol {}

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

    /// Sends `request` and waits, for the time that it was opened with, for `expected` to come back.
    ///
    /// # Errors
    ///
    /// Only what says nothing about the peer or the way to it; all else is an [`Outcome`].
    fn exchange(
        &mut self,
        seq: u64,
        request: &Bytes,
        expected: &Bytes,
    ) -> Result<Exchange, SocketError>;
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
