//! Platform code of TCP for systems other than Linux.

use super::ConnectResult;
use crate::model::traffic::KernelStatistics;
use crate::net::system::MAX_PAUSE;
use socket2::{SockAddr, Socket};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The kernel's statistics are not available on this system.
pub(in crate::protocol::tcp) fn statistics(_: &Socket) -> Option<KernelStatistics> {
    None
}

/// The time between two checks for the end of a long handshake.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Connects `socket` to `peer` within `timeout`. When `stop` is set, the wait ends with the error "timed out".
///
/// A system call waits for at most [`MAX_PAUSE`], because the stop flag does not interrupt it. After that, this function
/// checks the state of the socket every [`CHECK_INTERVAL`]. So the duration of a longer handshake is exact to about this
/// time.
pub(in crate::protocol::tcp) fn connect(
    socket: &Socket,
    peer: &SockAddr,
    timeout: Duration,
    stop: &AtomicBool,
) -> ConnectResult {
    let deadline = Instant::now() + timeout;
    let mut result = socket.connect_timeout(peer, timeout.min(MAX_PAUSE));
    while result.as_ref().is_err_and(|error| error.kind() == ErrorKind::TimedOut)
        && Instant::now() < deadline
        && !stop.load(Ordering::Relaxed)
    {
        thread::sleep(CHECK_INTERVAL);
        match socket.take_error() {
            Ok(None) if socket.peer_addr().is_ok() => result = Ok(()),
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => result = Err(error),
        }
    }
    ConnectResult { result, requests: Vec::new() }
}
