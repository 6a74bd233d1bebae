//! Taking datagrams from a socket, with the kernel's stamps once a client has asked for a timing.

use bytes::BytesMut;
use echo_service::{Since, StampedReceiver};
use std::net::SocketAddr;
use std::{io, time::Instant};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Room for the longest datagram there is: its length field has 16 bits (RFC 768).
const LONGEST_DATAGRAM: usize = 65_536;

/// A socket and the datagram that was taken from it last.
pub(crate) struct Inbox {
    pub(crate) socket: UdpSocket,
    pub(crate) text: BytesMut,
    stamped: Option<Stamped>,
}

struct Stamped {
    receiver: StampedReceiver,
    /// Its system call wants bytes that have been written before; the text's have not.
    scratch: Box<[u8]>,
}

impl Inbox {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self { socket, text: BytesMut::with_capacity(LONGEST_DATAGRAM), stamped: None }
    }

    /// Takes the next datagram, without waiting. Returns who sent it, and since when it is here.
    pub(crate) fn take(&mut self) -> io::Result<(SocketAddr, Since)> {
        self.text.clear();
        let Some(Stamped { receiver, scratch }) = &mut self.stamped else {
            // Upper-casing may have left a smaller buffer behind.
            self.text.reserve(LONGEST_DATAGRAM);
            let (_, peer) = self.socket.try_recv_buf_from(&mut self.text)?;
            return Ok((peer, Since::Program(Instant::now())));
        };
        let socket = &self.socket;
        let received = socket.try_io(Interest::READABLE, || receiver.receive(socket, scratch))?;
        self.text.extend_from_slice(&scratch[..received.length]);
        let peer = received.peer.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok((peer, received.since))
    }

    /// Has the kernel stamp what comes from now on, if it does not already and can.
    pub(crate) fn stamp(&mut self) {
        if self.stamped.is_none() {
            self.stamped = StampedReceiver::new(&self.socket).map(|receiver| {
                let scratch = vec![0; LONGEST_DATAGRAM].into_boxed_slice();
                Stamped { receiver, scratch }
            });
        }
    }
}
