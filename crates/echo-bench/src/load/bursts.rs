//! One UDP peer that sends and receives many datagrams with each system call. Linux segments the sent buffer
//! (`UDP_SEGMENT`) and coalesces received datagrams (`UDP_GRO`), see udp(7).

use super::LoadResult;
use anyhow::Result;
use std::net::SocketAddr;
use std::time::Duration;

/// The kernel's limit for one call with `UDP_SEGMENT`, in datagrams (udp(7)).
#[cfg(target_os = "linux")]
const MAX_BURST_DATAGRAMS: usize = 64;

/// The limit for one call in bytes: a little less than the largest UDP datagram.
#[cfg(target_os = "linux")]
const MAX_BURST_BYTES: usize = 65_000;

/// The limits for requests in flight, in datagrams and bytes. A plain server's receive queue of default size holds
/// this much, so it drops nothing.
#[cfg(target_os = "linux")]
const MAX_IN_FLIGHT_DATAGRAMS: usize = 256;
#[cfg(target_os = "linux")]
const MAX_IN_FLIGHT_BYTES: usize = 130_000;

/// After this time without a reply, the requests in flight count as lost.
#[cfg(target_os = "linux")]
const LOSS_TIMEOUT: Duration = Duration::from_millis(20);

#[cfg(target_os = "linux")]
pub(super) fn run(address: SocketAddr, size: usize, duration: Duration) -> Result<LoadResult> {
    use super::{Counter, Progress};
    use nix::sys::socket::{setsockopt, sockopt};
    use std::io::ErrorKind;
    use std::net::UdpSocket;

    let datagrams = MAX_BURST_DATAGRAMS.min(MAX_BURST_BYTES / size);
    let request = vec![b'x'; size * datagrams];
    let max_in_flight = MAX_IN_FLIGHT_BYTES.min(MAX_IN_FLIGHT_DATAGRAMS * size);
    let mut reply = vec![0; 65_536];
    let socket = UdpSocket::bind((address.ip(), 0))?;
    socket.connect(address)?;
    setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(size)?)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    socket.set_read_timeout(Some(LOSS_TIMEOUT))?;
    let mut counter = Counter::new(duration);
    // In bytes, because one call can return any number of replies.
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
pub(super) fn run(_: SocketAddr, _: usize, _: Duration) -> Result<LoadResult> {
    anyhow::bail!("bursts need Linux")
}
