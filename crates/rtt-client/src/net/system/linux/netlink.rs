//! Requests to the kernel's routing subsystem over a netlink socket (netlink(7), rtnetlink(7)).
//!
//! The crates netlink-packet-core and netlink-packet-route encode and decode the messages. nix creates the socket.
//! The client sends one request at a time, so it does not need the crates rtnetlink (asynchronous) and netlink-sys.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::AsRawFd as _;

/// The receive timeout, in seconds. The kernel answers immediately, so the timeout ends only a wait after an error.
const TIMEOUT_S: i64 = 1;

/// The maximum number of datagrams that are read for one answer. A datagram contains about a hundred neighbours.
const MAX_DATAGRAMS: usize = 256;

/// The size of the receive buffer, in bytes. The kernel cuts off a longer datagram.
const BUFFER_LEN: usize = 65_536;

/// Sends one request to the kernel and passes each message of the answer to `handle`.
///
/// `flags` are the flags of netlink(7). With `NLM_F_DUMP`, the answer can have several messages. With `NLM_F_ACK`, the
/// kernel confirms the request.
///
/// # Errors
///
/// The kernel's error for this request, or an error of the socket.
pub(super) fn request(
    message: RouteNetlinkMessage,
    flags: u16,
    mut handle: impl FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let protocol = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(TIMEOUT_S, 0))?;
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    sendto(socket.as_raw_fd(), &bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let receive = |buffer: &mut [u8]| Ok(recv(socket.as_raw_fd(), buffer, MsgFlags::empty())?);
    read_answer(flags, receive, &mut handle)
}

/// Reads the datagrams of one answer, at most [`MAX_DATAGRAMS`], and passes each message to `handle`. `receive` writes the
/// next datagram into a buffer and returns its length.
fn read_answer(
    flags: u16,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    handle: &mut dyn FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_LEN];
    for _ in 0..MAX_DATAGRAMS {
        let length = receive(&mut buffer)?;
        let is_complete = handle_datagram(&buffer[..length], handle)?;
        if is_complete || flags & NLM_F_DUMP == 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Entry point for the fuzz target `kernel`: reads any bytes as a datagram of the kernel.
#[cfg(fuzzing)]
pub fn handle_any_netlink_datagram(datagram: &[u8]) {
    let _ = handle_datagram(datagram, &mut |_| {});
}

/// Passes each message in `datagram` to `handle`. Returns whether the last message ends the answer.
///
/// # Errors
///
/// The error in the datagram, or an invalid message.
fn handle_datagram(
    datagram: &[u8],
    handle: &mut dyn FnMut(RouteNetlinkMessage),
) -> io::Result<bool> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            // Error number 0 confirms the request.
            NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(message) => handle(message),
            _ => {}
        }
        let length = usize::try_from(message.header.length).map_err(io::Error::other)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::{DoneMessage, NetlinkHeader};
    use netlink_packet_route::link::LinkMessage;

    fn datagram(payload: NetlinkPayload<RouteNetlinkMessage>) -> Vec<u8> {
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    /// Reads an answer whose last datagram has this number. Returns the result, and the number of datagrams and messages.
    fn read(flags: u16, last: usize) -> (io::Result<()>, usize, usize) {
        let link = RouteNetlinkMessage::NewLink(LinkMessage::default());
        let link = datagram(NetlinkPayload::InnerMessage(link));
        let done = datagram(NetlinkPayload::Done(DoneMessage::default()));
        let (mut datagrams, mut messages) = (0, 0);
        let receive = |buffer: &mut [u8]| {
            datagrams += 1;
            let datagram = if datagrams == last { &done } else { &link };
            buffer[..datagram.len()].copy_from_slice(datagram);
            Ok(datagram.len())
        };
        let result = read_answer(flags, receive, &mut |_| messages += 1);
        (result, datagrams, messages)
    }

    #[test]
    fn number_of_datagrams_of_one_answer_is_limited() {
        let (result, datagrams, messages) = read(NLM_F_DUMP, MAX_DATAGRAMS);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!((datagrams, messages), (MAX_DATAGRAMS, MAX_DATAGRAMS - 1));
        let (result, datagrams, messages) = read(NLM_F_DUMP, MAX_DATAGRAMS + 1);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!((datagrams, messages), (MAX_DATAGRAMS, MAX_DATAGRAMS));
    }

    #[test]
    fn answer_that_is_no_dump_has_one_datagram() {
        let (result, datagrams, messages) = read(0, MAX_DATAGRAMS);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!((datagrams, messages), (1, 1));
    }
}
