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
pub(crate) use linux::{Inlet, KERNEL_STAMPS, ORIGINS, path_mtu, pin, wake_punctually};
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_capture::Capture;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_connect::connect;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_lab::enter_lab;
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_routes::{interface_to, unanswered_neighbour};
#[cfg(all(target_os = "linux", not(portable)))]
pub(crate) use linux_tcp_info::tcp_info;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub(crate) use portable::{
    Capture, Inlet, KERNEL_STAMPS, ORIGINS, connect, enter_lab, interface_to, path_mtu, pin,
    tcp_info, unanswered_neighbour, wake_punctually,
};

use crate::icmp::Icmp;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// How a socket is received from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InletConfig {
    /// How long a casual wait lasts at most.
    pub(crate) timeout: Duration,
    /// Whether to ask again and again, instead of sleeping.
    pub(crate) spin: bool,
    /// Whether the kernel is to stamp what leaves and what arrives.
    pub(crate) stamps: bool,
}

impl InletConfig {
    /// What the system is told to wait at most, where nothing has to happen at a given moment: not so long
    /// that nobody would notice an interruption, and not so short that it means for ever.
    fn longest_casual_wait(self) -> Duration {
        self.timeout.clamp(Duration::from_millis(1), LONGEST_PAUSE)
    }
}

/// The longest wait that is not looked up from, to see whether the run has been interrupted.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for something to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// For a reply that is about to come, at the least cost: no longer than about the time-out, and not
    /// beyond [`LONGEST_PAUSE`].
    Casually(Instant),
    /// Until this moment, because something has to be done then.
    Precisely(Instant),
    /// The same, but for the last so long without sleeping: a processor that sleeps takes tens of
    /// microseconds to wake up.
    Punctually(Instant, Duration),
}

impl Until {
    pub(crate) fn deadline(self) -> Instant {
        let (Self::Casually(deadline) | Self::Precisely(deadline) | Self::Punctually(deadline, _)) =
            self;
        deadline
    }
}

/// Something has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
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
pub(crate) struct Frame {
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    /// How long it was, in bytes.
    pub(crate) original: usize,
    pub(crate) bytes: Vec<u8>,
}

/// An ICMP error about a packet that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) icmp: Icmp,
    /// What the system makes of it.
    pub(crate) errno: i32,
    /// The beginning of that packet's payload.
    pub(crate) about: Vec<u8>,
}

/// What the kernel knows of a TCP connection (`struct tcp_info`, include/uapi/linux/tcp.h). What an
/// older kernel does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// The smoothed round-trip time (RFC 6298).
    pub rtt: Option<Duration>,
    /// Its variation.
    pub rtt_variation: Option<Duration>,
    /// The smallest round trip that the kernel has seen on the connection.
    pub min_rtt: Option<Duration>,
    /// Segments sent again, on all connections of the run.
    pub retransmissions: Option<u64>,
    /// The congestion window, in segments.
    pub congestion_window: Option<u32>,
    /// The largest segment that is sent, in bytes.
    pub segment_size: Option<u32>,
    /// For how long there was something to send or to be acknowledged.
    pub busy: Option<Duration>,
    /// For how long the peer's receive window kept it back.
    pub limited_by_peer: Option<Duration>,
    /// For how long this side's send buffer did.
    pub limited_by_buffer: Option<Duration>,
    /// What has crossed the wire.
    pub(crate) segments: Option<Segments>,
}

impl TcpInfo {
    /// The same, with the retransmissions of earlier connections counted in.
    pub(crate) fn following(self, earlier: Option<Self>) -> Self {
        let before = earlier.and_then(|info| info.retransmissions).unwrap_or(0);
        Self { retransmissions: self.retransmissions.map(|now| now + before), ..self }
    }
}

/// What of a TCP connection has crossed the wire, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// Segments of any kind.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Those that carried data.
    pub(crate) data_sent: u64,
    pub(crate) data_received: u64,
    /// Bytes of payload, those sent again included.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Whether segments bear time stamps (RFC 7323).
    pub(crate) stamped: bool,
}

/// How long a spinning wait goes on before it looks whether the run has been interrupted.
const LONGEST_SPIN: Duration = Duration::from_millis(10);
