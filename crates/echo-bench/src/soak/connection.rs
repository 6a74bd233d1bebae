//! Sockets with a source address that the caller selects. The addresses of 127.0.0.0/8 stand for different hosts.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// The timeout of honest clients for a new connection. It contains one retransmission of the SYN after one second (RFC
/// 6298), which is necessary if the server's queue of new connections was full.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a connection from the address `source` and a port that the system chooses.
pub(super) fn connect(server: SocketAddr, source: IpAddr) -> io::Result<TcpStream> {
    connect_within(CONNECT_TIMEOUT, new_socket()?, server, source)
}

/// A socket for [`connect_within`].
pub(super) fn new_socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, None)
}

/// Connects `socket` like [`connect`], with another timeout.
pub(super) fn connect_within(
    timeout: Duration,
    socket: Socket,
    server: SocketAddr,
    source: IpAddr,
) -> io::Result<TcpStream> {
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&server.into(), timeout)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns a socket with the address `source` for requests to `server`. The server does not reply to its own port, so
/// the socket has another port.
pub(super) fn udp_socket(server: SocketAddr, source: IpAddr) -> io::Result<UdpSocket> {
    let socket = with_other_port(server.port(), || UdpSocket::bind((source, 0)))?;
    socket.connect(server)?;
    Ok(socket)
}

/// Returns a socket from `bind` whose port is not `refused`.
fn with_other_port(
    refused: u16,
    mut bind: impl FnMut() -> io::Result<UdpSocket>,
) -> io::Result<UdpSocket> {
    let socket = bind()?;
    if socket.local_addr()?.port() == refused {
        // The system does not select the port of `socket`, because `socket` is still open.
        return bind();
    }
    Ok(socket)
}

/// The address of the source with the number `index`: 127.`first`.`index`.1. Each source is in a different /24 network.
/// Every 256 networks, the second byte increases.
pub(super) fn source(first: u8, index: usize) -> IpAddr {
    let [.., high, low] = index.to_be_bytes();
    IpAddr::from([127, first + high, low, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_of_a_client_has_another_port_than_the_server() {
        let bind = || UdpSocket::bind("127.0.0.1:0");
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let first = bind().unwrap();
        let (first_port, mut sockets) = (port(&first), vec![first]);
        let other = with_other_port(first_port, || sockets.pop().map_or_else(bind, Ok)).unwrap();
        assert_ne!(port(&other), first_port);
        let mut sockets = vec![other];
        let same = with_other_port(first_port, || sockets.pop().map_or_else(bind, Ok)).unwrap();
        assert!(sockets.is_empty());
        assert_ne!(port(&same), first_port);
    }

    #[test]
    fn sources_are_in_different_networks() {
        assert_eq!(source(66, 0), IpAddr::from([127, 66, 0, 1]));
        assert_eq!(source(66, 255), IpAddr::from([127, 66, 255, 1]));
        assert_eq!(source(66, 1023), IpAddr::from([127, 69, 255, 1]));
    }
}
