//! What a datagram to nobody comes to, on a connected and on an unconnected socket. It goes to a port of
//! this host that was free a moment ago, and to nowhere else.

use crate::evidence::Nobody;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an error is waited for: on one's own host it takes microseconds.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends one datagram from each kind of socket; nothing, if this host gives no socket for it.
pub(super) fn experiment() -> Option<Nobody> {
    let nobody = {
        let somebody = socket().ok()?;
        somebody.local_addr().ok()?
    };
    let connected = socket().ok()?;
    connected.connect(nobody).ok()?;
    let after_connected = told(&connected, |socket| socket.send(b"is anybody there?"))?;
    let unconnected = socket().ok()?;
    let after_unconnected =
        told(&unconnected, |socket| socket.send_to(b"is anybody there?", nobody))?;
    Some(Nobody { connected: after_connected, unconnected: after_unconnected, waited: PATIENCE })
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// After how long the system told of an error, if it did. Nothing at all, if somebody answers after all.
fn told(
    socket: &UdpSocket,
    send: impl FnOnce(&UdpSocket) -> io::Result<usize>,
) -> Option<Option<Duration>> {
    let begun = Instant::now();
    let result = send(socket).and_then(|_| socket.recv(&mut [0; 64]));
    match result {
        Ok(_) => None,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Some(None)
        }
        Err(_) => Some(Some(begun.elapsed())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_of_on_a_connected_socket() {
        let nobody = experiment().expect("a loopback interface");
        assert!(nobody.connected.is_some(), "{nobody:?}");
        #[cfg(target_os = "linux")]
        assert_eq!(nobody.unconnected, None);
    }
}
