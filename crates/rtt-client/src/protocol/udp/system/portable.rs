//! UDP on systems other than Linux.

use crate::net::transport::OtherDatagram;
use socket2::Socket;
use std::io::{self, ErrorKind};

/// This system does not report datagrams with a wrong checksum.
pub(in crate::protocol::udp) fn checksum_errors() -> Option<u64> {
    None
}

/// Receives datagrams from other addresses than the peer's. On this system, a second socket could receive datagrams of the
/// peer, so it is not available.
#[derive(Debug)]
pub(in crate::protocol::udp) struct OtherSources {}

impl OtherSources {
    pub(in crate::protocol::udp) fn open(_: &Socket) -> io::Result<Self> {
        Err(io::Error::new(ErrorKind::Unsupported, "not available on this system"))
    }

    #[expect(clippy::unused_self, reason = "the signature of `linux`")]
    pub(in crate::protocol::udp) fn receive(&mut self) -> Vec<OtherDatagram> {
        Vec::new()
    }
}
