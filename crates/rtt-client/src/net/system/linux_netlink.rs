//! Linux: asking the kernel about its network, and telling it (netlink(7), rtnetlink(7)).

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::AsRawFd as _;

/// How long the kernel's answer is waited for, in seconds: it comes at once.
const PATIENCE: i64 = 1;

/// How many pieces of an answer are read: a piece has some hundred neighbours.
const MOST_PIECES: usize = 256;

/// How long a piece is at most, in bytes.
const LONGEST_PIECE: usize = 65_536;

/// Message types and flags of include/uapi/linux/netlink.h, and the length of `struct nlmsghdr`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
pub(super) const NLM_F_ACK: u16 = 4;
pub(super) const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;

/// Sends a request to the kernel and hands every message of its answer on: its type and its body. An error
/// is the kernel's own, which also answers so where it has been asked whether all went well (`NLM_F_ACK`).
pub(super) fn talk(
    kind: u16,
    flags: u16,
    body: &[u8],
    each: &mut dyn FnMut(u16, &[u8]),
) -> io::Result<()> {
    let protocol = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut request = Vec::with_capacity(HEADER + body.len());
    request.extend(length.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // A sequence number and a port of ours, neither of which matters with one request on a socket.
    request.extend([0; 8]);
    request.extend(body);
    sendto(socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; LONGEST_PIECE];
    for _ in 0..MOST_PIECES {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some((kind, body, behind)) = message(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return outcome(body),
                kind => each(kind, body),
            }
            rest = behind;
        }
        if flags & NLM_F_DUMP == 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// What an error message says: its number is negative, and 0 is none.
fn outcome(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|number| i32::from_ne_bytes(*number)) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The first message in `bytes`: its type, its body, and what is behind it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes([*bytes.get(4)?, *bytes.get(5)?]);
    let body = bytes.get(HEADER..length)?;
    let behind = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_message() {
        assert!(message(&[]).is_none());
        assert!(message(&[255; 20]).is_none());
        assert!(message(&[0; 20]).is_none());
    }
}
