//! Many TCP connections, each with some requests in flight.

use super::{Answered, Count};
use crate::floor::SIZE;
use anyhow::{Result, ensure};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(target_os = "linux")]
pub(super) fn connections(
    address: SocketAddr,
    connections: usize,
    depth: usize,
    lasting: Duration,
) -> Result<Answered> {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

    let requests = vec![b'x'; SIZE * depth];
    let mut reply = vec![0; requests.len()];
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let mut streams = Vec::new();
    for number in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        // How many bytes of the replies have come.
        streams.push((stream, 0));
    }
    for (stream, _) in &mut streams {
        stream.write_all(&requests)?;
    }
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut count = Count::of(lasting);
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        let (mut replies, mut wrong) = (0, 0);
        for event in &events[..ready] {
            let (stream, read) = &mut streams[usize::try_from(event.data())?];
            let length = match stream.read(&mut reply[*read..]) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            ensure!(length > 0, "the server closed a connection");
            wrong += u64::from(reply[*read..*read + length].iter().any(|byte| *byte != b'X'));
            *read += length;
            if *read == requests.len() {
                *read = 0;
                replies += depth as u64;
                stream.write_all(&requests)?;
            }
        }
        if !count.add(replies, wrong) {
            return Ok(count.answered);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn connections(_: SocketAddr, _: usize, _: usize, _: Duration) -> Result<Answered> {
    anyhow::bail!("this load needs Linux")
}

/// As many connections as may be open, up to `most`, each of which has asked once; prints how many, and keeps
/// them until its input ends.
#[cfg(unix)]
pub(super) fn idle(address: SocketAddr, most: usize) -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    // Some for everything else.
    let most = most.min(usize::try_from(hard)?.saturating_sub(100));
    let mut streams = Vec::new();
    for _ in 0..most {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"hello")?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply)?;
        ensure!(&reply == b"HELLO", "a wrong reply");
        streams.push(stream);
    }
    println!("{}", streams.len());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn idle(_: SocketAddr, _: usize) -> Result<()> {
    anyhow::bail!("this load needs Unix")
}
