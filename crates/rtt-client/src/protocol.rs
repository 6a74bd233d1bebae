//! The protocols. All code for one protocol is in its folder.
//!
//! [`registry`] lists the facts about each protocol. The registry does no I/O. [`driver`] returns the functions that
//! use sockets.

pub(crate) mod registry;
mod tcp;
mod udp;

use crate::model::exchange::UnconnectedResult;
use crate::model::protocol::Protocol;
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The functions of a protocol that use sockets.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Opens a transport to a peer.
    pub(crate) open: fn(SocketAddr, OpenConfig) -> Result<OpenAttempt, SocketError>,
    /// Only for protocols with sockets that are not connected.
    pub(crate) unconnected: Option<UnconnectedProbe>,
}

/// Sends one request from a socket that is not connected, and waits for a reply or an error. The arguments are
/// the peer, the local address, the request and the timeout.
pub(crate) type UnconnectedProbe =
    fn(SocketAddr, Option<SocketAddr>, &[u8], Duration) -> io::Result<UnconnectedResult>;

pub(crate) fn driver(protocol: &Protocol) -> &'static Driver {
    DRIVERS
        .iter()
        .find(|(facts, _)| *facts == protocol)
        .map(|(_, driver)| driver)
        .expect("a test checks that every registered protocol has a driver")
}

/// One entry for each protocol in the registry.
static DRIVERS: &[(&Protocol, Driver)] =
    &[(&udp::facts::FACTS, udp::DRIVER), (&tcp::facts::FACTS, tcp::DRIVER)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_protocol_has_a_driver() {
        for protocol in registry::PROTOCOLS {
            driver(protocol);
        }
        assert_eq!(DRIVERS.len(), registry::PROTOCOLS.len());
    }
}
