//! Platform code: waiting with microsecond precision, kernel timestamps, ICMP errors, `TCP_INFO`, routes,
//! packet capture, CPU affinity.
//!
//! Two modules implement the same functions, and one of them is compiled as `imp`. `linux` implements all of
//! them. `portable` is for every other system, and for Linux with `--cfg portable`: a function that needs a
//! feature of Linux reports there that it is not available. No other module of the client depends on the
//! operating system.

pub(crate) mod operation;

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "system/linux/mod.rs"]
mod imp;

#[cfg(not(all(target_os = "linux", not(portable))))]
#[path = "system/portable.rs"]
mod imp;

pub(crate) use imp::{
    Capture, KERNEL_TIMESTAMPS, REPORTS_ICMP_ORIGIN, Receiver, connect, enter_lab, interface_index,
    interface_to, path_mtu, pin, tcp_info, unresolved_next_hop, use_precise_timers,
};

use crate::model::icmp::IcmpError;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// How a socket waits and which timestamps it requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveConfig {
    /// The timeout of a reply. A [`WaitUntil::Coarse`] wait lasts at most about this long.
    pub(crate) timeout: Duration,
    /// Busy-poll instead of sleeping. This uses one full CPU.
    pub(crate) spin: bool,
    /// Request a kernel timestamp for each packet that is sent or received.
    pub(crate) timestamps: bool,
}

impl ReceiveConfig {
    /// The socket's receive timeout (`SO_RCVTIMEO`), which limits a [`WaitUntil::Coarse`] wait. The lower
    /// limit is necessary because 0 means "no timeout".
    fn coarse_timeout(self) -> Duration {
        self.timeout.clamp(Duration::from_millis(1), MAX_PAUSE)
    }
}

/// The longest wait without a check of the stop flag. A user does not notice this delay after Ctrl-C.
pub(crate) const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The longest busy-poll without a check of the stop flag.
const MAX_SPIN: Duration = Duration::from_millis(10);

/// How long to wait for data, and how precise the end of the wait is.
///
/// Every wait ends when data arrives. It can also end early without data, for example after a signal. With
/// [`ReceiveConfig::spin`], all three variants busy-poll until the deadline, for at most [`MAX_SPIN`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitUntil {
    /// For a reply that is expected soon. One blocking receive call with the socket's receive timeout: this is
    /// the cheapest wait, with no clock reading. It ends after about the reply timeout or [`MAX_PAUSE`],
    /// whichever is shorter; the deadline only limits a busy-poll.
    Coarse(Instant),
    /// Until a deadline at which the caller has work to do. On Linux, `ppoll` with a high-resolution timer.
    Exact(Instant),
    /// Like `Exact`, but without sleeping during the last part, which has this duration. A CPU takes tens of
    /// microseconds to wake up from sleep, so the caller is on time only if it stays awake.
    ExactAwake(Instant, Duration),
}

impl WaitUntil {
    pub(crate) fn deadline(self) -> Instant {
        let (Self::Coarse(deadline) | Self::Exact(deadline) | Self::ExactAwake(deadline, _)) = self;
        deadline
    }
}

/// The result of one receive call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveMeta {
    /// The number of bytes in the buffer. On a connection, 0 means that the peer has closed its side.
    pub(crate) len: usize,
    /// The time at which the packet arrived in the kernel (wall clock), if the kernel recorded it.
    pub(crate) timestamp: Option<SystemTime>,
}

/// A network interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) is_loopback: bool,
    /// A captured packet begins with an Ethernet header if this is true, and with an IP header otherwise.
    pub(crate) is_ethernet: bool,
}

/// Which packets to capture, and where.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "only the Linux implementation captures packets")
)]
pub(crate) struct CaptureConfig {
    /// The index of the interface.
    pub(crate) interface: u32,
    /// On loopback, the kernel shows every packet twice: when it is sent and when it is received.
    pub(crate) is_loopback: bool,
    /// The length of the link header before the IP header, in bytes: Ethernet's, or 0.
    pub(crate) link_header: u8,
    /// The protocol number in the IP header.
    pub(crate) protocol: u8,
    pub(crate) peer: SocketAddr,
}

/// A captured packet.
#[derive(Debug)]
pub(crate) struct CapturedFrame {
    /// The time since 1970-01-01 UTC.
    pub(crate) time: Duration,
    /// The length of the packet on the interface, in bytes. The capture can be shorter.
    pub(crate) original_len: usize,
    pub(crate) bytes: Vec<u8>,
}

/// An ICMP error about a packet that this socket sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkError {
    pub(crate) icmp: IcmpError,
    /// The error number that the kernel derives from the ICMP type and code.
    pub(crate) errno: i32,
    /// The beginning of the payload of the packet that caused the error. The ICMP message quotes it.
    pub(crate) quoted_payload: Vec<u8>,
}

/// The result of an attempt to connect.
#[derive(Debug)]
pub(crate) struct ConnectResult {
    pub(crate) result: io::Result<()>,
    /// When the kernel sent a connection request (SYN), counted from the first, as far as this is known.
    pub(crate) requests: Vec<Duration>,
}
