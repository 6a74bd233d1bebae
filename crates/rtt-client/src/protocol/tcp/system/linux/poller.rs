//! [`ConnectPoller`]: waits for the end of any of several handshakes, with epoll(7).
//!
//! The cost of a wait does not depend on the number of handshakes. `epoll_wait` has a resolution of milliseconds. So
//! `ppoll`, which has a high-resolution timer, waits for the epoll descriptor.

use super::super::EndedHandshake;
use crate::net::system::{MAX_PAUSE, MAX_SPIN, WaitUntil};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::AsFd as _;
use std::thread;
use std::time::{Duration, Instant};

/// Starts to connect `socket` to `peer`. The socket must be non-blocking.
pub(in crate::protocol::tcp) fn start_to_connect(
    socket: &Socket,
    peer: &SockAddr,
) -> io::Result<()> {
    match socket.connect(peer) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        result => result,
    }
}

/// Waits for the end of any of several handshakes.
pub(in crate::protocol::tcp) struct ConnectPoller {
    epoll: Epoll,
    /// Busy-poll instead of sleeping.
    spin: bool,
}

impl ConnectPoller {
    pub(in crate::protocol::tcp) fn new(spin: bool) -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, spin })
    }

    /// Adds a socket before its handshake. Closing the socket removes it.
    pub(in crate::protocol::tcp) fn add(&self, socket: &Socket, number: u64) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLOUT, number))?)
    }

    /// Waits until a handshake is over, and returns its number. Returns `None` if the wait ended earlier.
    pub(in crate::protocol::tcp) fn wait<'a>(
        &mut self,
        until: WaitUntil,
        _: &impl Iterator<Item = (u64, &'a Socket)>,
    ) -> io::Result<Option<EndedHandshake>> {
        let mut end = None;
        loop {
            let mut events = [EpollEvent::empty()];
            match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                Ok(0) => {}
                Ok(_) => {
                    let [event] = events;
                    return Ok(Some(EndedHandshake { number: event.data(), error: None }));
                }
                Err(Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            let end = *end.get_or_insert_with(|| self.end(until, now));
            if now >= end {
                return Ok(None);
            }
            if self.spin {
                continue;
            }
            let awake = match until {
                WaitUntil::ExactAwake(_, awake) => awake,
                WaitUntil::Coarse(_) | WaitUntil::Exact(_) => Duration::ZERO,
            };
            let asleep = (end - now).saturating_sub(awake);
            if asleep.is_zero() {
                // This gives the CPU to a server that runs on the same CPU.
                thread::yield_now();
                continue;
            }
            let mut poll = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut poll, Some(TimeSpec::from_duration(asleep)), None) {
                Ok(_) => {}
                Err(Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The end of a wait that starts at `now`.
    fn end(&self, until: WaitUntil, now: Instant) -> Instant {
        let longest = match until {
            _ if self.spin => MAX_SPIN,
            WaitUntil::Coarse(_) => MAX_PAUSE,
            WaitUntil::Exact(deadline) | WaitUntil::ExactAwake(deadline, _) => return deadline,
        };
        until.deadline().min(now + longest)
    }
}
