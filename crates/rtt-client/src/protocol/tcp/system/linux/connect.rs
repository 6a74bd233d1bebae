//! Connecting, with the times of the connection requests (SYN) that the kernel sends.
//!
//! The kernel repeats a SYN that gets no answer. It does not report these repetitions, so the client reads the number
//! of retransmissions from `TCP_INFO` (tcp(7)) during the wait. If the server is silent, the client can then report "4
//! connection requests (SYN), at 0.0, 1.0, 3.1 and 7.3 s".

use super::super::ConnectResult;
use super::statistics;
use crate::net::system::MAX_PAUSE;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time of the first check for retransmissions. The kernel's first retransmission timeout is one second (RFC
/// 6298), so an earlier check would find none.
const FIRST_CHECK: Duration = Duration::from_millis(950);

/// The time between later checks. A reported time can be late by this duration.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Connects `socket` to `peer` within `timeout`. When `stop` is set, the wait ends with the error "timed out".
pub(in crate::protocol::tcp) fn connect(
    socket: &Socket,
    peer: &SockAddr,
    timeout: Duration,
    stop: &AtomicBool,
) -> ConnectResult {
    let start = Instant::now();
    let mut requests = vec![Duration::ZERO];
    let result = socket.set_nonblocking(true).and_then(|()| {
        let connected = match socket.connect(peer) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                wait(socket, start, timeout, stop, &mut requests)
            }
            immediate => immediate,
        };
        socket.set_nonblocking(false).and(connected)
    });
    ConnectResult { result, requests }
}

/// Waits for the end of the handshake, and adds the times of retransmitted requests to `requests`.
fn wait(
    socket: &Socket,
    start: Instant,
    timeout: Duration,
    stop: &AtomicBool,
    requests: &mut Vec<Duration>,
) -> io::Result<()> {
    let deadline = start + timeout;
    let mut next_check = start + FIRST_CHECK;
    loop {
        let now = Instant::now();
        let left = deadline.min(next_check).min(now + MAX_PAUSE).saturating_duration_since(now);
        let mut poll = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match ppoll(&mut poll, Some(TimeSpec::from_duration(left)), None) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return socket.take_error()?.map_or(Ok(()), Err),
            Err(error) => return Err(error.into()),
        }
        let retransmissions = statistics(socket).and_then(|info| info.retransmissions).unwrap_or(0);
        while (requests.len() as u64) <= retransmissions {
            requests.push(start.elapsed());
        }
        let now = Instant::now();
        if now >= deadline || stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if now >= next_check {
            next_check = now + CHECK_INTERVAL;
        }
    }
}
