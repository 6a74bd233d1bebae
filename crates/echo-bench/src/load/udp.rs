//! Many UDP peers with a few requests in flight each.

use super::{Counter, LoadResult, Progress};
use anyhow::Result;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The number of peers.
const PEERS: usize = 64;

/// The number of requests in flight of each peer. All peers together have 256.
const MAX_IN_FLIGHT: usize = 4;

/// After this time without any reply, the requests in flight count as lost. On loopback, a datagram is lost only if
/// a receive queue is full.
const LOSS_TIMEOUT: Duration = Duration::from_millis(100);

struct Peer {
    socket: UdpSocket,
    in_flight: usize,
}

pub(super) fn run(address: SocketAddr, size: usize, duration: Duration) -> Result<LoadResult> {
    let request = vec![b'x'; size];
    let expected = request.to_ascii_uppercase();
    // One byte more shows a reply that is too long.
    let mut reply = vec![0; size + 1];
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let socket =
            UdpSocket::bind((address.ip(), 0)).or_else(|_| UdpSocket::bind("0.0.0.0:0"))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        peers.push(Peer { socket, in_flight: 0 });
    }
    let mut counter = Counter::new(duration);
    let mut last_reply = Instant::now();
    loop {
        let (mut replies, mut wrong) = (0, 0);
        for Peer { socket, in_flight } in &mut peers {
            while *in_flight > 0 {
                match socket.recv(&mut reply) {
                    Ok(length) => {
                        *in_flight -= 1;
                        replies += 1;
                        wrong += u64::from(reply[..length] != expected);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
            while *in_flight < MAX_IN_FLIGHT {
                socket.send(&request)?;
                *in_flight += 1;
            }
        }
        if replies > 0 {
            last_reply = Instant::now();
        } else if last_reply.elapsed() > LOSS_TIMEOUT {
            for peer in &mut peers {
                peer.in_flight = 0;
            }
            last_reply = Instant::now();
        }
        if counter.add(replies, wrong) == Progress::Finished {
            return Ok(counter.result);
        }
    }
}
