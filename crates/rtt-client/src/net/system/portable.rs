//! Platform code for systems other than Linux. Sockets and timeouts work. A function that needs Linux returns an error
//! or no value, or does nothing.

use super::{
    CaptureConfig, CapturedFrame, Interface, MAX_SPIN, NetworkError, ReceiveConfig, ReceiveMeta,
    ThreadUsage, WaitUntil,
};
use crate::model::condition::Condition;
use crate::net::failure::Call;
use crate::net::limitation::Limitation;
use crate::net::socket::{OperationError, set_option};
use crate::net::system::operation::{CaptureOperation, FailedOperation, LabOperation, failed};
use crate::net::system::packet_filter::FilterInstruction;
use dns_lookup::getaddrinfo;
use echo_core::header::version2::ClockState;
use socket2::Socket;
use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// This system does not report the sender of an ICMP error.
pub(crate) const REPORTS_ICMP_ORIGIN: bool = false;

/// This system does not record when packets are sent and received.
pub(crate) const KERNEL_TIMESTAMPS: bool = false;

/// Error numbers differ between systems, so this function converts none.
pub(crate) fn condition_from_errno(_: i32, _: Call) -> Option<Condition> {
    None
}

/// The minimum receive timeout that every system supports.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// Receives data from a socket.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// The receive timeout of the socket. `None` if the system refused it.
    coarse_timeout: Option<Duration>,
    spin: bool,
}

impl Receiver {
    pub(crate) fn new(socket: &Socket, config: ReceiveConfig) -> Self {
        let coarse_timeout = config.coarse_timeout();
        // If the system refuses the option, a coarse wait is an exact wait.
        let is_set = set_option("SO_RCVTIMEO", coarse_timeout, || {
            socket.set_read_timeout(Some(coarse_timeout))
        });
        Self { coarse_timeout: is_set.is_ok().then_some(coarse_timeout), spin: config.spin }
    }

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(crate) fn enable_timestamps(&mut self, _: &Socket) {}

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(crate) fn disable_icmp_errors(&mut self, _: &Socket) {}

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(crate) fn limitations(&self) -> &[Limitation] {
        &[]
    }

    /// Waits for data. Returns `None` if the wait ended without data.
    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        until: WaitUntil,
    ) -> io::Result<Option<ReceiveMeta>> {
        let received = match until {
            _ if self.spin => spin_until(socket, buffer, until.deadline()),
            WaitUntil::Coarse(_) if self.coarse_timeout.is_some() => read(socket, buffer),
            WaitUntil::Coarse(deadline) | WaitUntil::Exact(deadline) => {
                self.wait_until(socket, buffer, deadline, Duration::ZERO)
            }
            WaitUntil::ExactAwake(deadline, awake) => {
                self.wait_until(socket, buffer, deadline, awake)
            }
        };
        match received {
            Ok(len) => Ok(Some(ReceiveMeta { len, timestamp: None, hop_limit: None, drops: None })),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(crate) fn transmitted(&mut self, _: &Socket, _: u32) -> Option<SystemTime> {
        None
    }

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(crate) fn network_errors(&mut self, _: &Socket) -> Vec<NetworkError> {
        Vec::new()
    }

    /// Sleeps in the receive call for the first part of the wait. Then busy-polls for at least `awake`, because a
    /// receive timeout is only precise to about [`MIN_TIMEOUT`].
    fn wait_until(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        deadline: Instant,
        awake: Duration,
    ) -> io::Result<usize> {
        let awake = awake.max(MIN_TIMEOUT);
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(coarse_timeout) = self.coarse_timeout.filter(|_| left > awake + MIN_TIMEOUT)
        else {
            return spin_until(socket, buffer, deadline);
        };
        socket.set_read_timeout(Some(left.saturating_sub(awake)))?;
        let received = read(socket, buffer);
        socket.set_read_timeout(Some(coarse_timeout))?;
        received
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
            result => break result,
        }
    };
    socket.set_nonblocking(false)?;
    received
}

fn not_available() -> io::Error {
    io::Error::new(ErrorKind::Unsupported, "not available on this system")
}

/// This system attaches no filter, so every packet reaches the program.
#[expect(clippy::unnecessary_wraps, reason = "the signature of `linux`")]
pub(crate) fn attach_filter(_: &Socket, _: &[FilterInstruction]) -> Result<(), OperationError> {
    Ok(())
}

/// The state of the clock is not known.
pub(crate) fn clock_state() -> ClockState {
    ClockState::Unsynchronised
}

pub(crate) fn force_receive_queue(_: &Socket, _: usize) -> io::Result<()> {
    Err(not_available())
}

pub(crate) fn receive_queue_drops(_: &Socket) -> Option<u64> {
    None
}

pub(crate) fn thread_usage() -> Option<ThreadUsage> {
    None
}

pub(crate) fn unresolved_next_hop(_: IpAddr) -> Option<IpAddr> {
    None
}

pub(crate) fn next_hop_to_resolve(_: SocketAddr) -> Option<IpAddr> {
    None
}

pub(crate) fn path_mtu(_: &Socket) -> Option<u32> {
    None
}

pub(crate) fn pin(_: usize) -> io::Result<()> {
    Err(not_available())
}

pub(crate) fn use_precise_timers() {}

/// A running capture. This system does not support captures, so [`Capture::start`] always returns an error.
#[derive(Debug)]
pub(crate) struct Capture {}

impl Capture {
    pub(crate) fn start(_: &CaptureConfig) -> Result<Self, FailedOperation<CaptureOperation>> {
        Err(failed(CaptureOperation::CreateSocket)(not_available()))
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signature of `linux`")]
    pub(crate) fn next(&mut self, _: Duration) -> io::Result<Option<CapturedFrame>> {
        Ok(None)
    }

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(crate) fn received(&self) -> Option<u64> {
        None
    }
}

pub(crate) fn interface_to(_: SocketAddr) -> io::Result<Interface> {
    Err(not_available())
}

/// The index of the interface with this name. The system's resolver converts the name if it is the zone of a
/// link-local address.
pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    let found = getaddrinfo(Some(&format!("fe80::1%{name}")), None, None);
    let addresses = found.map_err(io::Error::from)?.flatten();
    let scope_id = addresses.map(|entry| entry.sockaddr).find_map(|address| match address {
        SocketAddr::V6(address) if address.scope_id() > 0 => Some(address.scope_id()),
        _ => None,
    });
    scope_id.ok_or_else(|| ErrorKind::NotFound.into())
}

/// Does nothing: this system has no such function.
pub(crate) fn end_with_this_thread(_: &mut Command) {}

pub(crate) fn enter_lab() -> Result<(), FailedOperation<LabOperation>> {
    let error = io::Error::new(ErrorKind::Unsupported, "this needs Linux namespaces");
    Err(failed(LabOperation::CreateNamespaces)(error))
}
