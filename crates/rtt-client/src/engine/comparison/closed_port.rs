//! What a datagram to nobody comes to, on a connected and on an unconnected socket. It goes to a port of
//! this host that was free a moment ago, and to nowhere else.

use crate::analysis::evidence::ClosedPort;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an error is waited for: on one's own host it takes microseconds.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends one datagram from each kind of socket; nothing, if this host gives no socket for it.
pub(super) fn experiment() -> Option<ClosedPort> {
    let closed_port = {
        let somebody = socket().ok()?;
        somebody.local_addr().ok()?
    };
    let connected = socket().ok()?;
    connected.connect(closed_port).ok()?;
    let by_connected = Answer::to(&connected, |socket| socket.send(b"is anybody there?"));
    let unconnected = socket().ok()?;
    let by_unconnected =
        Answer::to(&unconnected, |socket| socket.send_to(b"is anybody there?", closed_port));
    let [connected, unconnected] = [by_connected, by_unconnected].map(|answer| match answer {
        Answer::Error(after) => Some(Some(after)),
        Answer::Nothing => Some(None),
        Answer::Somebody => None,
    });
    Some(ClosedPort { connected: connected?, unconnected: unconnected?, timeout: PATIENCE })
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// What came back from where nobody was.
enum Answer {
    /// An error, after so long.
    Error(Duration),
    Nothing,
    /// Somebody has taken the port meanwhile.
    Somebody,
}

impl Answer {
    fn to(socket: &UdpSocket, send: impl FnOnce(&UdpSocket) -> io::Result<usize>) -> Self {
        use io::ErrorKind::{TimedOut, WouldBlock};
        let begun = Instant::now();
        match send(socket).and_then(|_| socket.recv(&mut [0; 64])) {
            Ok(_) => Self::Somebody,
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => Self::Nothing,
            Err(_) => Self::Error(begun.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_of_on_a_connected_socket() {
        let closed_port = experiment().expect("a loopback interface");
        assert!(closed_port.connected.is_some(), "{closed_port:?}");
        #[cfg(target_os = "linux")]
        assert_eq!(closed_port.unconnected, None);
    }
}
