//! A toy protocol, only for tests (feature `toy-protocol`). It shows that generic code has no special case for a real
//! protocol: a connection has two phases, replies arrive in any order, the kernel has no statistics, and no packets can
//! be captured.
//!
//! The servers are simulated in the client's process. The port selects the behaviour ([`transport`]).

pub(super) mod explain;
pub(super) mod facts;
pub(super) mod packets;
mod transport;

use crate::net::driver::Driver;

/// The functions of the toy protocol.
pub(super) const DRIVER: Driver =
    Driver { open: transport::open, unconnected: None, experiments: &[], handshake: None };
