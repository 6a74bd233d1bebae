//! [`OtherSources`]: receives datagrams that arrive at the local address and port of a connected socket, but from other
//! addresses than the peer's.
//!
//! The kernel passes a datagram to the socket that matches it best (`compute_score`, net/ipv4/udp.c). A connected socket
//! matches only datagrams of its peer, and then better than a socket that is not connected. So a second socket with the
//! same local address receives all other datagrams, and takes none of the peer's. The kernel allows two sockets with
//! the same address if both have `SO_REUSEADDR` (socket(7)).
//!
//! The first socket has the option only while the second one is bound. Otherwise, the kernel could choose the same local
//! port for the socket of another process.

use crate::net::socket::set_option;
use crate::net::transport::{MAX_OTHER_DATAGRAMS, OtherDatagram};
use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::UdpSocket;

/// The size of the program's buffer, in bytes. No datagram is longer.
const BUFFER_LEN: usize = 65_536;

/// The second socket.
#[derive(Debug)]
pub(in crate::protocol::udp) struct OtherSources {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl OtherSources {
    /// Opens the second socket for a datagram socket that is already connected.
    ///
    /// # Errors
    ///
    /// The system refuses to create or bind the second socket.
    pub(in crate::protocol::udp) fn open(connected: &Socket) -> io::Result<Self> {
        let local = connected.local_addr()?;
        let domain = local.as_socket().map_or(Domain::IPV4, Domain::for_address);
        let socket = Socket::new(domain, Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        let reuse = |socket: &Socket, value| {
            set_option("SO_REUSEADDR", value, || socket.set_reuse_address(value))
                .map_err(|error| error.error)
        };
        reuse(&socket, true)?;
        reuse(connected, true)?;
        let bound = socket.bind(&local);
        reuse(connected, false)?;
        bound?;
        reuse(&socket, false)?;
        Ok(Self { socket: socket.into(), buffer: Vec::new() })
    }

    /// The datagrams that arrived since the last call, at most [`MAX_OTHER_DATAGRAMS`].
    pub(in crate::protocol::udp) fn receive(&mut self) -> Vec<OtherDatagram> {
        self.buffer.resize(BUFFER_LEN, 0);
        let mut datagrams = Vec::new();
        while datagrams.len() < MAX_OTHER_DATAGRAMS {
            let Ok((length, from)) = self.socket.recv_from(&mut self.buffer) else { break };
            let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
            datagrams.push(OtherDatagram { from, bytes });
        }
        datagrams
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    fn bound() -> UdpSocket {
        UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap()
    }

    #[test]
    fn datagrams_of_the_peer_reach_only_the_connected_socket() {
        let (peer, stranger, connected) = (bound(), bound(), bound());
        connected.connect(peer.local_addr().unwrap()).unwrap();
        connected.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let connected = Socket::from(connected);
        let mut others = OtherSources::open(&connected).unwrap();
        let connected = UdpSocket::from(connected);
        let local = connected.local_addr().unwrap();
        for number in 0..100_u8 {
            stranger.send_to(&[number, 1], local).unwrap();
            peer.send_to(&[number], local).unwrap();
            let mut buffer = [0; 8];
            assert_eq!(connected.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], number);
        }
        let received = others.receive();
        assert_eq!(received.len(), 100);
        let from = stranger.local_addr().unwrap();
        assert!(received.iter().all(|other| other.from == from && other.bytes.len() == 2));
        assert!(others.receive().is_empty());
    }

    #[test]
    fn number_of_datagrams_is_bounded() {
        let (peer, stranger, connected) = (bound(), bound(), bound());
        connected.connect(peer.local_addr().unwrap()).unwrap();
        let connected = Socket::from(connected);
        let mut others = OtherSources::open(&connected).unwrap();
        let local = connected.local_addr().unwrap().as_socket().unwrap();
        for _ in 0..MAX_OTHER_DATAGRAMS + 8 {
            stranger.send_to(b"x", local).unwrap();
        }
        assert!(others.receive().len() <= MAX_OTHER_DATAGRAMS);
    }

    #[test]
    fn no_other_socket_can_use_the_local_port() {
        let (peer, connected) = (bound(), bound());
        connected.connect(peer.local_addr().unwrap()).unwrap();
        let connected = Socket::from(connected);
        let _others = OtherSources::open(&connected).unwrap();
        let third = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        third.set_reuse_address(true).unwrap();
        assert!(third.bind(&connected.local_addr().unwrap()).is_err());
    }
}
