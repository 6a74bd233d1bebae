//! Sends replies: the headers for `sendmmsg`, and the reaction to replies that the system refuses.

#![allow(unsafe_code, reason = "sendmmsg; each use has a SAFETY comment")]
#![allow(clippy::unnecessary_cast, reason = "other C libraries have other types for flags")]

use super::control::{ControlBuffer, to_u32, write_controls};
use super::raw_buffer::RawBuffer;
use super::receive::Receiver;
use crate::datagram_io::{Payload, Reply, SendResult, datagram_count};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Maximum number of replies that one call sends.
pub(super) const MAX_REPLIES: usize = 64;

/// Headers for replies.
pub(super) struct Sender {
    /// The headers contain pointers to the iovecs and control buffers, and to the names of the [`Receiver`]. The iovecs
    /// contain pointers to the payloads of the receiver and of the replies.
    headers: RawBuffer<libc::mmsghdr>,
    iovecs: RawBuffer<libc::iovec>,
    controls: RawBuffer<ControlBuffer>,
}

impl Sender {
    pub(super) fn new() -> Self {
        let mut headers = RawBuffer::<libc::mmsghdr>::zeroed(MAX_REPLIES);
        let iovecs = RawBuffer::zeroed(MAX_REPLIES);
        let controls = RawBuffer::<ControlBuffer>::zeroed(MAX_REPLIES);
        for index in 0..MAX_REPLIES {
            let header = &mut headers.value_mut(index).msg_hdr;
            header.msg_iov = iovecs.pointer(index);
            header.msg_iovlen = 1;
            header.msg_control = controls.pointer(index).cast();
        }
        Self { headers, iovecs, controls }
    }

    /// See [`super::DatagramIo::send`].
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        received: &Receiver,
        replies: &[Reply],
        on_result: &mut dyn FnMut(SendResult),
    ) {
        for replies in replies.chunks(MAX_REPLIES) {
            self.write_headers(received, replies);
            let to_split = self.send_headers(socket, replies, on_result);
            if !to_split.is_empty() {
                self.send(socket, received, &to_split, on_result);
            }
        }
    }

    /// Writes one header for each of `replies`.
    pub(super) fn write_headers(&mut self, received: &Receiver, replies: &[Reply]) {
        for (index, reply) in replies.iter().enumerate() {
            let payload = match &reply.payload {
                Payload::InPlace(range) => received.buffer_range(reply.request, range.clone()),
                Payload::Owned(payload) => payload,
            };
            // The kernel only reads the payload. The pointer stays valid, because the receiver and the replies are
            // borrowed until the replies are sent.
            let iovec = self.iovecs.value_mut(index);
            iovec.iov_base = payload.as_ptr().cast_mut().cast();
            iovec.iov_len = payload.len();
            let request = received.controls(reply.request);
            let controls_len = write_controls(self.controls.value_mut(index), request, reply);
            let header = &mut self.headers.value_mut(index).msg_hdr;
            (header.msg_name, header.msg_namelen) = received.name(reply.request);
            header.msg_controllen = controls_len as _;
        }
    }

    /// The headers for a simulated kernel.
    #[cfg(any(test, fuzzing))]
    pub(super) fn simulate_send(&self) -> &RawBuffer<libc::mmsghdr> {
        &self.headers
    }

    /// Sends `replies` with the headers from [`Self::write_headers`]. If the kernel cannot split a reply into
    /// datagrams, returns one reply for each datagram of that reply. The caller must send the returned
    /// replies.
    fn send_headers(
        &mut self,
        socket: &UdpSocket,
        replies: &[Reply],
        on_result: &mut dyn FnMut(SendResult),
    ) -> Vec<Reply> {
        let mut next = 0;
        let mut is_second_attempt = false;
        let mut to_split = Vec::new();
        while next < replies.len() {
            // SAFETY: every header points to a name, an iovec and a control buffer. The iovec points to a
            // payload. `self`, the receiver or a reply owns each of these buffers. The buffers have the
            // lengths stated in the header and the iovec. The kernel writes only the lengths in the headers, and
            // no reference to the headers is in use during the call.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers.pointer(next),
                    to_u32(replies.len() - next),
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(sent) = usize::try_from(sent) {
                let datagrams = replies[next..next + sent].iter().map(reply_datagrams).sum();
                on_result(SendResult::Accepted { datagrams });
                next += sent;
                is_second_attempt = false;
                continue;
            }
            let error = io::Error::last_os_error();
            let is_queue_full = error.kind() == io::ErrorKind::WouldBlock;
            // The error can belong to an earlier reply. The system reports such an error once, in the next
            // call. Therefore each refused reply is sent again once.
            if !is_second_attempt && !is_queue_full {
                is_second_attempt = true;
                continue;
            }
            is_second_attempt = false;
            let reply = &replies[next];
            next += 1;
            let datagrams = reply_datagrams(reply);
            if datagrams > 1 && !is_queue_full {
                // Usually, the kernel cannot split replies for this route: the MTU of the route is smaller
                // than the segments, or the network device does not compute checksums.
                to_split.extend(split(reply));
            } else {
                on_result(SendResult::Failed { datagrams, error });
            }
        }
        to_split
    }
}

/// Splits `reply` into one reply for each of its datagrams.
fn split(reply: &Reply) -> impl Iterator<Item = Reply> {
    // Only replies in place consist of several datagrams.
    let whole = match &reply.payload {
        Payload::InPlace(range) => range.clone(),
        Payload::Owned(_) => 0..0,
    };
    let (request, segment_size, hops) = (reply.request, reply.segment_size, reply.hops);
    whole.clone().step_by(segment_size).map(move |start| {
        let payload = Payload::InPlace(start..whole.end.min(start + segment_size));
        Reply { request, payload, segment_size, hops }
    })
}

/// Number of datagrams of a reply.
pub(super) fn reply_datagrams(reply: &Reply) -> u64 {
    datagram_count(reply.payload.len(), reply.segment_size)
}
