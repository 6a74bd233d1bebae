//! Packet capture: a packet socket on one interface, with a filter in the kernel for one peer (packet(7)).
//!
//! The crate pcap is an alternative that was tried. It needs the C library libpcap to build the client and to run
//! it. An installed `rtt-client` must not need other packages.
#![expect(
    unsafe_code,
    reason = "no safe function creates the address of a packet socket or reads its statistics"
)]

use super::super::{CaptureConfig, CapturedFrame};
use super::capture_filter;
use super::filter::socket_filter;
use super::timestamps;
use crate::net::system::operation::{CaptureOperation, FailedOperation, failed};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, SystemTime};
use tracing::debug;

/// The maximum number of bytes that are captured of a packet: the longest IP packet and its link header.
const MAX_PACKET_LEN: usize = 65_536 + 64;

/// `ETH_P_ALL`: packets of every protocol (`include/uapi/linux/if_ether.h`).
const ALL_PROTOCOLS: u16 = 3;

/// The size of the socket's receive buffer, in bytes. The buffer stores packets until the program reads them. The
/// system can grant a smaller buffer (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// A running capture on one interface.
#[derive(Debug)]
pub(crate) struct Capture {
    socket: Socket,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Capture {
    /// Starts to capture the packets to and from the peer, and all ICMP errors.
    ///
    /// # Errors
    ///
    /// The operation that failed. Without the capability `CAP_NET_RAW`, the error is `PermissionDenied`.
    pub(crate) fn start(config: &CaptureConfig) -> Result<Self, FailedOperation<CaptureOperation>> {
        // A packet socket with protocol 0 receives no packets. So none arrives before the filter is attached.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))
            .map_err(failed(CaptureOperation::CreateSocket))?;
        let filter = socket_filter(&capture_filter::program(config));
        socket.attach_filter(&filter).map_err(failed(CaptureOperation::AttachFilter))?;
        // With a smaller buffer, the kernel can drop packets. The capture reports their number.
        let granted = socket
            .set_recv_buffer_size(RECEIVE_BUFFER)
            .and_then(|()| socket.recv_buffer_size())
            .unwrap_or(0);
        timestamps::keep_enabled();
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)
            .map_err(|errno| failed(CaptureOperation::SetOption("SO_TIMESTAMPNS"))(errno.into()))?;
        address(config.interface)
            .and_then(|address| socket.bind(&address))
            .map_err(failed(CaptureOperation::BindSocket))?;
        debug!(
            interface = config.interface,
            peer = %config.peer,
            port = config.port,
            ip_protocol = config.ip_protocol,
            filter_instructions = filter.len(),
            receive_buffer = granted,
            "capture started"
        );
        let control = cmsg_space!(TimeSpec);
        Ok(Self { socket, buffer: vec![0; MAX_PACKET_LEN], control })
    }

    /// Waits for the next packet. Returns `None` after `timeout`.
    pub(crate) fn next(&mut self, timeout: Duration) -> io::Result<Option<CapturedFrame>> {
        let mut poll = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut poll, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut data = [IoSliceMut::new(&mut self.buffer)];
        let control = Some(&mut self.control[..]);
        // With MSG_TRUNC, `recvmsg` returns the length of the whole packet, even if the buffer is shorter.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let message = match recvmsg::<()>(self.socket.as_raw_fd(), &mut data, control, flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let timestamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(timestamp) => {
                Some(timestamps::wall_clock(timestamp))
            }
            _ => None,
        });
        let original_len = message.bytes;
        let time = timestamp.unwrap_or_else(SystemTime::now);
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let bytes = self.buffer[..original_len.min(MAX_PACKET_LEN)].to_vec();
        Ok(Some(CapturedFrame { time, original_len, bytes }))
    }

    /// The number of packets that passed the filter since the last call. It includes the packets that the kernel dropped
    /// because the receive buffer was full (packet(7), `PACKET_STATISTICS`).
    pub(crate) fn received(&self) -> Option<u64> {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = libc::socklen_t::try_from(size_of_val(&statistics)).ok()?;
        // SAFETY: `statistics` has `length` bytes, and the kernel writes at most `length` bytes to it. `statistics` and
        // `length` live until the call returns.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        (result == 0).then_some(u64::from(statistics.tp_packets))
    }
}

/// The address of a packet socket that receives packets of all protocols on one interface.
fn address(interface: u32) -> io::Result<SockAddr> {
    let family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>());
    let size = size.map_err(io::Error::other)?;
    // SAFETY: `storage` is zeroed, and a zeroed `sockaddr_ll` is valid. `storage` is at least as long as a
    // `sockaddr_ll`, and `length` is set to the length of a `sockaddr_ll`.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = family;
            (*link).sll_protocol = ALL_PROTOCOLS.to_be();
            (*link).sll_ifindex = interface.cast_signed();
            *length = size;
            Ok(())
        })
    }?;
    Ok(address)
}
