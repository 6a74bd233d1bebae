//! [`Receiver`]: waits for data on a socket, and reads kernel timestamps, hop limits and ICMP errors.
//!
//! The waits of [`WaitUntil`] use these system calls:
//!
//! | wait | system calls | end of the wait |
//! |---|---|---|
//! | `Coarse` | one blocking `recv` with `SO_RCVTIMEO` | after the socket's timeout, rounded up to the next timer interrupt (1 to 10 ms) |
//! | `Exact` | non-blocking `recv`, then `ppoll`, repeatedly | at the deadline (`ppoll` uses a high-resolution timer) |
//! | `ExactAwake` | the same, but `sched_yield` instead of `ppoll` for the last part | at the deadline, without a delay to wake up |
//! | any, with `spin` | non-blocking `recv`, repeatedly | at the deadline or after [`MAX_SPIN`] |

use super::super::{MAX_PAUSE, MAX_SPIN, NetworkError, ReceiveConfig, ReceiveMeta, WaitUntil};
use super::error_queue::{ErrorQueue, IcmpErrors, set_icmp_errors};
use super::timestamps;
use crate::net::limitation::{Limitation, Part};
use crate::net::socket::{OperationError, set_option};
use crate::net::transport::SocketOperation;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::{cmsg_space, errno::Errno};
use socket2::{Domain, Socket};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant, SystemTime};

/// Receives data, timestamps and ICMP errors from a socket.
#[derive(Debug)]
pub(crate) struct Receiver {
    spin: bool,
    timestamps: bool,
    /// The drops of a packet without a control message: the kernel reports the drops only if there are any. `None` if it
    /// reports none at all.
    no_drops: Option<u64>,
    /// Whether the socket has a receive timeout.
    has_timeout: bool,
    /// The buffer for control messages. `None` if the configuration requests none.
    control: Option<Vec<u8>>,
    errors: ErrorQueue,
    limitations: Vec<Limitation>,
}

impl Receiver {
    /// Sets the options of `socket`. The socket must not be connected yet. All options are optional: without one of
    /// them, a part of the measurement is missing.
    pub(crate) fn new(socket: &Socket, config: ReceiveConfig) -> Self {
        let timeout = config.coarse_timeout();
        // If the system refuses the option, a coarse wait is an exact wait.
        let has_timeout =
            set_option("SO_RCVTIMEO", timeout, || socket.set_read_timeout(Some(timeout))).is_ok();
        if config.timestamps {
            // The first call takes about 20 ms. It runs before the connection request, so it does not make the measured
            // handshake longer.
            timestamps::keep_enabled();
        }
        // Without this option, the total number of drops is still known.
        let drops = config.queue.is_some()
            && set_option("SO_RXQ_OVFL", true, || Ok(setsockopt(socket, sockopt::RxqOvfl, &1)?))
                .is_ok();
        let ReceiveConfig { spin, timestamps, hop_limit, .. } = config;
        let no_drops = drops.then_some(0);
        let control = (timestamps || hop_limit || drops)
            .then(|| cmsg_space!([TimeSpec; 3], [u8; 64], libc::c_int, u32));
        let mut receiver = Self {
            spin,
            timestamps,
            no_drops,
            has_timeout,
            control,
            errors: ErrorQueue::default(),
            limitations: Vec::new(),
        };
        let reports_errors = set_icmp_errors(socket, IcmpErrors::Report);
        receiver.note_result(Part::IcmpErrors, reports_errors);
        if hop_limit {
            receiver.note_result(Part::ReplyTtl, request_hop_limit(socket));
        }
        receiver
    }

    /// Enables kernel timestamps for this socket, if the configuration requests them. After this call, the kernel
    /// numbers datagrams, or the bytes of a stream, from 0.
    pub(crate) fn enable_timestamps(&mut self, socket: &Socket) {
        if !self.timestamps {
            return;
        }
        let result = set_option("SO_TIMESTAMPING", "software, with packet numbers", || {
            timestamps::request(socket)
        });
        self.timestamps = result.is_ok();
        self.note_result(Part::Breakdown, result);
    }

    /// Passes later ICMP errors to the kernel's implementation of the protocol. An ICMP error that can be temporary must
    /// not end an established connection (RFC 1122, section 4.2.3.9). With `IP_RECVERR`, the kernel would report such an
    /// error immediately and end the connection (ip(7)).
    pub(crate) fn disable_icmp_errors(&mut self, socket: &Socket) {
        if !self.limitations.iter().any(|limitation| limitation.is_missing(Part::IcmpErrors)) {
            let result = set_icmp_errors(socket, IcmpErrors::HandleInKernel);
            self.note_result(Part::IcmpErrors, result);
        }
    }

    /// The parts that are missing because the system refused an option.
    pub(crate) fn limitations(&self) -> &[Limitation] {
        &self.limitations
    }

    fn note_result(&mut self, part: Part, result: Result<(), OperationError>) {
        self.limitations.extend(result.err().map(|error| error.into_limitation(part)));
    }

    /// Waits for data. Returns `None` if the wait ended without data, for example because of a signal.
    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        until: WaitUntil,
    ) -> io::Result<Option<ReceiveMeta>> {
        let received = match until {
            _ if self.spin => self.spin_until(socket, buffer, until.deadline()),
            WaitUntil::Coarse(_) if self.has_timeout => {
                self.receive_once(socket, buffer, MsgFlags::empty())
            }
            WaitUntil::Coarse(deadline) => {
                let deadline = deadline.min(Instant::now() + MAX_PAUSE);
                self.wait_until(socket, buffer, deadline, Duration::ZERO)
            }
            WaitUntil::Exact(deadline) => self.wait_until(socket, buffer, deadline, Duration::ZERO),
            WaitUntil::ExactAwake(deadline, awake) => {
                self.wait_until(socket, buffer, deadline, awake)
            }
        };
        match received {
            Ok(meta) => Ok(Some(meta)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The time at which the kernel passed the packet with this number to the network driver, if the kernel has
    /// reported this time.
    pub(crate) fn transmitted(&mut self, socket: &Socket, id: u32) -> Option<SystemTime> {
        if !self.timestamps {
            return None;
        }
        self.errors.fetch(socket);
        self.errors.transmitted(id)
    }

    /// Returns the ICMP errors that arrived since the last call, in the order of their arrival.
    pub(crate) fn network_errors(&mut self, socket: &Socket) -> Vec<NetworkError> {
        self.errors.fetch(socket);
        self.errors.take_network_errors()
    }

    fn spin_until(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        deadline: Instant,
    ) -> nix::Result<ReceiveMeta> {
        let mut end = None;
        loop {
            match self.receive_once(socket, buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => {}
                result => return result,
            }
            let now = Instant::now();
            if now >= *end.get_or_insert_with(|| deadline.min(now + MAX_SPIN)) {
                return Err(Errno::EAGAIN);
            }
        }
    }

    /// Waits until `deadline`. The thread stays awake for the duration `awake` before the deadline.
    fn wait_until(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        deadline: Instant,
        awake: Duration,
    ) -> nix::Result<ReceiveMeta> {
        // While the error queue has an entry, `ppoll` returns immediately.
        let mut error_queue_may_have_entries = self.timestamps;
        loop {
            match self.receive_once(socket, buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => {}
                result => return result,
            }
            if error_queue_may_have_entries {
                self.errors.fetch(socket);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Errno::EAGAIN);
            }
            let asleep = left.saturating_sub(awake);
            if asleep.is_zero() {
                // This gives the CPU to a server that runs on the same CPU.
                std::thread::yield_now();
                continue;
            }
            let mut poll = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            ppoll(&mut poll, Some(TimeSpec::from_duration(asleep)), None)?;
            let events = poll[0].revents().unwrap_or(PollFlags::empty());
            error_queue_may_have_entries |= events.contains(PollFlags::POLLERR);
        }
    }

    fn receive_once(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        flags: MsgFlags,
    ) -> nix::Result<ReceiveMeta> {
        let Some(control) = &mut self.control else {
            let len = recv(socket.as_raw_fd(), buffer, flags)?;
            return Ok(ReceiveMeta { len, timestamp: None, hop_limit: None, drops: None });
        };
        let mut data = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut control[..]), flags)?;
        let drops = self.no_drops;
        let mut meta = ReceiveMeta { len: message.bytes, timestamp: None, hop_limit: None, drops };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::ScmTimestampsns(timestamps) => {
                    meta.timestamp = Some(timestamps::wall_clock(timestamps.system));
                }
                ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => {
                    meta.hop_limit = u8::try_from(hops).ok();
                }
                ControlMessageOwned::RxqOvfl(drops) => meta.drops = Some(drops.into()),
                _ => {}
            }
        }
        Ok(meta)
    }
}

/// Requests the hop limit of each received packet as a control message.
fn request_hop_limit(socket: &Socket) -> Result<(), OperationError> {
    let operation = SocketOperation::ReadOption("SO_DOMAIN");
    let domain = socket.domain().map_err(|error| OperationError { operation, error })?;
    let request_v4 = || Ok(setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?);
    if domain != Domain::IPV6 {
        return set_option("IP_RECVTTL", true, request_v4);
    }
    set_option("IPV6_RECVHOPLIMIT", true, || socket.set_recv_hoplimit_v6(true))?;
    // An IPv6 socket can receive packets of IPv4. If the socket refuses this option, it receives none, so the error is
    // ignored.
    let _ = set_option("IP_RECVTTL", true, request_v4);
    Ok(())
}
