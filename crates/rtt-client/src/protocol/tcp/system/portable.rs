//! Platform code of TCP for systems other than Linux.

use super::{ConnectResult, EndedHandshake};
use crate::model::traffic::KernelStatistics;
use crate::net::system::{MAX_PAUSE, MAX_SPIN, WaitUntil};
use socket2::{SockAddr, Socket};
use std::io::{self, ErrorKind};
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

/// The longest wait of [`start_to_connect`]: the shortest timeout of `connect_timeout`. A system call without a wait returns
/// an error that the standard library does not distinguish from others. Many handshakes on a local network are shorter than
/// this time. With longer handshakes, a client can keep a rate of at most about 1000 per second.
const MAX_CONNECT_CALL: Duration = Duration::from_millis(1);

/// Starts to connect `socket` to `peer`. The handshake continues after this function returns.
pub(in crate::protocol::tcp) fn start_to_connect(
    socket: &Socket,
    peer: &SockAddr,
) -> io::Result<()> {
    match socket.connect_timeout(peer, MAX_CONNECT_CALL) {
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(()),
        result => result,
    }
}

/// Waits for the end of any of several handshakes. It checks the state of each socket repeatedly.
pub(in crate::protocol::tcp) struct ConnectPoller {
    spin: bool,
}

impl ConnectPoller {
    #[expect(clippy::unnecessary_wraps, reason = "the signature of `linux`")]
    pub(in crate::protocol::tcp) fn new(spin: bool) -> io::Result<Self> {
        Ok(Self { spin })
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signature of `linux`")]
    pub(in crate::protocol::tcp) fn add(&self, _: &Socket, _: u64) -> io::Result<()> {
        Ok(())
    }

    /// Waits until a handshake is over, and returns its result. Returns `None` if the wait ended earlier. Without
    /// `spin`, the result can be late by [`CHECK_INTERVAL`].
    pub(in crate::protocol::tcp) fn wait<'a>(
        &mut self,
        until: WaitUntil,
        sockets: &(impl Iterator<Item = (u64, &'a Socket)> + Clone),
    ) -> io::Result<Option<EndedHandshake>> {
        let start = Instant::now();
        let longest = if self.spin { MAX_SPIN } else { MAX_PAUSE };
        let end = until.deadline().min(start + longest);
        loop {
            for (number, socket) in sockets.clone() {
                let error = socket.take_error()?;
                if error.is_some() || socket.peer_addr().is_ok() {
                    return Ok(Some(EndedHandshake { number, error }));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if !self.spin {
                thread::sleep(left.min(CHECK_INTERVAL));
            }
        }
    }
}
