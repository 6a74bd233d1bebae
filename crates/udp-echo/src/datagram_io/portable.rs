//! An implementation that works on all systems: one datagram per call. The remaining hop limit, the
//! destination address and the kernel's timestamp are not available.

use super::{Payload, RECEIVE_BUFFER_LEN, ReceiveMeta, Reply, SendResult, Wait};
use echo_service::ArrivalTime;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Number of buffers that one call receives.
pub(crate) const MAX_BUFFERS: usize = 1;

/// Size of the receive and the send queue of a socket, in bytes. The system chooses it. This is the default of macOS
/// for the receive queue (`net.inet.udp.recvspace`), the largest default of the systems that Rust supports.
pub(crate) const QUEUE_LEN: usize = 786_896;

/// Maximum time to wait for space in a full send queue. It is the shortest timeout that all systems support.
const SEND_TIMEOUT: Duration = Duration::from_millis(1);

/// Receives and sends datagrams on a socket.
pub(crate) struct DatagramIo {
    buffer: Vec<u8>,
    /// Length and source of the received datagram.
    received: Option<(usize, SocketAddr)>,
    received_at: Instant,
    /// Whether the socket is in blocking mode.
    is_blocking: bool,
}

impl DatagramIo {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; RECEIVE_BUFFER_LEN],
            received: None,
            received_at: Instant::now(),
            is_blocking: true,
        }
    }

    /// Sets the timeout for sending. This system reports no additional information about datagrams.
    pub(crate) fn prepare(socket: &UdpSocket, _: SocketAddr) {
        // If the system refuses the timeout, a send call waits until the send queue has space.
        let _ = socket.set_write_timeout(Some(SEND_TIMEOUT));
    }

    /// Has no effect, because kernel timestamps are not available. Replies report the time since the program
    /// received the request.
    pub(crate) fn enable_timestamps(_: &UdpSocket) {}

    /// Receives one datagram. Returns 1.
    ///
    /// # Errors
    ///
    /// The errors of recvfrom(2). `WouldBlock` or `TimedOut`: no datagram is available.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.received = None;
        let is_blocking = wait == Wait::UntilTimeout;
        if self.is_blocking != is_blocking {
            socket.set_nonblocking(!is_blocking)?;
            self.is_blocking = is_blocking;
        }
        self.received = Some(socket.recv_from(&mut self.buffer)?);
        self.received_at = Instant::now();
        Ok(1)
    }

    /// Information about the received datagram.
    pub(crate) fn meta(&self, _index: usize) -> Option<ReceiveMeta> {
        let (length, peer) = self.received?;
        Some(ReceiveMeta {
            peer,
            is_to_group: false,
            hops: None,
            length,
            segment_size: length.max(1),
            arrival: ArrivalTime::Program(self.received_at),
            queue_drops: None,
        })
    }

    /// The payload of the received datagram.
    pub(crate) fn payload(&mut self, _index: usize) -> &mut [u8] {
        let length = self.received.map_or(0, |(length, _)| length);
        &mut self.buffer[..length]
    }

    /// Sends each reply to the source of the received datagram. Calls `on_result` for each reply.
    ///
    /// If the send queue is full, the call waits for [`SEND_TIMEOUT`] at most. A longer wait would delay the
    /// replies to all other peers.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        replies: &[Reply],
        on_result: &mut dyn FnMut(SendResult),
    ) {
        let Some((_, peer)) = self.received else { return };
        for reply in replies {
            let payload = match &reply.payload {
                Payload::InPlace(range) => &self.buffer[range.clone()],
                Payload::Owned(payload) => payload,
            };
            let result = socket.send_to(payload, peer).or_else(|error| match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(error),
                // The error can belong to an earlier reply. The system reports such an error once, in the
                // next call. Therefore the reply is sent again once.
                _ => socket.send_to(payload, peer),
            });
            on_result(match result {
                Ok(_) => SendResult::Accepted { datagrams: 1 },
                Err(error) => SendResult::Failed { datagrams: 1, error },
            });
        }
    }
}

/// This system does not report drops, so their reasons do not matter.
pub(crate) fn checksum_errors() -> Option<u64> {
    None
}
