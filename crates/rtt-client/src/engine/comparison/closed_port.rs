//! Sends one datagram from a connected and one from an unconnected socket to a closed port of this host.
//!
//! The experiment tests the claim that a UDP client gets an error when no server exists. The port was free a moment
//! before, and nothing leaves this host.

use crate::analysis::evidence::ClosedPort;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The longest wait for an error. On the own host, an error arrives within microseconds.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The content of the datagrams.
const MESSAGE: &[u8] = b"is a server listening?";

/// Sends one datagram from each kind of socket. Returns `None` if the system provides no socket, or if another
/// process has opened the port in the meantime.
pub(super) fn experiment() -> Option<ClosedPort> {
    let closed = {
        let temporary = socket().ok()?;
        temporary.local_addr().ok()?
    };
    let connected = socket().ok()?;
    connected.connect(closed).ok()?;
    let connected = error_after(&connected, |socket| socket.send(MESSAGE));
    let unconnected = socket().ok()?;
    let unconnected = error_after(&unconnected, |socket| socket.send_to(MESSAGE, closed));
    let [connected, unconnected] = [connected, unconnected].map(|answer| match answer {
        Answer::Error { after } => Some(Some(after)),
        Answer::Nothing => Some(None),
        Answer::Reply => None,
    });
    Some(ClosedPort { connected: connected?, unconnected: unconnected?, timeout: TIMEOUT })
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    Ok(socket)
}

/// What a socket receives after its datagram to a closed port.
enum Answer {
    Error {
        after: Duration,
    },
    Nothing,
    /// Another process has opened the port in the meantime.
    Reply,
}

/// Sends the datagram with `send` and waits for an error.
fn error_after(socket: &UdpSocket, send: impl FnOnce(&UdpSocket) -> io::Result<usize>) -> Answer {
    use io::ErrorKind::{TimedOut, WouldBlock};
    let start = Instant::now();
    match send(socket).and_then(|_| socket.recv(&mut [0; 64])) {
        Ok(_) => Answer::Reply,
        Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => Answer::Nothing,
        Err(_) => Answer::Error { after: start.elapsed() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_connected_socket_receives_an_error() {
        let result = experiment().expect("a loopback interface");
        assert!(result.connected.is_some(), "{result:?}");
        #[cfg(target_os = "linux")]
        assert_eq!(result.unconnected, None);
    }
}
