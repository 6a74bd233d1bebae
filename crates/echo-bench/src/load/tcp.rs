//! The TCP loads: connections with requests in flight, and idle connections.

use super::LoadResult;
use anyhow::{Result, ensure};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends `depth` requests at once on each of `connections` connections. When all replies on a connection
/// have arrived, sends the next requests on this connection.
#[cfg(target_os = "linux")]
pub(super) fn run(
    address: SocketAddr,
    connections: usize,
    depth: usize,
    duration: Duration,
) -> Result<LoadResult> {
    use super::{Counter, Progress};
    use crate::floor::SIZE;
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    use std::io::ErrorKind;

    struct Connection {
        stream: TcpStream,
        /// The number of bytes received since the last requests were sent.
        received: usize,
    }

    let requests = vec![b'x'; SIZE * depth];
    let mut reply = vec![0; requests.len()];
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let mut open = Vec::new();
    for number in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        open.push(Connection { stream, received: 0 });
    }
    for connection in &mut open {
        connection.stream.write_all(&requests)?;
    }
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut counter = Counter::new(duration);
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        let (mut replies, mut wrong) = (0, 0);
        for event in &events[..ready] {
            let Connection { stream, received } = &mut open[usize::try_from(event.data())?];
            let length = match stream.read(&mut reply[*received..]) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            ensure!(length > 0, "the server closed a connection");
            let new = &reply[*received..*received + length];
            wrong += u64::from(new.iter().any(|byte| *byte != b'X'));
            *received += length;
            if *received == requests.len() {
                *received = 0;
                replies += depth as u64;
                stream.write_all(&requests)?;
            }
        }
        if counter.add(replies, wrong) == Progress::Finished {
            return Ok(counter.result);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run(_: SocketAddr, _: usize, _: usize, _: Duration) -> Result<LoadResult> {
    anyhow::bail!("the TCP load needs Linux")
}

/// The number of descriptors that remain for other uses in this process.
#[cfg(unix)]
const RESERVED_DESCRIPTORS: usize = 100;

/// Opens `connections` connections, or fewer if the limit on open files is lower. Makes one exchange on each
/// connection, and prints the number of connections. Keeps the connections open until stdin ends.
#[cfg(unix)]
pub(super) fn hold_idle(address: SocketAddr, connections: usize) -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let limit = usize::try_from(hard)?.saturating_sub(RESERVED_DESCRIPTORS);
    let mut streams = Vec::new();
    for _ in 0..connections.min(limit) {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"hello")?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply)?;
        ensure!(&reply == b"HELLO", "the server sent a wrong reply");
        streams.push(stream);
    }
    println!("{}", streams.len());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn hold_idle(_: SocketAddr, _: usize) -> Result<()> {
    anyhow::bail!("the idle load needs Unix")
}
