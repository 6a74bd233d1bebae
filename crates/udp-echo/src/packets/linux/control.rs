//! Control messages (cmsg(3)): what the kernel tells of a datagram besides its text, and what it is told.

#![allow(
    unsafe_code,
    reason = "control messages are laid out by macros of C; each use says why it is sound"
)]
#![allow(clippy::unnecessary_cast, reason = "lengths have other types with other C libraries")]

use super::datagrams;
use crate::packets::Reply;
use std::mem::{size_of, zeroed};
use std::net::Ipv6Addr;

/// Room for every control message that is asked for or sent: packet information (40 bytes for IPv6), hops
/// (24), segments' length (24), time stamp (32).
pub(super) const CONTROL: usize = 160;

/// Aligned as control messages are (cmsg(3)).
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL]);

/// Writes what `reply` has to say besides its text into the control buffer of `header`: from which address,
/// for how many hops, and where to take it apart. The first is known from what `arrived`.
pub(super) fn write_controls(header: &mut libc::msghdr, arrived: &libc::msghdr, reply: &Reply) {
    let mut used = 0;
    let mut add = |level, kind, data: &[u8]| {
        // SAFETY: `header` has a control buffer of CONTROL bytes, aligned for control messages. What
        // is written at most, one of each kind below, fits, as CONTROL's derivation says; the assertion
        // holds it.
        unsafe {
            let space = libc::CMSG_SPACE(short(data.len())) as usize;
            assert!(used + space <= CONTROL, "room for every control message");
            let place: *mut libc::cmsghdr = header.msg_control.byte_add(used).cast();
            (*place).cmsg_level = level;
            (*place).cmsg_type = kind;
            (*place).cmsg_len = libc::CMSG_LEN(short(data.len())) as _;
            std::ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(place), data.len());
            used += space;
        }
    };
    let mut is_v6 = false;
    for_each_control(arrived, |level, kind, data| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let mut info: libc::in_pktinfo = plain(data);
            // Which way out is for the routes to say, not for the way in.
            info.ipi_ifindex = 0;
            if info.ipi_spec_dst.s_addr == 0 {
                info.ipi_spec_dst = info.ipi_addr;
            }
            add(level, kind, bytes(&info));
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let mut info: libc::in6_pktinfo = plain(data);
            if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                info.ipi6_ifindex = 0;
            }
            add(level, kind, bytes(&info));
        }
        (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => is_v6 = true,
        _ => {}
    });
    if let Some(hops) = reply.hops {
        let (level, kind) = if is_v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
        } else {
            (libc::IPPROTO_IP, libc::IP_TTL)
        };
        add(level, kind, &libc::c_int::from(hops).to_ne_bytes());
    }
    if let (2.., Ok(each)) = (datagrams(reply), u16::try_from(reply.each)) {
        add(libc::SOL_UDP, libc::UDP_SEGMENT, &each.to_ne_bytes());
    }
    header.msg_controllen = used as _;
}

/// Calls `told` with level, type and data of every control message that came with `header`.
pub(super) fn for_each_control(header: &libc::msghdr, mut told: impl FnMut(i32, i32, &[u8])) {
    // SAFETY: the kernel has filled in the control buffer and its length, and the macros of cmsg(3) stay
    // within that length; the data lies in the buffer, as long as its message's length says.
    unsafe {
        let mut place = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = place.as_ref() {
            let length = (message.cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(place), length);
            told(message.cmsg_level, message.cmsg_type, data);
            place = libc::CMSG_NXTHDR(header, place);
        }
    }
}

/// Structures of integers alone, for which every sequence of bytes is a value.
pub(super) trait Plain: Copy {}
impl Plain for libc::c_int {}
impl Plain for libc::in_pktinfo {}
impl Plain for libc::in6_pktinfo {}
impl Plain for libc::timespec {}

/// Those that have no bytes between their fields on any system.
trait WithoutPadding: Plain {}
impl WithoutPadding for libc::in_pktinfo {}
impl WithoutPadding for libc::in6_pktinfo {}

/// The structure that `data` begins with; what `data` lacks of it is zero.
pub(super) fn plain<T: Plain>(data: &[u8]) -> T {
    // SAFETY: zeros are a value of T, and so is every sequence of bytes; no more is written than T holds.
    unsafe {
        let mut value: T = zeroed();
        let length = data.len().min(size_of::<T>());
        std::ptr::copy_nonoverlapping(data.as_ptr(), (&raw mut value).cast(), length);
        value
    }
}

fn bytes<T: WithoutPadding>(value: &T) -> &[u8] {
    // SAFETY: the structures have no padding, being integers of four bytes and arrays of bytes; all of them is
    // readable for as long as `value` is.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// A number of things or bytes that constants here bound, as system calls want it.
pub(super) fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
