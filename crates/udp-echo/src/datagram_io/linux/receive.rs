//! Receives datagrams: the buffers for `recvmmsg`, and the information in the control messages.

#![allow(unsafe_code, reason = "recvmmsg and socket addresses; each use has a SAFETY comment")]
#![allow(
    clippy::unnecessary_cast,
    reason = "other C libraries have other types for lengths and flags"
)]

use super::control::{CONTROL_LEN, ControlBuffer, control_messages, read_plain, to_u32};
use super::raw_buffer::RawBuffer;
use crate::datagram_io::{RECEIVE_BUFFER_LEN, ReceiveMeta, Wait};
use echo_service::ArrivalTime;
use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant, SystemTime};

/// Maximum number of buffers that one call receives. They take 2 MiB of address space. The system provides
/// the memory of a buffer when a datagram first uses it.
pub(crate) const MAX_BUFFERS: usize = 32;

/// As long as only one buffer arrives at a time, one call in this number requests several buffers. The other
/// calls request a single buffer, so the kernel does not look for a second datagram. This saves 3 % of the time
/// of a round trip over loopback.
const SINGLE_RECEIVES: u32 = 8;

/// Buffers for received datagrams.
pub(super) struct Receiver {
    /// The headers contain pointers to the names, the control buffers and the iovecs. Each iovec contains a pointer to
    /// its part of the payloads.
    headers: RawBuffer<libc::mmsghdr>,
    names: RawBuffer<libc::sockaddr_storage>,
    controls: RawBuffer<ControlBuffer>,
    /// Only the kernel uses them. The field keeps the memory allocated.
    _iovecs: RawBuffer<libc::iovec>,
    payloads: RawBuffer<u8>,
    /// Number of buffers that the last call filled.
    filled: usize,
    /// When the last call returned.
    received_at: Instant,
    /// Number of calls that will request a single buffer.
    single_receives: u32,
}

impl Receiver {
    pub(super) fn new() -> Self {
        let mut headers = RawBuffer::<libc::mmsghdr>::zeroed(MAX_BUFFERS);
        let names = RawBuffer::<libc::sockaddr_storage>::zeroed(MAX_BUFFERS);
        let controls = RawBuffer::<ControlBuffer>::zeroed(MAX_BUFFERS);
        let mut iovecs = RawBuffer::<libc::iovec>::zeroed(MAX_BUFFERS);
        let payloads = RawBuffer::<u8>::zeroed(MAX_BUFFERS * RECEIVE_BUFFER_LEN);
        for index in 0..MAX_BUFFERS {
            let iovec = iovecs.value_mut(index);
            iovec.iov_base = payloads.pointer(index * RECEIVE_BUFFER_LEN).cast();
            iovec.iov_len = RECEIVE_BUFFER_LEN;
            let header = &mut headers.value_mut(index).msg_hdr;
            header.msg_name = names.pointer(index).cast();
            header.msg_control = controls.pointer(index).cast();
            header.msg_iov = iovecs.pointer(index);
            header.msg_iovlen = 1;
        }
        Self {
            headers,
            names,
            controls,
            _iovecs: iovecs,
            payloads,
            filled: MAX_BUFFERS,
            received_at: Instant::now(),
            single_receives: 0,
        }
    }

    /// See [`super::DatagramIo::receive`].
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        for header in self.headers.slice_mut(0..self.filled) {
            header.msg_hdr.msg_namelen = size_as_socklen::<libc::sockaddr_storage>();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        self.filled = 0;
        let requested = if self.single_receives == 0 { MAX_BUFFERS } else { 1 };
        let flags = match wait {
            Wait::No => libc::MSG_DONTWAIT,
            Wait::UntilTimeout => libc::MSG_WAITFORONE,
        };
        // SAFETY: every header points to a name, a control buffer and an iovec. The iovec points to a payload.
        // `self` owns all of them. They have the lengths stated in the header and the iovec. `self` is mutably
        // borrowed, so no reference to them is in use during the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.pointer(0),
                to_u32(requested),
                flags as _,
                std::ptr::null_mut(),
            )
        };
        self.received_at = Instant::now();
        self.filled = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.single_receives = match (requested, self.filled) {
            (MAX_BUFFERS, 1) => SINGLE_RECEIVES - 1,
            _ => self.single_receives.saturating_sub(1),
        };
        Ok(self.filled)
    }

    /// See [`super::DatagramIo::meta`].
    pub(super) fn meta(&self, index: usize) -> Option<ReceiveMeta> {
        let header = self.header(index);
        let length = header.msg_len as usize;
        let mut meta = ReceiveMeta {
            peer: socket_address(self.names.get(index), header.msg_hdr.msg_namelen)?,
            is_to_group: false,
            hops: None,
            length,
            segment_size: length.max(1),
            arrival: ArrivalTime::Program(self.received_at),
            // The kernel reports the number only if it is not 0.
            queue_drops: Some(0),
        };
        for (level, kind, data) in control_messages(self.controls(index)) {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    meta.is_to_group = is_to_group(&read_plain(data));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = read_plain(data);
                    meta.is_to_group = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast();
                }
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    let hops: libc::c_int = read_plain(data);
                    meta.hops = u8::try_from(hops).ok();
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size: libc::c_int = read_plain(data);
                    meta.segment_size =
                        usize::try_from(size).unwrap_or(length).clamp(1, length.max(1));
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let timestamp: libc::timespec = read_plain(data);
                    if let (Ok(seconds), Ok(nanoseconds)) =
                        (timestamp.tv_sec.try_into(), timestamp.tv_nsec.try_into())
                    {
                        let since_epoch = Duration::new(seconds, nanoseconds);
                        meta.arrival = ArrivalTime::Kernel(SystemTime::UNIX_EPOCH + since_epoch);
                    }
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    meta.queue_drops = Some(read_plain(data));
                }
                _ => {}
            }
        }
        Some(meta)
    }

    /// See [`super::DatagramIo::payload`].
    pub(super) fn payload(&mut self, index: usize) -> &mut [u8] {
        let start = index * RECEIVE_BUFFER_LEN;
        let length = self.header(index).msg_len as usize;
        self.payloads.slice_mut(start..start + length)
    }

    /// A part of the receive buffer number `index`.
    pub(super) fn buffer_range(&self, index: usize, range: Range<usize>) -> &[u8] {
        let start = index * RECEIVE_BUFFER_LEN;
        self.payloads.slice(start + range.start..start + range.end)
    }

    /// A pointer to the source address of the received buffer number `index`, and the length of the address.
    pub(super) fn name(&self, index: usize) -> (*mut libc::c_void, libc::socklen_t) {
        let header = &self.header(index).msg_hdr;
        (header.msg_name, header.msg_namelen)
    }

    /// The control messages of the received buffer number `index`.
    pub(super) fn controls(&self, index: usize) -> &[u8] {
        let length = self.header(index).msg_hdr.msg_controllen as usize;
        &self.controls.get(index).0[..length.min(CONTROL_LEN)]
    }

    /// The headers for a simulated kernel. The simulation reads and writes through the pointers in the headers, and
    /// sets the lengths, as the kernel does.
    #[cfg(any(test, fuzzing))]
    pub(super) fn simulate_receive(&mut self, filled: usize) -> &RawBuffer<libc::mmsghdr> {
        assert!(filled <= MAX_BUFFERS);
        self.filled = filled;
        &self.headers
    }

    fn header(&self, index: usize) -> &libc::mmsghdr {
        assert!(index < self.filled, "buffer {index} of {} received buffers", self.filled);
        self.headers.get(index)
    }
}

/// Whether the destination is a broadcast or multicast address.
fn is_to_group(info: &libc::in_pktinfo) -> bool {
    // `ipi_addr` is the destination in the packet. `ipi_spec_dst` is the address from which this host
    // replies. The two addresses differ if the destination is a group address.
    //
    // A datagram can arrive at a socket passed by a supervisor before `IP_PKTINFO` is enabled. For such a
    // datagram, `ipi_spec_dst` is 0. This function then does not recognise the broadcast address of a
    // network, but the kernel refuses to send a reply from this address.
    let destination = Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr));
    match info.ipi_spec_dst.s_addr {
        0 => destination.is_multicast() || destination.is_broadcast(),
        own_address => own_address != info.ipi_addr.s_addr,
    }
}

pub(super) fn socket_address(
    name: &libc::sockaddr_storage,
    length: libc::socklen_t,
) -> Option<SocketAddr> {
    // SAFETY: the kernel wrote an address of this family and length. The structure has space for every kind of
    // address.
    unsafe {
        let name_pointer = std::ptr::from_ref(name);
        match libc::c_int::from(name.ss_family) {
            libc::AF_INET if length as usize >= size_of::<libc::sockaddr_in>() => {
                let address = *name_pointer.cast::<libc::sockaddr_in>();
                let ip = address.sin_addr.s_addr.to_ne_bytes();
                Some((ip, u16::from_be(address.sin_port)).into())
            }
            libc::AF_INET6 if length as usize >= size_of::<libc::sockaddr_in6>() => {
                let address = *name_pointer.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                Some((ip, u16::from_be(address.sin6_port)).into())
            }
            _ => None,
        }
    }
}

fn size_as_socklen<T>() -> libc::socklen_t {
    to_u32(size_of::<T>())
}
