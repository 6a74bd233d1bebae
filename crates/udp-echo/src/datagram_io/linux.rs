//! The implementation for Linux. It uses these features of the kernel:
//!
//! - many buffers per system call (`recvmmsg`, `sendmmsg`)
//! - coalesced datagrams (`UDP_GRO` for receiving, `UDP_SEGMENT` for sending, udp(7))
//! - the destination address (`IP_PKTINFO`, `IPV6_PKTINFO`) and the remaining hop limit
//! - the kernel's timestamp of the arrival (`SO_TIMESTAMPNS`)
//! - the number of datagrams that the kernel dropped, because the receive queue was full (`SO_RXQ_OVFL`). The kernel
//!   reports it with a datagram only if it is not 0, so it costs no time as long as nothing is dropped.
//!
//! The code calls `recvmmsg` and `sendmmsg` without a library, because no library provides all of these
//! features. nix allocates memory for each call, and rustix has no packet information. quinn-udp sets "don't
//! fragment" and sends to one peer per call.

mod control;
mod raw_buffer;
mod receive;
mod send;
#[cfg(any(test, fuzzing))]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;

use super::{ReceiveMeta, Reply, SendResult, Wait};
use nix::sys::socket::{SetSockOpt, setsockopt, sockopt};
pub(crate) use receive::MAX_BUFFERS;
use receive::Receiver;
use send::Sender;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Requested size of the receive and the send queue of a socket, in bytes. When a queue is full, datagrams
/// are lost. A large receive queue is useful for bursts of many peers. A large send queue is useful if
/// replies wait while the kernel looks for neighbours that do not exist. `net.core.rmem_max` and
/// `net.core.wmem_max` limit the sizes.
pub(crate) const QUEUE_LEN: usize = 4 << 20;

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
    /// local address of the socket. The socket does not need to be bound to it yet.
    pub(crate) fn prepare(socket: &UdpSocket, address: SocketAddr) {
        // If the size exceeds the maximum of the system, the system sets its maximum. This is sufficient.
        let _ = setsockopt(socket, sockopt::RcvBuf, &QUEUE_LEN);
        let _ = setsockopt(socket, sockopt::SndBuf, &QUEUE_LEN);
        enable_if_available(socket, sockopt::UdpGroSegment);
        enable_if_available(socket, sockopt::RxqOvfl);
        // A socket that is bound to a unicast address always replies from this address, and it does not
        // receive broadcasts and multicasts. Only a wildcard socket needs the destination address.
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

    /// Receives the available buffers and returns their number.
    ///
    /// # Errors
    ///
    /// The errors of recvmmsg(2). `WouldBlock`: no datagram is available.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.receiver.receive(socket, wait)
    }

    /// Information about the received buffer number `index`. `None` if the kernel reported no usable source
    /// address.
    pub(crate) fn meta(&self, index: usize) -> Option<ReceiveMeta> {
        self.receiver.meta(index)
    }

    /// The payload of the received buffer number `index`.
    pub(crate) fn payload(&mut self, index: usize) -> &mut [u8] {
        self.receiver.payload(index)
    }

    /// Sends each reply to the source of its request, from the address to which the request was sent. Each
    /// call of `on_result` reports the result for some of the datagrams.
    ///
    /// If the send queue is full, the call does not wait. A wait would delay the replies to all other peers.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        replies: &[Reply],
        on_result: &mut dyn FnMut(SendResult),
    ) {
        self.sender.send(socket, &self.receiver, replies, on_result);
    }
}

/// Enables an option. Some older kernels do not have it, and the server works without it.
fn enable_if_available<O: SetSockOpt<Val: From<bool>>>(socket: &UdpSocket, option: O) {
    if let Err(error) = setsockopt(socket, option, &true.into()) {
        tracing::debug!(%error, "cannot enable a socket option; the server continues without it");
    }
}

/// The number of datagrams with a wrong checksum at all sockets of the system.
pub(crate) fn checksum_errors() -> Option<u64> {
    let snmp = std::fs::read_to_string("/proc/net/snmp").ok()?;
    let snmp6 = std::fs::read_to_string("/proc/net/snmp6").unwrap_or_default();
    echo_core::udp_checksum_errors(&snmp, &snmp6)
}
