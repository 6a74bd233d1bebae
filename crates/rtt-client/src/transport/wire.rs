//! A socket with its receiving side and its buffer: what every protocol over sockets has.

use super::Received;
use crate::system::{Inlet, InletConfig, Notice, Until};
use echo_core::Stamp;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Room for the longest datagram and a byte more, so that none is cut without being noticed; a stream
/// is read in pieces of this length.
const BUFFER: usize = 65_536;

pub(super) struct Wire {
    pub(super) socket: Socket,
    pub(super) inlet: Inlet,
    buffer: Box<[u8]>,
}

impl Wire {
    /// A socket towards `peer`, bound and set up, not yet connected.
    pub(super) fn new(
        peer: SocketAddr,
        kind: Type,
        bind: Option<IpAddr>,
        config: InletConfig,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(peer), kind, None)?;
        if let Some(address) = bind {
            // Not to be taken for something about the peer.
            let told = |error| io::Error::other(format!("binding to {address}: {error}"));
            socket.bind(&SocketAddr::new(address, 0).into()).map_err(told)?;
        }
        let inlet = Inlet::new(&socket, config)?;
        Ok(Self { socket, inlet, buffer: vec![0; BUFFER].into_boxed_slice() })
    }

    /// This side's address; the unspecified one if the system does not tell.
    pub(super) fn local(&self) -> SocketAddr {
        let address = self.socket.local_addr().ok().and_then(|address| address.as_socket());
        address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// What the network has said since the last time.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        self.inlet.notices(&self.socket)
    }

    /// Waits for something to arrive. No bytes are bytes too: what they mean is the protocol's to say.
    pub(super) fn receive(&mut self, until: Until) -> io::Result<Received<'_>> {
        let Some(arrived) = self.inlet.receive(&self.socket, &mut self.buffer, until)? else {
            return Ok(Received::Nothing);
        };
        let received = Stamp::just_after();
        let bytes = &self.buffer[..arrived.length];
        Ok(Received::Bytes { received, stamp: arrived.stamp, bytes })
    }
}
