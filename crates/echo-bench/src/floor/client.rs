//! The client of the floor. It has one request in flight at a time.

use super::{SIZE, Waiting, retry};
use crate::protocol::Protocol;
use anyhow::{Result, bail, ensure};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

/// The number of exchanges before the measurement. They fill the caches of the CPU.
const WARM_UP: usize = 1000;

/// Measures `count` exchanges and prints the median RTT in nanoseconds.
pub(super) fn run(
    protocol: Protocol,
    waiting: Waiting,
    address: SocketAddr,
    count: usize,
) -> Result<()> {
    ensure!(count > 0, "the floor needs at least one exchange");
    let is_nonblocking = match waiting {
        Waiting::Block => false,
        Waiting::Spin => true,
        Waiting::Epoll => bail!("the client of the floor does not use epoll"),
    };
    match protocol {
        Protocol::Udp => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(address)?;
            socket.set_nonblocking(is_nonblocking)?;
            measure(count, |text| {
                socket.send(text)?;
                retry(|| socket.recv(text)).map(|_| ())
            })
        }
        Protocol::Tcp => {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(is_nonblocking)?;
            measure(count, |text| {
                stream.write_all(text)?;
                let mut received = 0;
                while received < text.len() {
                    received += retry(|| stream.read(&mut text[received..]))?;
                }
                Ok(())
            })
        }
    }
}

fn measure(count: usize, mut exchange: impl FnMut(&mut [u8]) -> io::Result<()>) -> Result<()> {
    let mut text = [b'x'; SIZE];
    let mut rtts = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let start = Instant::now();
        exchange(&mut text)?;
        if number >= WARM_UP {
            rtts.push(start.elapsed());
        }
    }
    rtts.sort_unstable();
    println!("{}", rtts[rtts.len() / 2].as_nanos());
    Ok(())
}
