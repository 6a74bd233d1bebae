//! What the textbook's client does: a datagram from a socket that is not connected, and a wait.

use crate::model::exchange::UnconnectedResult;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an answer is waited for at most: what shows nothing by then shows nothing.
const LONGEST: Duration = Duration::from_secs(1);

/// Sends `question` to `peer` and waits.
pub(super) fn send_and_wait(
    peer: SocketAddr,
    bind: Option<IpAddr>,
    question: &[u8],
    patience: Duration,
) -> io::Result<UnconnectedResult> {
    let any = match peer {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((bind.unwrap_or(any), 0))?;
    let patience = patience.min(LONGEST);
    let begun = Instant::now();
    if let Err(error) = socket.send_to(question, peer) {
        return Ok(UnconnectedResult::Error(error.raw_os_error(), begun.elapsed()));
    }
    let mut buffer = [0; 2048];
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(UnconnectedResult::Timeout(patience));
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv_from(&mut buffer) {
            // Anybody can send to such a socket; the textbook's client would take it for the answer.
            Ok((_, from)) if from.ip() != peer.ip() => {}
            Ok(_) => return Ok(UnconnectedResult::Reply(begun.elapsed())),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                return Ok(UnconnectedResult::Error(error.raw_os_error(), begun.elapsed()));
            }
        }
    }
}
