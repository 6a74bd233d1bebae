//! What only some systems can do: waiting to the microsecond, the kernel's own stamps, what TCP knows of
//! a connection, staying on a CPU.
//!
//! `linux.rs` does all of it; `portable.rs` is what every other system gets, and Linux too when built
//! with `--cfg portable`: the same interface, and "not here" where that is the answer. Nothing else in
//! the client asks which system it is on.

#[cfg(all(target_os = "linux", not(portable)))]
mod capture_filter;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_capture;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_connect;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_errors;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_lab;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_netlink;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_routes;
#[cfg(all(target_os = "linux", not(portable)))]
mod linux_tcp_info;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux::{
    KERNEL_TIMESTAMPS, REPORTS_ICMP_ORIGIN, Receiver, path_mtu, pin, use_precise_timers,
};
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_capture::Capture;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_connect::connect;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_lab::enter_lab;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_routes::{interface_to, unresolved_next_hop};
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_tcp_info::tcp_info;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub(crate) use portable::{
    Capture, KERNEL_TIMESTAMPS, REPORTS_ICMP_ORIGIN, Receiver, connect, enter_lab, interface_to,
    path_mtu, pin, tcp_info, unresolved_next_hop, use_precise_timers,
};

use crate::model::icmp::IcmpError;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// How a socket is received from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveConfig {
    /// How long a casual wait lasts at most.
    pub(crate) timeout: Duration,
    /// Whether to ask again and again, instead of sleeping.
    pub(crate) spin: bool,
    /// Whether the kernel is to stamp what leaves and what arrives.
    pub(crate) timestamps: bool,
}

impl ReceiveConfig {
    /// What the system is told to wait at most, where nothing has to happen at a given moment: not so long
    /// that nobody would notice an interruption, and not so short that it means for ever.
    fn longest_casual_wait(self) -> Duration {
        self.timeout.clamp(Duration::from_millis(1), MAX_PAUSE)
    }
}

/// The longest wait that is not looked up from, to see whether the run has been interrupted.
pub(crate) const MAX_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for something to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitUntil {
    /// For a reply that is about to come, at the least cost: no longer than about the time-out, and not
    /// beyond [`MAX_PAUSE`].
    Coarse(Instant),
    /// Until this moment, because something has to be done then.
    Exact(Instant),
    /// The same, but for the last so long without sleeping: a processor that sleeps takes tens of
    /// microseconds to wake up.
    ExactAwake(Instant, Duration),
}

impl WaitUntil {
    pub(crate) fn deadline(self) -> Instant {
        let (Self::Coarse(deadline) | Self::Exact(deadline) | Self::ExactAwake(deadline, _)) = self;
        deadline
    }
}

/// Something has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reception {
    /// How many bytes of it are in the buffer. On a connection, none means that the peer has ended it.
    pub(crate) length: usize,
    /// When it arrived in the kernel, by the wall clock.
    pub(crate) stamp: Option<SystemTime>,
}

/// A network interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) is_loopback: bool,
    /// Whether its packets begin with Ethernet's header; else with IP's.
    pub(crate) is_ethernet: bool,
}

/// What is to be captured.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "nothing can be captured here")
)]
pub(crate) struct CaptureConfig {
    pub(crate) interface: u32,
    /// Where every packet is seen twice.
    pub(crate) is_loopback: bool,
    /// How long the header before IP's is, in bytes: Ethernet's, or none.
    pub(crate) link_header: u8,
    /// The protocol's number in IP.
    pub(crate) protocol: u8,
    pub(crate) peer: SocketAddr,
}

/// A packet as the system hands it over.
#[derive(Debug)]
pub(crate) struct CapturedFrame {
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    /// How long it was, in bytes.
    pub(crate) original_len: usize,
    pub(crate) bytes: Vec<u8>,
}

/// An ICMP error about a packet that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkError {
    pub(crate) icmp: IcmpError,
    /// What the system makes of it.
    pub(crate) errno: i32,
    /// The beginning of that packet's payload.
    pub(crate) quoted_payload: Vec<u8>,
}

/// How long a spinning wait goes on before it looks whether the run has been interrupted.
const MAX_SPIN: Duration = Duration::from_millis(10);
