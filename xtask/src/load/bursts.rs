//! One UDP peer that hands its system many datagrams at once, and takes them so (Linux: `UDP_SEGMENT`
//! and `UDP_GRO`, udp(7)).

use super::{Answered, Count};
use anyhow::Result;
use std::net::SocketAddr;
use std::time::Duration;

/// How many datagrams the system takes in one call at most, and how many bytes (udp(7)).
#[cfg(target_os = "linux")]
const LONGEST_BURST: (usize, usize) = (64, 65_000);

/// How many datagrams are under way at most, and how many bytes: what a plain server's receive queue has room for
/// by default, so that nothing is lost there.
#[cfg(target_os = "linux")]
const WINDOW: (usize, usize) = (256, 130_000);

#[cfg(target_os = "linux")]
pub(super) fn one_peer(address: SocketAddr, size: usize, lasting: Duration) -> Result<Answered> {
    use nix::sys::socket::{setsockopt, sockopt};
    use std::io::ErrorKind;
    use std::net::UdpSocket;

    let datagrams = LONGEST_BURST.0.min(LONGEST_BURST.1 / size);
    let request = vec![b'x'; size * datagrams];
    let window = WINDOW.1.min(WINDOW.0 * size);
    let mut reply = vec![0; 65_536];
    let socket = UdpSocket::bind((address.ip(), 0))?;
    socket.connect(address)?;
    setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut count = Count::of(lasting);
    // In bytes: replies come in bursts of any length, or one by one.
    let mut under_way = 0;
    loop {
        while under_way + request.len() <= window {
            socket.send(&request)?;
            under_way += request.len();
        }
        let length = match socket.recv(&mut reply) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // Lost, for want of room in a receive buffer.
                under_way = 0;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        under_way = under_way.saturating_sub(length);
        let right = length.is_multiple_of(size) && reply[..length].iter().all(|byte| *byte == b'X');
        let replies = length.div_ceil(size) as u64;
        if !count.add(replies, if right { 0 } else { replies }) {
            return Ok(count.answered);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn one_peer(_: SocketAddr, _: usize, _: Duration) -> Result<Answered> {
    anyhow::bail!("bursts need Linux")
}
