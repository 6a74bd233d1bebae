//! The UDP client of the textbook: its socket is not connected. It sends one datagram and waits for a reply.

use crate::model::exchange::UnconnectedResult;
use crate::net::socket::set_hop_limit;
use crate::net::system::MAX_PAUSE;
use crate::net::transport::OpenConfig;
use bytes::BytesMut;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::debug;

/// The maximum duration of the wait. After this time, no reply and no error is expected.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The size of the receive buffer, in bytes. Requests are shorter.
const BUFFER_LEN: usize = 2048;

/// Sends `request` to `peer` and waits for a reply or an error.
///
/// # Errors
///
/// The system cannot create, bind or configure the socket.
pub(super) fn send_and_wait(
    peer: SocketAddr,
    config: &OpenConfig<'_>,
    request: &[u8],
) -> io::Result<UnconnectedResult> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(config.bind.unwrap_or(any))?;
    if let Some(ttl) = config.ttl {
        set_hop_limit(&SockRef::from(&socket), peer, ttl).map_err(|error| error.error)?;
    }
    debug!(%peer, local = ?socket.local_addr().ok(), "unconnected socket bound");
    let timeout = config.receiver.timeout.min(MAX_WAIT);
    let start = Instant::now();
    if let Err(error) = socket.send_to(request, peer) {
        return Ok(UnconnectedResult::Error(error.raw_os_error(), start.elapsed()));
    }
    let mut correct_reply = BytesMut::from(request);
    echo_core::uppercase(&mut correct_reply);
    let mut buffer = [0; BUFFER_LEN];
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() || config.stop.load(Ordering::Relaxed) {
            return Ok(UnconnectedResult::Timeout(timeout));
        }
        socket.set_read_timeout(Some(left.min(MAX_PAUSE)))?;
        match socket.recv_from(&mut buffer) {
            // A socket that is not connected receives datagrams from every host. The textbook client accepts each of them.
            // Only a correct reply can be from the server.
            Ok((length, from))
                if from.ip() != peer.ip() && buffer[..length] != correct_reply[..] => {}
            Ok(_) => return Ok(UnconnectedResult::Reply(start.elapsed())),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Ok(UnconnectedResult::Error(error.raw_os_error(), start.elapsed())),
            },
        }
    }
}
