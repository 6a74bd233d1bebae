//! TCP: requests and replies are bytes of a stream. TCP does not mark the boundaries of messages.

pub(super) mod explain;
pub(super) mod facts;
mod handshake;
mod handshake_transport;
pub(super) mod packets;
mod services;
mod system;
mod transport;
mod two_writes;

#[cfg(all(fuzzing, target_os = "linux", not(portable)))]
pub use system::decode_any_statistics;

use crate::net::driver::Driver;

/// The functions of TCP that use sockets.
pub(super) const DRIVER: Driver = Driver {
    open: transport::open,
    unconnected: None,
    experiments: &[two_writes::EXPERIMENT],
    handshake: Some(&HANDSHAKES),
};

/// The functions of TCP's handshakes that use sockets.
static HANDSHAKES: Driver = Driver {
    open: handshake_transport::open,
    unconnected: None,
    experiments: &[],
    handshake: None,
};
