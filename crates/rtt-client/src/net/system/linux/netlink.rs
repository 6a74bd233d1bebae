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
    let mut buffer = vec![0; BUFFER_LEN];
    for _ in 0..MAX_DATAGRAMS {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let is_complete = handle_datagram(&buffer[..length], &mut handle)?;
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
