//! The servers of the floor. Each server has one thread and one buffer, and converts only ASCII to upper case.

use super::{Waiting, retry};
use crate::protocol::Protocol;
use anyhow::{Result, bail};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

/// The size of the buffer in bytes. Every datagram fits into it.
const BUFFER_SIZE: usize = 65_536;

/// Prints the server's address and answers requests. Returns only after an error.
pub(super) fn run(protocol: Protocol, waiting: Waiting) -> Result<()> {
    let is_nonblocking = waiting == Waiting::Spin;
    match (protocol, waiting) {
        (Protocol::Tcp, Waiting::Epoll) => serve_tcp_with_epoll(),
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

/// Serves the connections one after another.
fn serve_tcp(is_nonblocking: bool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("floor listening on {}", listener.local_addr()?);
    let mut text = vec![0; BUFFER_SIZE];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(is_nonblocking)?;
        // After an error or the end of the stream, the server accepts the next connection.
        while let Ok(length @ 1..) = retry(|| stream.read(&mut text)) {
            text[..length].make_ascii_uppercase();
            if stream.write_all(&text[..length]).is_err() {
                break;
            }
        }
    }
}

/// Serves many connections with epoll, as in the example of epoll(7).
#[cfg(target_os = "linux")]
fn serve_tcp_with_epoll() -> Result<()> {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    use std::os::fd::AsRawFd as _;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("floor listening on {}", listener.local_addr()?);
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    // The number 0 identifies the listener. Descriptor 0 is stdin, so no connection has this number.
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    // The index is the descriptor, because descriptors are small numbers.
    let mut streams = Vec::new();
    let mut text = vec![0; BUFFER_SIZE];
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == 0 {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let descriptor = usize::try_from(stream.as_raw_fd())?;
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, descriptor as u64))?;
                if streams.len() <= descriptor {
                    streams.resize_with(descriptor + 1, || None);
                }
                streams[descriptor] = Some(stream);
                continue;
            }
            let slot = &mut streams[usize::try_from(event.data())?];
            let Some(stream) = slot else { continue };
            let answered = stream.read(&mut text).and_then(|length| {
                text[..length].make_ascii_uppercase();
                stream.write_all(&text[..length]).map(|()| length)
            });
            // The connection closes at the end of the stream, after an error, or if the peer does not read.
            if !matches!(answered, Ok(1..)) {
                *slot = None;
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn serve_tcp_with_epoll() -> Result<()> {
    bail!("epoll needs Linux")
}
