//! Control messages (cmsg(3)): information about a datagram in addition to its payload.

#![allow(
    unsafe_code,
    reason = "conversion between bytes and the structures of C; each use has a SAFETY comment"
)]
#![allow(clippy::unnecessary_cast, reason = "other C libraries have other types for lengths")]

use super::send::reply_datagrams;
use crate::datagram_io::Reply;
use std::mem::{size_of, zeroed};
use std::net::Ipv6Addr;

#[cfg(test)]
mod tests;

/// Size of a control buffer in bytes. It is sufficient for all control messages: packet information (40 bytes
/// for IPv6), hop limit (24), segment size (24), timestamp (32), dropped datagrams (24).
pub(super) const CONTROL_LEN: usize = 160;

/// A buffer with the alignment of control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer(pub(super) [u8; CONTROL_LEN]);

/// Writes the control messages of `reply` to `buffer`: the source address, the hop limit and the segment size. Returns
/// the number of bytes. `request` is the control messages of the request. The source address of the reply is the
/// destination address in these messages.
pub(super) fn write_controls(buffer: &mut ControlBuffer, request: &[u8], reply: &Reply) -> usize {
    let mut rest = &mut buffer.0[..];
    let mut is_ipv6 = false;
    for (level, kind, data) in control_messages(request) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let mut info: libc::in_pktinfo = read_plain(data);
                // With 0, the routing table selects the interface. The request can have arrived at another
                // interface.
                info.ipi_ifindex = 0;
                if info.ipi_spec_dst.s_addr == 0 {
                    info.ipi_spec_dst = info.ipi_addr;
                }
                rest = write_control(rest, level, kind, plain_bytes(&info));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let mut info: libc::in6_pktinfo = read_plain(data);
                if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                    info.ipi6_ifindex = 0;
                }
                rest = write_control(rest, level, kind, plain_bytes(&info));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => is_ipv6 = true,
            _ => {}
        }
    }
    if let Some(hops) = reply.hops {
        let (level, kind) = if is_ipv6 {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
        } else {
            (libc::IPPROTO_IP, libc::IP_TTL)
        };
        rest = write_control(rest, level, kind, &libc::c_int::from(hops).to_ne_bytes());
    }
    if let (2.., Ok(segment_size)) = (reply_datagrams(reply), u16::try_from(reply.segment_size)) {
        rest = write_control(rest, libc::SOL_UDP, libc::UDP_SEGMENT, &segment_size.to_ne_bytes());
    }
    CONTROL_LEN - rest.len()
}

/// Writes a control message to the beginning of `buffer`. Returns the rest of the buffer. If the message does not fit,
/// nothing is written.
fn write_control<'a>(buffer: &'a mut [u8], level: i32, kind: i32, data: &[u8]) -> &'a mut [u8] {
    let (space, data_start) = (control_space(data.len()), control_len(0));
    if space > buffer.len() {
        return buffer;
    }
    let mut header: libc::cmsghdr = read_plain(&[]);
    header.cmsg_len = control_len(data.len()) as _;
    header.cmsg_level = level;
    header.cmsg_type = kind;
    let (message, rest) = buffer.split_at_mut(space);
    message.fill(0);
    message[..size_of::<libc::cmsghdr>()].copy_from_slice(plain_bytes(&header));
    message[data_start..][..data.len()].copy_from_slice(data);
    rest
}

/// The level, the type and the data of each control message in `buffer`. A message that ends after the end of the
/// buffer ends the iteration.
pub(super) fn control_messages(mut buffer: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        if buffer.len() < control_len(0) {
            return None;
        }
        let header: libc::cmsghdr = read_plain(buffer);
        let data_len = (header.cmsg_len as usize).checked_sub(control_len(0))?;
        let data = buffer[control_len(0)..].get(..data_len)?;
        // The kernel does not align the end of the last message.
        buffer = buffer.get(control_space(data_len)..).unwrap_or_default();
        Some((header.cmsg_level, header.cmsg_type, data))
    })
}

/// `CMSG_LEN` of cmsg(3): length of a message with `data_len` bytes of data.
fn control_len(data_len: usize) -> usize {
    // SAFETY: the function only computes a number.
    unsafe { libc::CMSG_LEN(to_u32(data_len)) as usize }
}

/// `CMSG_SPACE` of cmsg(3): the same length, aligned for the next message.
fn control_space(data_len: usize) -> usize {
    // SAFETY: the function only computes a number.
    unsafe { libc::CMSG_SPACE(to_u32(data_len)) as usize }
}

/// A type that consists of integers only. Every sequence of bytes is a valid value.
pub(super) trait Plain: Copy {}
impl Plain for libc::c_int {}
impl Plain for u32 {}
impl Plain for libc::in_pktinfo {}
impl Plain for libc::in6_pktinfo {}
impl Plain for libc::timespec {}
impl Plain for libc::cmsghdr {}

/// A plain type without padding on every system.
trait WithoutPadding: Plain {}
impl WithoutPadding for libc::in_pktinfo {}
impl WithoutPadding for libc::in6_pktinfo {}
impl WithoutPadding for libc::cmsghdr {}

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
    // SAFETY: the structures consist of integers and byte arrays without padding between them. All their bytes are
    // readable as long as `value` exists.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Converts a length to the type that system calls use. All lengths here fit.
pub(super) fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
