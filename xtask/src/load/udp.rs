//! Many UDP peers, each with some requests under way.

use super::{Answered, Count};
use anyhow::Result;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How many peers there are, and how many requests each has under way: 256 in all.
const PEERS: usize = 64;
const WINDOW: usize = 4;

/// After this long without any reply, requests that were lost are taken for lost. Loopback loses only
/// what does not fit into a receive buffer.
const LOST_AFTER: Duration = Duration::from_millis(100);

pub(super) fn many_peers(address: SocketAddr, size: usize, lasting: Duration) -> Result<Answered> {
    let request = vec![b'x'; size];
    let expected = request.to_ascii_uppercase();
    let mut reply = vec![0; size + 1];
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let socket =
            UdpSocket::bind((address.ip(), 0)).or_else(|_| UdpSocket::bind("0.0.0.0:0"))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        peers.push((socket, 0_usize));
    }
    let mut count = Count::of(lasting);
    let mut heard = Instant::now();
    loop {
        let (mut replies, mut wrong) = (0, 0);
        for (socket, under_way) in &mut peers {
            while *under_way > 0 {
                match socket.recv(&mut reply) {
                    Ok(length) => {
                        *under_way -= 1;
                        replies += 1;
                        wrong += u64::from(reply[..length] != expected);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
            while *under_way < WINDOW {
                socket.send(&request)?;
                *under_way += 1;
            }
        }
        if replies > 0 {
            heard = Instant::now();
        } else if heard.elapsed() > LOST_AFTER {
            for (_, under_way) in &mut peers {
                *under_way = 0;
            }
            heard = Instant::now();
        }
        if !count.add(replies, wrong) {
            return Ok(count.answered);
        }
    }
}
