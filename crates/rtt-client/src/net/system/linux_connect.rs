//! Linux: connecting with an eye on how often the kernel asks (tcp(7), `TCP_INFO`).

use super::linux_tcp_info::tcp_info;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// How long the first connection request is waited for before the kernel is asked whether it has sent
/// another: its time-out is a second (RFC 6298).
const BEFORE_THE_SECOND: Duration = Duration::from_millis(950);

/// How often it is asked from then on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Connects within `timeout`. The result, and when connection requests were sent, from the first.
pub(crate) fn connect(
    socket: &Socket,
    peer: &SockAddr,
    timeout: Duration,
) -> (io::Result<()>, Vec<Duration>) {
    let begun = Instant::now();
    let mut requests = vec![Duration::ZERO];
    let result = socket.set_nonblocking(true).and_then(|()| {
        let connected = match socket.connect(peer) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                wait(socket, begun, timeout, &mut requests)
            }
            decided => decided,
        };
        socket.set_nonblocking(false).and(connected)
    });
    (result, requests)
}

fn wait(
    socket: &Socket,
    begun: Instant,
    timeout: Duration,
    requests: &mut Vec<Duration>,
) -> io::Result<()> {
    let deadline = begun + timeout;
    let mut look = begun + BEFORE_THE_SECOND;
    loop {
        let left = deadline.min(look).saturating_duration_since(Instant::now());
        let mut poll = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match ppoll(&mut poll, Some(TimeSpec::from_duration(left)), None) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return socket.take_error()?.map_or(Ok(()), Err),
            Err(error) => return Err(error.into()),
        }
        let again = tcp_info(socket).and_then(|info| info.retransmissions).unwrap_or(0);
        while (requests.len() as u64) <= again {
            requests.push(begun.elapsed());
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        look = Instant::now() + LOOK_EVERY;
    }
}
