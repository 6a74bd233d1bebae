//! Platform code: waiting with microsecond precision, kernel timestamps, ICMP errors, routes,
//! packet capture, CPU affinity.
//!
//! Two modules contain the same functions, and one of them is compiled as `imp`. `linux` implements all functions.
//! `portable` is for every other system, and for Linux with `--cfg portable`. Its functions return an error or
//! `None` if they need a feature of Linux. No other module of the library contains code for one operating system.

pub(crate) mod operation;
pub(crate) mod packet_filter;

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "system/linux/mod.rs"]
mod imp;

#[cfg(not(all(target_os = "linux", not(portable))))]
#[path = "system/portable.rs"]
mod imp;

#[cfg(all(fuzzing, target_os = "linux", not(portable)))]
pub use imp::handle_any_netlink_datagram;
pub(crate) use imp::{
    Capture, KERNEL_TIMESTAMPS, REPORTS_ICMP_ORIGIN, Receiver, attach_filter, clock_state,
    condition_from_errno, end_with_this_thread, enter_lab, force_receive_queue, interface_index,
    interface_to, next_hop_to_resolve, path_mtu, pin, receive_queue_drops, thread_usage,
    unresolved_next_hop, use_precise_timers,
};

use crate::model::icmp::IcmpError;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

/// How a socket waits and which timestamps it requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveConfig {
    /// The timeout of a reply. It also limits a [`WaitUntil::Coarse`] wait.
    pub(crate) timeout: Duration,
    /// Busy-poll instead of sleeping. This uses one full CPU.
    pub(crate) spin: bool,
    /// Request a kernel timestamp for each packet that is sent or received.
    pub(crate) timestamps: bool,
    /// Read the hop limit (TTL) of each received packet, if the system supports this.
    #[cfg_attr(
        not(all(target_os = "linux", not(portable))),
        expect(dead_code, reason = "only the Linux implementation reads hop limits")
    )]
    pub(crate) hop_limit: bool,
    /// The size of the receive queue to request, in bytes. Without a value, the system chooses it. With a value, each
    /// packet is received together with the number of packets that the queue has dropped, if the system supports this.
    pub(crate) queue: Option<usize>,
}

impl ReceiveConfig {
    /// The socket's receive timeout (`SO_RCVTIMEO`). It limits a [`WaitUntil::Coarse`] wait. It is never 0, because
    /// 0 means "no timeout".
    fn coarse_timeout(self) -> Duration {
        self.timeout.clamp(Duration::from_millis(1), MAX_PAUSE)
    }
}

/// The maximum duration of a wait without a check of the stop flag. After Ctrl-C, a user does not notice this delay.
pub(crate) const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The maximum duration of a busy-poll without a check of the stop flag.
pub(crate) const MAX_SPIN: Duration = Duration::from_millis(10);

/// The deadline of a wait for data, and the required precision.
///
/// Every wait ends when data arrives. It can also end early without data, for example after a signal. With
/// [`ReceiveConfig::spin`], all three variants busy-poll until the deadline, but at most for [`MAX_SPIN`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitUntil {
    /// For a reply that is expected soon. This is the cheapest wait: one blocking receive call, without a clock
    /// reading. It ends after the socket's receive timeout. Only a busy-poll uses the deadline.
    Coarse(Instant),
    /// The caller has work to do at the deadline. On Linux, this wait uses `ppoll` with a high-resolution timer.
    Exact(Instant),
    /// Like `Exact`, but the thread stays awake for this duration before the deadline. A sleeping CPU needs tens of
    /// microseconds to wake up, so a sleeping thread would be late.
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
    /// The number of received bytes. On a connection, 0 means that the peer has closed its side.
    pub(crate) len: usize,
    /// The time at which the packet arrived in the kernel (wall clock), if the kernel recorded it.
    pub(crate) timestamp: Option<SystemTime>,
    /// The hop limit (TTL) of the packet, if [`ReceiveConfig::hop_limit`] requests it.
    pub(crate) hop_limit: Option<u8>,
    /// The number of packets that the receive queue had dropped when the packet arrived, if
    /// [`ReceiveConfig::queue`] has a value.
    pub(crate) drops: Option<u64>,
}

/// How much CPU time a thread has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadUsage {
    /// The time on a CPU.
    pub(crate) cpu: Duration,
    /// The time in which the thread was ready to run, and other threads used the CPU.
    pub(crate) waiting: Duration,
}

/// A network interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) is_loopback: bool,
    /// Whether a captured packet begins with an Ethernet header. Otherwise it begins with an IP header.
    pub(crate) is_ethernet: bool,
}

/// Selects the packets to capture.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "only the Linux implementation captures packets")
)]
pub(crate) struct CaptureConfig {
    /// The index of the interface.
    pub(crate) interface: u32,
    /// Whether the interface is loopback. There, the kernel passes each packet to a capture twice: when the packet is
    /// sent and when it is received.
    pub(crate) is_loopback: bool,
    /// The length of the Ethernet header, in bytes. 0 if the interface has no such header.
    pub(crate) link_header: u8,
    /// The protocol number in the IP header.
    pub(crate) ip_protocol: u8,
    pub(crate) peer: IpAddr,
    /// The peer's port. `None` if the protocol has no ports.
    pub(crate) port: Option<u16>,
}

/// A captured packet.
#[derive(Debug)]
pub(crate) struct CapturedFrame {
    /// The time since 1970-01-01 UTC.
    pub(crate) time: Duration,
    /// The length of the packet on the interface, in bytes. `bytes` can be shorter.
    pub(crate) original_len: usize,
    pub(crate) bytes: Vec<u8>,
}

/// An ICMP error about a packet that this socket sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkError {
    pub(crate) icmp: IcmpError,
    /// The error number that the kernel derives from the ICMP type and code.
    pub(crate) errno: i32,
    /// The number of the request that caused the error, if the quoted header identifies it.
    pub(crate) request: Option<u64>,
    /// The maximum length of a packet on the path, in bytes, if the ICMP error reports it.
    pub(crate) mtu: Option<u32>,
    /// The beginning of the payload of the packet that caused the error. The ICMP error contains a copy of these
    /// bytes.
    pub(crate) quoted_payload: Vec<u8>,
}
