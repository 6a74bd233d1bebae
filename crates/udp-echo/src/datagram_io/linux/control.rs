//! Control messages (cmsg(3)): information about a datagram in addition to its payload.

#![allow(
    unsafe_code,
    reason = "C macros define the layout of control messages; each use has a SAFETY comment"
)]
#![allow(clippy::unnecessary_cast, reason = "other C libraries have other types for lengths")]

use super::send::reply_datagrams;
use crate::datagram_io::Reply;
use std::mem::{size_of, zeroed};
use std::net::Ipv6Addr;

/// Size of a control buffer in bytes. It is sufficient for all control messages: packet information (40 bytes
/// for IPv6), hop limit (24), segment size (24), timestamp (32), dropped datagrams (24).
pub(super) const CONTROL_LEN: usize = 160;

/// A buffer with the alignment of control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer([u8; CONTROL_LEN]);

impl ControlBuffer {
    pub(super) const ZERO: Self = Self([0; CONTROL_LEN]);
}

/// Writes the control messages of `reply` into the control buffer of `header`: the source address, the hop
/// limit and the segment size. The source address of the reply is the destination address of `request`.
pub(super) fn write_controls(header: &mut libc::msghdr, request: &libc::msghdr, reply: &Reply) {
    let mut used = 0;
    let mut add = |level, kind, data: &[u8]| {
        // SAFETY: `header` has a control buffer of CONTROL_LEN bytes with the alignment of control messages.
        // The assertion checks that the message fits into the rest of the buffer.
        unsafe {
            let space = libc::CMSG_SPACE(to_u32(data.len())) as usize;
            assert!(used + space <= CONTROL_LEN, "the control buffer is too small");
            let message: *mut libc::cmsghdr = header.msg_control.byte_add(used).cast();
            (*message).cmsg_level = level;
            (*message).cmsg_type = kind;
            (*message).cmsg_len = libc::CMSG_LEN(to_u32(data.len())) as _;
            std::ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(message), data.len());
            used += space;
        }
    };
    let mut is_ipv6 = false;
    for_each_control(request, |level, kind, data| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let mut info: libc::in_pktinfo = read_plain(data);
            // With 0, the routing table selects the interface. The request can have arrived at another
            // interface.
            info.ipi_ifindex = 0;
            if info.ipi_spec_dst.s_addr == 0 {
                info.ipi_spec_dst = info.ipi_addr;
            }
            add(level, kind, plain_bytes(&info));
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let mut info: libc::in6_pktinfo = read_plain(data);
            if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                info.ipi6_ifindex = 0;
            }
            add(level, kind, plain_bytes(&info));
        }
        (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => is_ipv6 = true,
        _ => {}
    });
    if let Some(hops) = reply.hops {
        let (level, kind) = if is_ipv6 {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
        } else {
            (libc::IPPROTO_IP, libc::IP_TTL)
        };
        add(level, kind, &libc::c_int::from(hops).to_ne_bytes());
    }
    if let (2.., Ok(segment_size)) = (reply_datagrams(reply), u16::try_from(reply.segment_size)) {
        add(libc::SOL_UDP, libc::UDP_SEGMENT, &segment_size.to_ne_bytes());
    }
    header.msg_controllen = used as _;
}

/// Calls `visit` with the level, the type and the data of each control message that the kernel wrote for
/// `header`.
pub(super) fn for_each_control(header: &libc::msghdr, mut visit: impl FnMut(i32, i32, &[u8])) {
    // SAFETY: the kernel filled the control buffer and set its length. The macros of cmsg(3) stay within this
    // length. `cmsg_len` of each message states the length of its data, which is inside the buffer.
    unsafe {
        let mut pointer = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = pointer.as_ref() {
            let length = (message.cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(pointer), length);
            visit(message.cmsg_level, message.cmsg_type, data);
            pointer = libc::CMSG_NXTHDR(header, pointer);
        }
    }
}

/// A type that consists of integers only. Every sequence of bytes is a valid value.
pub(super) trait Plain: Copy {}
impl Plain for libc::c_int {}
impl Plain for u32 {}
impl Plain for libc::in_pktinfo {}
impl Plain for libc::in6_pktinfo {}
impl Plain for libc::timespec {}

/// A plain type without padding on every system.
trait WithoutPadding: Plain {}
impl WithoutPadding for libc::in_pktinfo {}
impl WithoutPadding for libc::in6_pktinfo {}

/// Reads a value from the beginning of `data`. If `data` is too short, the missing bytes are zero.
pub(super) fn read_plain<T: Plain>(data: &[u8]) -> T {
    // SAFETY: zeros are a valid value of T, and so is every sequence of bytes. At most `size_of::<T>()` bytes
    // are written.
    unsafe {
        let mut value: T = zeroed();
        let length = data.len().min(size_of::<T>());
        std::ptr::copy_nonoverlapping(data.as_ptr(), (&raw mut value).cast(), length);
        value
    }
}

fn plain_bytes<T: WithoutPadding>(value: &T) -> &[u8] {
    // SAFETY: the structures consist of four-byte integers and byte arrays, so they have no padding. All
    // their bytes are readable as long as `value` exists.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Converts a length to the type that system calls use. All lengths here fit.
pub(super) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
