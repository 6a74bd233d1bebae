//! The state of a server before a soak test.
//!
//! A server prints its address as soon as it can receive requests. It opens further descriptors later, for example
//! those of its workers. A server that answers has opened all of them.

use super::honest;
use super::state::ServerState;
use crate::protocol::Protocol;
use anyhow::{Context as _, Result, ensure};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const REQUEST: &[u8] = b"ready?";

const REPLY: &[u8] = b"READY?";

/// Waits until the server at `server` answers a request. Then calls `read`, and returns the state without the
/// connection of this request.
pub(super) fn read(
    protocol: Protocol,
    server: SocketAddr,
    read: impl FnOnce() -> Result<ServerState>,
) -> Result<ServerState> {
    // The connection stays open until the end of this function. After a close, the server would need an unknown time to
    // close its descriptor.
    let connection = exchange(protocol, server)
        .with_context(|| format!("the first request to {}", protocol.server()))?;
    let mut state = read()?;
    state.descriptors -= usize::from(connection.is_some());
    Ok(state)
}

/// Sends a request and waits for its reply. Returns the connection, if the protocol uses one.
fn exchange(protocol: Protocol, server: SocketAddr) -> Result<Option<TcpStream>> {
    let mut reply = [0; REPLY.len()];
    let connection = match protocol {
        Protocol::Udp => {
            let socket = honest::udp_socket(server, SOURCE)?;
            socket.set_read_timeout(Some(honest::TIMEOUT))?;
            socket.send(REQUEST)?;
            socket.recv(&mut reply)?;
            None
        }
        Protocol::Tcp => {
            let mut stream = honest::connect(server, SOURCE)?;
            stream.write_all(REQUEST)?;
            stream.read_exact(&mut reply)?;
            Some(stream)
        }
    };
    ensure!(reply == REPLY, "the server sent a wrong reply");
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    /// The descriptors that the server of a test has opened when it prints its address.
    const EARLY: usize = 10;

    /// The descriptors that it has opened when it sends its first reply. The connection is not included.
    const ALL: usize = 12;

    #[test]
    fn descriptors_that_a_tcp_server_opens_late_count_and_the_connection_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let descriptors = AtomicUsize::new(EARLY);
        let state = thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                descriptors.store(ALL + 1, SeqCst);
                stream.read_exact(&mut [0; REQUEST.len()]).unwrap();
                stream.write_all(REPLY).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                descriptors.store(ALL, SeqCst);
            });
            read(Protocol::Tcp, address, || Ok(ServerState::new(0, descriptors.load(SeqCst))))
        });
        assert_eq!(state.unwrap().descriptors, ALL);
    }

    #[test]
    fn descriptors_that_a_udp_server_opens_late_count() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let descriptors = AtomicUsize::new(EARLY);
        let state = thread::scope(|scope| {
            scope.spawn(|| {
                let (_, client) = socket.recv_from(&mut [0; REQUEST.len()]).unwrap();
                descriptors.store(ALL, SeqCst);
                socket.send_to(REPLY, client).unwrap();
            });
            read(Protocol::Udp, address, || Ok(ServerState::new(0, descriptors.load(SeqCst))))
        });
        assert_eq!(state.unwrap().descriptors, ALL);
    }

    #[test]
    fn wrong_reply_is_an_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let state = thread::scope(|scope| {
            scope.spawn(|| {
                let (_, client) = socket.recv_from(&mut [0; REQUEST.len()]).unwrap();
                socket.send_to(REQUEST, client).unwrap();
            });
            read(Protocol::Udp, address, || Ok(ServerState::new(0, ALL)))
        });
        assert!(state.is_err());
    }
}
