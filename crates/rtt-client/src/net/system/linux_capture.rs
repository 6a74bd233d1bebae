//! Linux: a packet socket on one interface, with a kernel filter for one peer (packet(7)). No library of the
//! system's is needed for it.
#![expect(
    unsafe_code,
    reason = "the address of a packet socket and its statistics have no safe calls"
)]

use super::linux::keep_timestamps_enabled;
use super::linux_errors::wall_clock;
use super::{CaptureConfig, CapturedFrame, capture_filter};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, SystemTime};

/// The longest packet that is kept whole, in bytes: the longest that IP has, and the link's header.
const LONGEST: usize = 65_536 + 64;

/// `ETH_P_ALL` (`include/uapi/linux/if_ether.h`).
const EVERY_PROTOCOL: u16 = 3;

/// Room for what comes while nobody looks, in bytes; the system may grant less.
const BACKLOG: usize = 8 * 1024 * 1024;

/// An interface that is being captured on.
#[derive(Debug)]
pub(crate) struct Capture {
    socket: Socket,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Capture {
    /// Begins to capture what goes to the peer and what comes from it. Without `CAP_NET_RAW` the system
    /// does not permit it.
    pub(crate) fn start(config: &CaptureConfig) -> io::Result<Self> {
        let every_protocol = EVERY_PROTOCOL.to_be();
        let family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>());
        let size = size.map_err(io::Error::other)?;
        // Bound to no protocol until the filter stands, so that nothing else comes in before.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        let filter: Vec<SockFilter> = capture_filter::program(config)
            .into_iter()
            .map(|(code, yes, no, operand)| SockFilter::new(code, yes, no, operand))
            .collect();
        socket.attach_filter(&filter)?;
        // The kernel's limit may be lower; then it is that.
        let _ = socket.set_recv_buffer_size(BACKLOG);
        keep_timestamps_enabled();
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // SAFETY: a zeroed `sockaddr_ll` is a valid one; it is written into storage that is at least as long,
        // and its length is told.
        let ((), address) = unsafe {
            SockAddr::try_init(|storage, length| {
                let link = storage.cast::<libc::sockaddr_ll>();
                (*link).sll_family = family;
                (*link).sll_protocol = every_protocol;
                (*link).sll_ifindex = config.interface.cast_signed();
                *length = size;
                Ok(())
            })
        }?;
        socket.bind(&address)?;
        let control = cmsg_space!(TimeSpec);
        Ok(Self { socket, buffer: vec![0; LONGEST], control })
    }

    /// The next packet, if one comes in that time.
    pub(crate) fn next(&mut self, patience: Duration) -> io::Result<Option<CapturedFrame>> {
        let mut poll = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut poll, Some(TimeSpec::from_duration(patience)), None) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut place = [IoSliceMut::new(&mut self.buffer)];
        let control = Some(&mut self.control[..]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let message = match recvmsg::<()>(self.socket.as_raw_fd(), &mut place, control, flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(wall_clock(stamp)),
            _ => None,
        });
        let original_len = message.bytes;
        let time = stamp.unwrap_or_else(SystemTime::now);
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let bytes = self.buffer[..original_len.min(LONGEST)].to_vec();
        Ok(Some(CapturedFrame { time, original_len, bytes }))
    }

    /// How many packets the kernel had no room for.
    pub(crate) fn dropped(&self) -> Option<u64> {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = libc::socklen_t::try_from(size_of_val(&statistics)).ok()?;
        // SAFETY: the kernel writes at most `length` bytes to `statistics`, which is that long; both live
        // until the call returns.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        (result == 0).then_some(u64::from(statistics.tp_drops))
    }
}
