//! The servers of the floor: one thread, one buffer, upper case for ASCII only.

use super::{Waiting, epoll, retry};
use crate::protocol::Protocol;
use anyhow::{Result, bail};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

/// The size of the buffer in bytes: larger than any datagram.
pub(super) const BUFFER_SIZE: usize = 65_536;

/// Prints the address and answers requests until the process is ended.
pub(super) fn run(protocol: Protocol, waiting: Waiting) -> Result<()> {
    let is_nonblocking = waiting == Waiting::Spin;
    match (protocol, waiting) {
        (Protocol::Tcp, Waiting::Epoll) => epoll::serve(),
        (Protocol::Udp, Waiting::Epoll) => bail!("the UDP server of the floor does not use epoll"),
        (Protocol::Udp, _) => serve_udp(is_nonblocking),
        (Protocol::Tcp, _) => serve_tcp(is_nonblocking),
    }
}

fn serve_udp(is_nonblocking: bool) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("floor listening on {}", socket.local_addr()?);
    socket.set_nonblocking(is_nonblocking)?;
    let mut text = vec![0; BUFFER_SIZE];
    loop {
        let (length, peer) = retry(|| socket.recv_from(&mut text))?;
        text[..length].make_ascii_uppercase();
        socket.send_to(&text[..length], peer)?;
    }
}

/// Serves one connection at a time.
fn serve_tcp(is_nonblocking: bool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("floor listening on {}", listener.local_addr()?);
    let mut text = vec![0; BUFFER_SIZE];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(is_nonblocking)?;
        // An error has the same effect as the end of the stream: the next connection.
        while let Ok(length @ 1..) = retry(|| stream.read(&mut text)) {
            text[..length].make_ascii_uppercase();
            if stream.write_all(&text[..length]).is_err() {
                break;
            }
        }
    }
}
