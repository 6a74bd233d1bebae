//! The UDP loads: many peers, and one peer that sends bursts.

use super::{Counter, LoadResult, Progress};
use anyhow::Result;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The number of peers of [`run`].
const PEERS: usize = 64;

/// The maximum number of requests in flight for each peer. All peers together have 256.
const MAX_IN_FLIGHT: usize = 4;

/// After this time without a reply to any peer, the requests in flight count as lost. On loopback, the kernel drops a
/// datagram only if a receive queue is full.
const LOSS_TIMEOUT: Duration = Duration::from_millis(100);

/// The maximum number of datagrams in one call with `UDP_SEGMENT` (limit of the kernel, udp(7)).
#[cfg(target_os = "linux")]
const MAX_BURST_DATAGRAMS: usize = 64;

/// The maximum number of bytes in one call: slightly less than the largest UDP datagram.
#[cfg(target_os = "linux")]
const MAX_BURST_BYTES: usize = 65_000;

/// The maximum number of datagrams in flight. They fit into a receive queue of the default size, so the kernel
/// drops none of them.
#[cfg(target_os = "linux")]
const MAX_IN_FLIGHT_DATAGRAMS: usize = 256;

/// The maximum number of bytes in flight. They fit into a receive queue, too.
#[cfg(target_os = "linux")]
const MAX_IN_FLIGHT_BYTES: usize = 130_000;

/// After this time without a reply, the burst load counts its requests in flight as lost.
#[cfg(target_os = "linux")]
const BURST_LOSS_TIMEOUT: Duration = Duration::from_millis(20);

struct Peer {
    socket: UdpSocket,
    in_flight: usize,
}

/// Runs many UDP peers with a few requests in flight each.
pub(super) fn run(address: SocketAddr, size: usize, duration: Duration) -> Result<LoadResult> {
    let request = vec![b'x'; size];
    let expected = request.to_ascii_uppercase();
    // The extra byte detects a reply that is too long.
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

/// Runs one UDP peer that sends and receives many datagrams with each system call. Linux splits the sent buffer
/// (`UDP_SEGMENT`) and joins received datagrams (`UDP_GRO`), see udp(7).
#[cfg(target_os = "linux")]
pub(super) fn run_bursts(
    address: SocketAddr,
    size: usize,
    duration: Duration,
) -> Result<LoadResult> {
    use nix::sys::socket::{setsockopt, sockopt};

    let datagrams = MAX_BURST_DATAGRAMS.min(MAX_BURST_BYTES / size);
    let request = vec![b'x'; size * datagrams];
    let max_in_flight = MAX_IN_FLIGHT_BYTES.min(MAX_IN_FLIGHT_DATAGRAMS * size);
    let mut reply = vec![0; 65_536];
    let socket = UdpSocket::bind((address.ip(), 0))?;
    socket.connect(address)?;
    setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    socket.set_read_timeout(Some(BURST_LOSS_TIMEOUT))?;
    let mut counter = Counter::new(duration);
    // This counter is in bytes, because one call can return any number of replies.
    let mut in_flight = 0;
    loop {
        while in_flight + request.len() <= max_in_flight {
            socket.send(&request)?;
            in_flight += request.len();
        }
        let length = match socket.recv(&mut reply) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                in_flight = 0;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        in_flight = in_flight.saturating_sub(length);
        let is_correct =
            length.is_multiple_of(size) && reply[..length].iter().all(|byte| *byte == b'X');
        let replies = length.div_ceil(size) as u64;
        let wrong = if is_correct { 0 } else { replies };
        if counter.add(replies, wrong) == Progress::Finished {
            return Ok(counter.result);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run_bursts(_: SocketAddr, _: usize, _: Duration) -> Result<LoadResult> {
    anyhow::bail!("bursts need Linux")
}
