//! What every system can do: sockets with time-outs. Whatever needs more says that it is not here.

use super::{
    CaptureConfig, CapturedFrame, Interface, MAX_SPIN, NetworkError, ReceiveConfig, Reception,
    TcpInfo, WaitUntil,
};
use socket2::{SockAddr, Socket};
use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

/// Who sent an ICMP error is not told here.
pub(crate) const REPORTS_ICMP_ORIGIN: bool = false;

/// No kernel stamps here.
pub(crate) const KERNEL_TIMESTAMPS: bool = false;

/// The shortest time-out that every system takes for one.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A socket's receiving side.
#[derive(Debug)]
pub(crate) struct Receiver {
    casual: Duration,
    spin: bool,
}

impl Receiver {
    pub(crate) fn new(socket: &Socket, config: ReceiveConfig) -> io::Result<Self> {
        let casual = config.longest_casual_wait();
        socket.set_read_timeout(Some(casual))?;
        Ok(Self { casual, spin: config.spin })
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as where there are stamps")]
    pub(crate) fn enable_timestamps(&self, _: &Socket) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "as where there are notices")]
    pub(crate) fn network_errors(&mut self, _: &Socket) -> Vec<NetworkError> {
        Vec::new()
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as where there are some")]
    pub(crate) fn leave_errors_to_tcp(&self, _: &Socket) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        until: WaitUntil,
    ) -> io::Result<Option<Reception>> {
        let received = match until {
            _ if self.spin => spin_until(socket, buffer, until.deadline()),
            WaitUntil::Coarse(_) => read(socket, buffer),
            WaitUntil::Exact(deadline) => self.wait_until(socket, buffer, deadline, Duration::ZERO),
            WaitUntil::ExactAwake(deadline, awake) => {
                self.wait_until(socket, buffer, deadline, awake)
            }
        };
        match received {
            Ok(length) => Ok(Some(Reception { length, stamp: None })),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Sleeps for what is left in whole milliseconds, and spins for the rest, `awake` at least.
    fn wait_until(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        deadline: Instant,
        awake: Duration,
    ) -> io::Result<usize> {
        let awake = awake.max(SHORTEST_WAIT);
        let left = deadline.saturating_duration_since(Instant::now());
        if left <= awake + SHORTEST_WAIT {
            return spin_until(socket, buffer, deadline);
        }
        socket.set_read_timeout(Some(left.saturating_sub(awake)))?;
        let received = read(socket, buffer);
        socket.set_read_timeout(Some(self.casual))?;
        received
    }

    #[expect(clippy::unused_self, reason = "as where there are stamps")]
    pub(crate) fn transmitted(&mut self, _: &Socket, _: u32) -> Option<SystemTime> {
        None
    }
}

fn read(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    socket.read(buffer)
}

fn spin_until(socket: &Socket, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
    let end = deadline.min(Instant::now() + MAX_SPIN);
    socket.set_nonblocking(true)?;
    let received = loop {
        match read(socket, buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {}
            decided => break decided,
        }
    };
    socket.set_nonblocking(false)?;
    received
}

/// What TCP knows of a connection can't be asked here.
pub(crate) fn tcp_info(_: &Socket) -> Option<TcpInfo> {
    None
}

/// Connects within `timeout`. When connection requests were sent is not told here.
pub(crate) fn connect(
    socket: &Socket,
    peer: &SockAddr,
    timeout: Duration,
) -> (io::Result<()>, Vec<Duration>) {
    (socket.connect_timeout(peer, timeout), Vec::new())
}

/// Whether the next hop answers for itself is not told here.
pub(crate) fn unresolved_next_hop(_: IpAddr) -> Option<IpAddr> {
    None
}

/// The path's longest packet can't be asked for here.
pub(crate) fn path_mtu(_: &Socket) -> Option<u32> {
    None
}

/// Staying on one CPU can't be asked for here.
pub(crate) fn pin(_: usize) -> io::Result<()> {
    Err(io::Error::new(ErrorKind::Unsupported, "not available on this system"))
}

/// The system wakes threads as it does.
pub(crate) fn use_precise_timers() {}

/// Packets can't be captured here.
#[derive(Debug)]
pub(crate) struct Capture {}

impl Capture {
    pub(crate) fn start(_: &CaptureConfig) -> io::Result<Self> {
        Err(io::Error::new(ErrorKind::Unsupported, "not available on this system"))
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as where there are packets")]
    pub(crate) fn next(&mut self, _: Duration) -> io::Result<Option<CapturedFrame>> {
        Ok(None)
    }

    #[expect(clippy::unused_self, reason = "as where it is known")]
    pub(crate) fn dropped(&self) -> Option<u64> {
        None
    }
}

/// Which interface leads somewhere is not told here.
pub(crate) fn interface_to(_: SocketAddr) -> io::Result<Interface> {
    Err(io::Error::new(ErrorKind::Unsupported, "not available on this system"))
}

/// There are no namespaces here.
pub(crate) fn enter_lab() -> io::Result<()> {
    Err(io::Error::new(ErrorKind::Unsupported, "it takes Linux's namespaces"))
}
