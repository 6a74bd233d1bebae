//! What every system has: one datagram a call. Neither its hops are told, nor the address that it was sent
//! to, nor when the kernel received it.

use super::{Arrival, LONGEST_DATAGRAM, Reply, Sent, Text, Wait};
use echo_service::ArrivalTime;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long sending waits at most where the system's queue is full: the shortest time that all systems know.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Place for one datagram.
pub(crate) struct Packets {
    text: Vec<u8>,
    arrived: Option<(usize, SocketAddr)>,
    read: Instant,
    /// Whether the socket is in the state of waiting.
    waits: bool,
}

impl Packets {
    pub(crate) fn new() -> Self {
        Self { text: vec![0; LONGEST_DATAGRAM], arrived: None, read: Instant::now(), waits: true }
    }

    /// Nothing more can be told here. That sending does not wait for long has to be asked for.
    pub(crate) fn prepare(socket: &UdpSocket, _: SocketAddr) {
        // Where it can't be, sending waits for the system's queue.
        let _ = socket.set_write_timeout(Some(SHORTEST_WAIT));
    }

    /// There are no stamps here: replies tell the program's own time.
    pub(crate) fn stamp(_: &UdpSocket) {}

    /// Takes what has arrived at `socket`. Returns how many pieces.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.arrived = None;
        let waits = wait == Wait::ForOne;
        if self.waits != waits {
            socket.set_nonblocking(!waits)?;
            self.waits = waits;
        }
        self.arrived = Some(socket.recv_from(&mut self.text)?);
        self.read = Instant::now();
        Ok(1)
    }

    /// What is told of the piece `number`.
    pub(crate) fn arrival(&self, _number: usize) -> Option<Arrival> {
        let (length, peer) = self.arrived?;
        let since = ArrivalTime::Program(self.read);
        Some(Arrival { peer, to_many: false, hops: None, length, each: length.max(1), since })
    }

    /// The text of the piece `number`.
    pub(crate) fn text(&mut self, _number: usize) -> &mut [u8] {
        let length = self.arrived.map_or(0, |(length, _)| length);
        &mut self.text[..length]
    }

    /// Sends `replies` to where the piece that they answer came from, and tells what became of each. It does
    /// not wait long where a send buffer is full: the peer that filled it would make all others wait too.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        replies: &[Reply],
        told: &mut dyn FnMut(Sent),
    ) {
        let Some((_, peer)) = self.arrived else { return };
        for reply in replies {
            let text = match &reply.text {
                Text::InPlace(range) => &self.text[range.clone()],
                Text::Apart(text) => text,
            };
            let sent = socket.send_to(text, peer).or_else(|error| match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(error),
                // The error may be an earlier reply's, handed up at the next chance; it has been by now.
                _ => socket.send_to(text, peer),
            });
            told(sent.map_or_else(|error| Sent::Refused(1, error), |_| Sent::Taken(1)));
        }
    }
}
