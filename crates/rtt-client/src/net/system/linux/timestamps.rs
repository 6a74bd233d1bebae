//! Kernel timestamps (`SO_TIMESTAMPING`): when a packet left for the interface, and when one arrived from it.
//!
//! The program can only read the clock before it calls the kernel and after it returns from the kernel. The
//! kernel's timestamps divide the time in between. The kernel's own explanation is
//! Documentation/networking/timestamping.rst.
//!
//! - **Received packets** (`RX_SOFTWARE`): the kernel records the time when the packet enters its network
//!   stack, and `recvmsg` returns it in a control message with the data.
//! - **Sent packets** (`TX_SOFTWARE`): the kernel records the time when it hands the packet to the network
//!   driver. By then, the send call may have returned, so the kernel puts the timestamp into the socket's error
//!   queue, from which [`super::error_queue`] reads it. With `OPT_TSONLY`, the entry contains no copy of the
//!   packet.
//! - **The packet's number** (`OPT_ID`): it connects a timestamp in the error queue with a request. UDP counts
//!   datagrams from 0. TCP counts bytes from 0, and a timestamp has the number of the last byte of a write.
//! - **The clock**: the timestamps are wall-clock readings. `model/breakdown.rs` compares them with the
//!   program's readings.

use nix::sys::socket::{TimestampingFlag, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tracing::debug;

/// The time that the kernel needs to enable receive timestamps, at most. The first socket that requests them
/// enables them for the whole system, and `net_enable_timestamp` (net/core/dev.c) defers this to a work queue.
const ENABLE_TIME: Duration = Duration::from_millis(20);

/// The socket that keeps receive timestamps enabled until the process ends.
static KEEPER: OnceLock<Option<UdpSocket>> = OnceLock::new();

/// Enables receive timestamps for the rest of the process's life, and waits until they are enabled.
///
/// The kernel records the arrival of packets only while at least one socket requests it. If a packet has no
/// timestamp when the program reads it, the kernel takes the timestamp at that moment, and the program cannot
/// see the difference. Such a timestamp would hide the time that the packet waited in the kernel. A socket that
/// stays open prevents this: it keeps the function enabled between two connections of a run.
pub(super) fn keep_enabled() {
    KEEPER.get_or_init(|| {
        let keeper = UdpSocket::bind("127.0.0.1:0").ok()?;
        request(&keeper).ok()?;
        std::thread::sleep(ENABLE_TIME);
        debug!(wait = ?ENABLE_TIME, "enabled receive timestamps in the kernel");
        Some(keeper)
    });
}

/// Requests timestamps for all packets that `socket` sends and receives. The numbers of sent packets begin at
/// 0 with this call.
pub(super) fn request(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(&socket.as_fd(), sockopt::Timestamping, &flags)?)
}

/// The kernel's timestamp as a time of the wall clock.
pub(super) fn wall_clock(timestamp: TimeSpec) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from(timestamp)
}
