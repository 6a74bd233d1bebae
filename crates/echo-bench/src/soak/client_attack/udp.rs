//! Hostile UDP servers.

use super::{DELAY, INTERVAL, MARGIN, Progress, predicted_reply, sleep_until};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The time of a wait for a request. After it, a server checks whether it should end.
const WAIT: Duration = Duration::from_millis(20);

/// The maximum size of a request in bytes.
const MAX_SIZE: usize = 2048;

/// The number of times that a server sends all its false replies to one request.
const REPETITIONS: usize = 40;

/// Replies to the first request after [`DELAY`]. Then sends the replies to the next requests, before they arrive.
pub(super) fn predict(socket: &UdpSocket, progress: &Progress) {
    let Some((first, peer)) = receive(socket, progress) else { return };
    let start = Instant::now();
    sleep_until(start + DELAY);
    let _ = socket.send_to(&first.to_ascii_uppercase(), peer);
    for number in 2.. {
        let since_first = INTERVAL * u32::try_from(number - 1).unwrap_or(u32::MAX);
        sleep_until(start + since_first + MARGIN);
        if progress.is_finished() {
            return;
        }
        count_waiting(socket, progress);
        if let Some(reply) = predicted_reply(&first, number) {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

/// Answers each request with many replies. None of them is correct.
pub(super) fn false_replies(socket: &UdpSocket, progress: &Progress) {
    while let Some((request, peer)) = receive(socket, progress) {
        let upper = request.to_ascii_uppercase();
        let mut changed = upper.clone();
        if let Some(last) = changed.last_mut() {
            *last = b'?';
        }
        let other = predicted_reply(&request, 1_000_000).unwrap_or_default();
        let shorter = upper.split_last().map_or(&[][..], |(_, rest)| rest);
        for _ in 0..REPETITIONS {
            for reply in [&request[..], &changed, &other, shorter, b"\x1b[2J\xff"] {
                let _ = socket.send_to(reply, peer);
            }
        }
    }
}

/// Waits for a request. `None`: the client has ended.
fn receive(socket: &UdpSocket, progress: &Progress) -> Option<(Vec<u8>, SocketAddr)> {
    let _ = socket.set_nonblocking(false);
    let _ = socket.set_read_timeout(Some(WAIT));
    let mut request = [0; MAX_SIZE];
    while !progress.is_finished() {
        if let Ok((length, peer)) = socket.recv_from(&mut request) {
            progress.add_requests(1);
            return Some((request[..length].to_owned(), peer));
        }
    }
    None
}

/// Counts the requests that have arrived, and does not use their content.
fn count_waiting(socket: &UdpSocket, progress: &Progress) {
    let _ = socket.set_nonblocking(true);
    while socket.recv_from(&mut [0; MAX_SIZE]).is_ok() {
        progress.add_requests(1);
    }
}
