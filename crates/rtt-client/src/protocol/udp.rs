//! UDP: a request is one datagram, and its reply is one datagram.

pub(super) mod facts;
mod transport;
mod unconnected;

use super::Driver;

pub(super) const DRIVER: Driver =
    Driver { open: transport::open, unconnected: Some(unconnected::send_and_wait) };
