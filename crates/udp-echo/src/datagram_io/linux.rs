//! Linux: many buffers per system call (`recvmmsg`, `sendmmsg`), coalesced datagrams (`UDP_GRO` when
//! receiving, `UDP_SEGMENT` when sending, udp(7)), the destination address (`IP_PKTINFO`, `IPV6_PKTINFO`),
//! the remaining hop limit, and the kernel's timestamp of the arrival (`SO_TIMESTAMPNS`).
//!
//! The code uses its own system calls, because no library provides all of this: nix allocates for each call,
//! rustix has no packet information, and quinn-udp sets "don't fragment" and sends to one peer per call.

mod control;
mod receive;
mod send;

use super::{ReceiveMeta, Reply, SendResult, Wait};
use nix::sys::socket::{SetSockOpt, setsockopt, sockopt};
use receive::Receiver;
use send::Sender;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Requested size of the receive and the send queue of a socket, in bytes. A large queue holds bursts of many
/// peers, and replies that wait for neighbours that do not exist, before datagrams are lost.
/// `net.core.rmem_max` and `wmem_max` limit the size.
const QUEUE_LEN: usize = 4 << 20;

/// Receives and sends datagrams on a socket.
pub(crate) struct DatagramIo {
    receiver: Receiver,
    sender: Sender,
}

impl DatagramIo {
    pub(crate) fn new() -> Self {
        Self { receiver: Receiver::new(), sender: Sender::new() }
    }

    /// Enables the information in [`ReceiveMeta`] for datagrams that arrive at `socket`. `address` is the
    /// address to which the socket is bound, or will be bound.
    pub(crate) fn prepare(socket: &UdpSocket, address: SocketAddr) {
        // The system grants as much as it permits every process, which is more than the default.
        let _ = setsockopt(socket, sockopt::RcvBuf, &QUEUE_LEN);
        let _ = setsockopt(socket, sockopt::SndBuf, &QUEUE_LEN);
        enable_if_available(socket, sockopt::UdpGroSegment);
        // A socket that is bound to one address replies from this address, and receives no broadcasts and
        // multicasts.
        let is_wildcard = address.ip().is_unspecified();
        if address.is_ipv4() {
            enable_if_available(socket, sockopt::Ipv4RecvTtl);
            if is_wildcard {
                enable_if_available(socket, sockopt::Ipv4PacketInfo);
            }
        } else {
            enable_if_available(socket, sockopt::Ipv6RecvHopLimit);
            if is_wildcard {
                enable_if_available(socket, sockopt::Ipv6RecvPacketInfo);
            }
        }
    }

    /// Enables kernel timestamps for datagrams that arrive at `socket` from now on. If the kernel refuses,
    /// replies report the time since the program received the request.
    pub(crate) fn enable_timestamps(socket: &UdpSocket) {
        let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
    }

    /// Receives the available buffers. Returns their number.
    ///
    /// # Errors
    ///
    /// The errors of recvmmsg(2). `WouldBlock`: no datagram is available.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.receiver.receive(socket, wait)
    }

    /// Information about the received buffer number `index`. `None` if the kernel reported no source address
    /// to which a reply can be sent.
    pub(crate) fn meta(&self, index: usize) -> Option<ReceiveMeta> {
        self.receiver.meta(index)
    }

    /// The payload of the received buffer number `index`.
    pub(crate) fn payload(&mut self, index: usize) -> &mut [u8] {
        self.receiver.payload(index)
    }

    /// Sends each reply to the source of its request, from the address to which the request was sent. Calls
    /// `on_result` for each group of datagrams.
    ///
    /// The call does not wait for a full send queue. Otherwise, the peer that filled the queue would delay
    /// the replies to all other peers.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        replies: &[Reply],
        on_result: &mut dyn FnMut(SendResult),
    ) {
        self.sender.send(socket, &self.receiver, replies, on_result);
    }
}

/// Enables an option that an older kernel can lack. The server then works without it.
fn enable_if_available<O: SetSockOpt<Val = bool>>(socket: &UdpSocket, option: O) {
    if let Err(error) = setsockopt(socket, option, &true) {
        tracing::debug!(%error, "this kernel does not support a socket option");
    }
}
