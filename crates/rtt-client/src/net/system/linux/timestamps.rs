//! Kernel timestamps (`SO_TIMESTAMPING`): the time at which the kernel sent or received a packet.
//!
//! A program can read the clock only before and after a system call. The kernel's timestamps divide the time between
//! these readings. The documentation of the kernel is Documentation/networking/timestamping.rst.
//!
//! - **Received packets** (`RX_SOFTWARE`): the kernel records the time when the packet enters its network
//!   stack. `recvmsg` returns this time in a control message, together with the data.
//! - **Sent packets** (`TX_SOFTWARE`): the kernel records the time when it passes the packet to the network driver.
//!   The send call can return before this time. So the kernel adds the timestamp to the socket's error queue, and
//!   [`super::error_queue`] reads it. With `OPT_TSONLY`, the entry contains no copy of the packet.
//! - **The packet's number** (`OPT_ID`): the program uses it to find the request of a timestamp. For datagrams, it is
//!   the number of the datagram. On a stream, it is the number of the last byte of a write. Both numbers start at 0.
//! - **The clock**: the timestamps are wall-clock times. `model/breakdown.rs` compares them with the program's
//!   readings of this clock.

use nix::sys::socket::{TimestampingFlag, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Socket, Type};
use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tracing::debug;

/// The maximum time that the kernel needs to enable receive timestamps. The first socket that requests them enables
/// them for the whole system. `net_enable_timestamp` (net/core/dev.c) enables them with a delay, in a work queue.
const ENABLE_TIME: Duration = Duration::from_millis(20);

/// The socket that keeps receive timestamps enabled until the process ends.
static KEEPER: OnceLock<Option<Socket>> = OnceLock::new();

/// Enables receive timestamps until the process ends, and waits until they are enabled.
///
/// The kernel records the arrival of packets only while at least one socket requests it. If a packet has no timestamp,
/// the kernel uses the time at which the program reads the packet. The program cannot detect such a late timestamp.
/// The time that the packet waited in the kernel is then hidden. To prevent this, one socket stays open. It keeps
/// receive timestamps enabled between two connections of a run.
pub(super) fn keep_enabled() {
    KEEPER.get_or_init(|| {
        let keeper = Socket::new(Domain::IPV4, Type::DGRAM, None).ok()?;
        request(&keeper).ok()?;
        std::thread::sleep(ENABLE_TIME);
        debug!(wait = ?ENABLE_TIME, "enabled receive timestamps in the kernel");
        Some(keeper)
    });
}

/// Requests timestamps for all packets that `socket` sends and receives. After this call, the numbers of sent
/// packets start at 0.
pub(super) fn request(socket: &impl AsFd) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(&socket.as_fd(), sockopt::Timestamping, &flags)?)
}

/// Converts the kernel's timestamp.
pub(super) fn wall_clock(timestamp: TimeSpec) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from(timestamp)
}
