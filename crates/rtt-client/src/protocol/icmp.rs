//! ICMP echo (`ping`): a request is one echo request, and its reply is one echo reply. The kernel of the target's host
//! replies.

pub(super) mod explain;
pub(super) mod facts;
mod filter;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod message;
pub(super) mod packets;
mod permission;
mod sequence;
mod transport;

use crate::net::driver::Driver;

/// The functions of ICMP that use sockets.
pub(super) const DRIVER: Driver =
    Driver { open: transport::open, unconnected: None, experiments: &[], handshake: None };
