//! Linux: `ppoll` with the high-resolution timers, `SO_TIMESTAMPING`, CPU affinity.
//!
//! Kernel stamps are explained in Documentation/networking/timestamping.rst of the kernel's source.

use super::linux_errors::{ErrorQueue, set_receive_errors, wall_clock};
use super::{MAX_SPIN, NetworkError, ReceiveConfig, Reception, WaitUntil};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, getsockopt, recv, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;
use nix::{cmsg_space, errno::Errno};
use socket2::Socket;
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// The kernel tells who sent an ICMP error.
pub(crate) const REPORTS_ICMP_ORIGIN: bool = true;

/// The kernel stamps packets here.
pub(crate) const KERNEL_TIMESTAMPS: bool = true;

/// How long the kernel takes, at most, to begin stamping what arrives. The first socket that asks for it
/// has it turned on in the background (`net_enable_timestamp` defers to a work queue).
const STAMPING_BEGINS: Duration = Duration::from_millis(20);

/// A socket that keeps the kernel stamping for as long as the process lives.
static STAMPING: OnceLock<Option<UdpSocket>> = OnceLock::new();

/// A socket's receiving side.
#[derive(Debug)]
pub(crate) struct Receiver {
    spin: bool,
    /// Room for the stamps of what arrives, where the kernel takes them.
    stamps: Option<Vec<u8>>,
    errors: ErrorQueue,
}

impl Receiver {
    /// Sets `socket` up, before it is used.
    pub(crate) fn new(socket: &Socket, config: ReceiveConfig) -> io::Result<Self> {
        socket.set_read_timeout(Some(config.longest_casual_wait()))?;
        if config.timestamps {
            // Before there is a connection, or the wait for it would be part of its figures.
            keep_timestamps_enabled();
        }
        set_receive_errors(socket, true)?;
        let stamps = config.timestamps.then(|| cmsg_space!([TimeSpec; 3], [u8; 64]));
        Ok(Self { spin: config.spin, stamps, errors: ErrorQueue::default() })
    }

    /// Has the kernel stamp from now on, where that was asked for. What is sent is numbered from 0: UDP
    /// by datagrams, TCP by bytes.
    pub(crate) fn enable_timestamps(&self, socket: &Socket) -> io::Result<()> {
        if self.stamps.is_some() { request_timestamps(socket) } else { Ok(()) }
    }

    /// Waits for something to arrive. Nothing is also the answer when a signal came.
    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        until: WaitUntil,
    ) -> io::Result<Option<Reception>> {
        let received = match until {
            _ if self.spin => self.spin_until(socket, buffer, until.deadline()),
            WaitUntil::Coarse(_) => self.take(socket, buffer, MsgFlags::empty()),
            WaitUntil::Exact(deadline) => self.wait_until(socket, buffer, deadline, Duration::ZERO),
            WaitUntil::ExactAwake(deadline, awake) => {
                self.wait_until(socket, buffer, deadline, awake)
            }
        };
        match received {
            Ok(arrived) => Ok(Some(arrived)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn spin_until(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        deadline: Instant,
    ) -> nix::Result<Reception> {
        let mut end = None;
        loop {
            match self.take(socket, buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => {}
                decided => return decided,
            }
            let now = Instant::now();
            if now >= *end.get_or_insert_with(|| deadline.min(now + MAX_SPIN)) {
                return Err(Errno::EAGAIN);
            }
        }
    }

    fn wait_until(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        deadline: Instant,
        awake: Duration,
    ) -> nix::Result<Reception> {
        // What waits in the error queue to be fetched would end every wait at once.
        let mut queue_may_wait = self.stamps.is_some();
        loop {
            match self.take(socket, buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => {}
                decided => return decided,
            }
            if queue_may_wait {
                self.errors.fetch(socket);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Errno::EAGAIN);
            }
            let asleep = left.saturating_sub(awake);
            if asleep.is_zero() {
                // A server on this CPU must get its turn.
                std::thread::yield_now();
                continue;
            }
            let mut poll = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            ppoll(&mut poll, Some(TimeSpec::from_duration(asleep)), None)?;
            let events = poll[0].revents().unwrap_or(PollFlags::empty());
            queue_may_wait |= events.contains(PollFlags::POLLERR);
        }
    }

    fn take(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        flags: MsgFlags,
    ) -> nix::Result<Reception> {
        let Some(stamps) = &mut self.stamps else {
            let length = recv(socket.as_raw_fd(), buffer, flags)?;
            return Ok(Reception { length, stamp: None });
        };
        let mut place = [IoSliceMut::new(buffer)];
        let control = Some(&mut stamps[..]);
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut place, control, flags)?;
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => Some(wall_clock(stamps.system)),
            _ => None,
        });
        Ok(Reception { length: message.bytes, stamp })
    }

    /// When the kernel gave the packet with that number to the interface, if it has said so.
    pub(crate) fn transmitted(&mut self, socket: &Socket, id: u32) -> Option<SystemTime> {
        self.stamps.as_ref()?;
        self.errors.fetch(socket);
        self.errors.transmitted(id)
    }

    /// The ICMP errors that have come since the last time, in their order.
    pub(crate) fn network_errors(&mut self, socket: &Socket) -> Vec<NetworkError> {
        self.errors.fetch(socket);
        self.errors.network_errors()
    }

    /// From now on the network's errors are the protocol's own affair: TCP goes on in spite of what may pass
    /// (RFC 1122, section 4.2.3.9).
    #[expect(clippy::unused_self, reason = "it is the inlet that the errors came out of")]
    pub(crate) fn leave_errors_to_tcp(&self, socket: &Socket) -> io::Result<()> {
        set_receive_errors(socket, false)
    }
}

/// Has the kernel stamp what arrives from now on, for as long as the process lives. Without that it stamps what it
/// has not stamped when a program fetches it, and says nothing of the difference.
pub(super) fn keep_timestamps_enabled() {
    STAMPING.get_or_init(|| {
        let keeper = UdpSocket::bind("127.0.0.1:0").ok()?;
        request_timestamps(&keeper).ok()?;
        std::thread::sleep(STAMPING_BEGINS);
        Some(keeper)
    });
}

fn request_timestamps(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(&socket.as_fd(), sockopt::Timestamping, &flags)?)
}

/// The longest packet that the path of a connected socket carries, in bytes, as far as is known.
pub(crate) fn path_mtu(socket: &Socket) -> Option<u32> {
    u32::try_from(getsockopt(socket, sockopt::IpMtu).ok()?).ok()
}

/// Keeps this thread on one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}

/// Has this thread woken when it asked to be, and not up to 50 µs later with others (prctl(2),
/// `PR_SET_TIMERSLACK`).
pub(crate) fn use_precise_timers() {
    // Without it a schedule is kept less well, and the lateness shows that.
    let _ = nix::sys::prctl::set_timerslack(1);
}
