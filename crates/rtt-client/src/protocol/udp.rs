//! UDP: a request is one datagram, and its reply is one datagram.

mod closed_port;
pub(super) mod explain;
pub(super) mod facts;
pub(super) mod packets;
mod services;
mod system;
mod transport;
mod unconnected;

use crate::net::driver::Driver;

/// The functions of UDP that use sockets.
pub(super) const DRIVER: Driver = Driver {
    open: transport::open,
    unconnected: Some(unconnected::send_and_wait),
    experiments: &[closed_port::EXPERIMENT],
    handshake: None,
};
