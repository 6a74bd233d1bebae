//! A socket with its receiving side and its buffer: what every protocol over sockets has.

use crate::net::system::{NetworkError, ReceiveConfig, Receiver, WaitUntil};
use crate::net::transport::Received;
use echo_core::Stamp;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Room for the longest datagram and a byte more, so that none is cut without being noticed; a stream
/// is read in pieces of this length.
const BUFFER: usize = 65_536;

pub(crate) struct BufferedSocket {
    pub(crate) socket: Socket,
    pub(crate) receiver: Receiver,
    buffer: Box<[u8]>,
}

impl BufferedSocket {
    /// A socket towards `peer`, bound and set up, not yet connected.
    pub(crate) fn new(
        peer: SocketAddr,
        kind: Type,
        bind: Option<IpAddr>,
        config: ReceiveConfig,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(peer), kind, None)?;
        if let Some(address) = bind {
            // Not to be taken for something about the peer.
            let told = |error| io::Error::other(format!("binding to {address}: {error}"));
            socket.bind(&SocketAddr::new(address, 0).into()).map_err(told)?;
        }
        let receiver = Receiver::new(&socket, config)?;
        Ok(Self { socket, receiver, buffer: vec![0; BUFFER].into_boxed_slice() })
    }

    /// This side's address; the unspecified one if the system does not tell.
    pub(crate) fn local(&self) -> SocketAddr {
        let address = self.socket.local_addr().ok().and_then(|address| address.as_socket());
        address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// What the network has said since the last time.
    pub(crate) fn network_errors(&mut self) -> Vec<NetworkError> {
        self.receiver.network_errors(&self.socket)
    }

    /// Waits for something to arrive. No bytes are bytes too: what they mean is the protocol's to say.
    pub(crate) fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let Some(arrived) = self.receiver.receive(&self.socket, &mut self.buffer, until)? else {
            return Ok(Received::Nothing);
        };
        let received = Stamp::just_after();
        let bytes = &self.buffer[..arrived.length];
        Ok(Received::Bytes { received, timestamp: arrived.stamp, bytes })
    }
}
