//! Platform code of TCP: connecting with the times of the connection requests, and the kernel's statistics about a
//! connection. `linux` and `portable` contain the same functions, as in `net/system.rs`.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "system/linux/mod.rs"]
mod imp;

#[cfg(not(all(target_os = "linux", not(portable))))]
#[path = "system/portable.rs"]
mod imp;

#[cfg(all(fuzzing, target_os = "linux", not(portable)))]
pub use imp::decode_any_statistics;
pub(super) use imp::{ConnectPoller, connect, start_to_connect, statistics};

use std::io;
use std::time::Duration;

/// The result of an attempt to connect.
#[derive(Debug)]
pub(super) struct ConnectResult {
    pub(super) result: io::Result<()>,
    /// The times at which the kernel sent connection requests (SYN), counted from the first. Empty if not known.
    pub(super) requests: Vec<Duration>,
}

/// A handshake that is over.
#[derive(Debug)]
pub(super) struct EndedHandshake {
    /// The number that [`ConnectPoller::add`] received with its socket.
    pub(super) number: u64,
    /// The error of its socket, if it has been read from the socket.
    pub(super) error: Option<io::Error>,
}
