//! Hostile TCP servers. Each of them has one connection at a time.

use super::{DELAY, INTERVAL, MARGIN, Progress, predicted_reply, sleep_until};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The time of a wait for a request or a connection. After it, a server checks whether it should end.
const WAIT: Duration = Duration::from_millis(1);

/// The maximum number of bytes of one read.
const READ_SIZE: usize = 64 * 1024;

/// Replies to the first request after [`DELAY`]. Then sends the replies to the next requests, before they arrive.
pub(super) fn predict(listener: &TcpListener, progress: &Progress) {
    accept_all(listener, progress, |mut stream, progress| {
        let Some(first) = receive(&mut stream, progress) else { return };
        let start = Instant::now();
        sleep_until(start + DELAY);
        let mut is_open = stream.write_all(&first.to_ascii_uppercase()).is_ok();
        // A client can open a connection in the middle of its series.
        let first_number = number_of(&first).unwrap_or(1);
        let mut later = 0;
        while is_open && !progress.is_finished() {
            later += 1;
            sleep_until(start + INTERVAL * later + MARGIN);
            count_waiting(&mut stream, progress, first.len());
            let reply = predicted_reply(&first, first_number + u64::from(later));
            is_open = reply.is_some_and(|reply| stream.write_all(&reply).is_ok());
        }
    });
}

/// Answers with as many bytes as the request has. None of the replies is correct.
pub(super) fn false_replies(listener: &TcpListener, progress: &Progress) {
    accept_all(listener, progress, |mut stream, progress| {
        while let Some(request) = receive(&mut stream, progress) {
            let mut reply = request.to_ascii_uppercase();
            if let Some(last) = reply.last_mut() {
                *last = b'?';
            }
            if stream.write_all(&reply).is_err() {
                return;
            }
        }
    });
}

/// Sends a correct reply to the first request of each connection, and then closes it.
pub(super) fn close_after_reply(listener: &TcpListener, progress: &Progress) {
    accept_all(listener, progress, |mut stream, progress| {
        if let Some(request) = receive(&mut stream, progress) {
            let _ = stream.write_all(&request.to_ascii_uppercase());
        }
    });
}

/// Accepts one connection after another, until the client has ended.
fn accept_all(listener: &TcpListener, progress: &Progress, serve: fn(TcpStream, &Progress)) {
    // Without this, the server would wait for a connection after the end of the client.
    let _ = listener.set_nonblocking(true);
    while !progress.is_finished() {
        match listener.accept() {
            Ok((stream, _)) => {
                progress.add_connection();
                serve(stream, progress);
            }
            Err(_) => thread::sleep(WAIT),
        }
    }
}

/// Waits for bytes. `None`: the connection or the client has ended.
fn receive(stream: &mut TcpStream, progress: &Progress) -> Option<Vec<u8>> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    let mut request = vec![0; READ_SIZE];
    while !progress.is_finished() {
        match stream.read(&mut request) {
            Ok(0) => return None,
            Ok(length) => {
                progress.add_requests(1);
                request.truncate(length);
                return Some(request);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Counts the requests of `size` bytes that have arrived, and does not use their content.
fn count_waiting(stream: &mut TcpStream, progress: &Progress, size: usize) {
    let _ = stream.set_nonblocking(true);
    let mut bytes = 0;
    let mut buffer = vec![0; READ_SIZE];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        bytes += length;
    }
    let _ = stream.set_nonblocking(false);
    progress.add_requests(bytes.div_ceil(size.max(1)) as u64);
}

/// The number at the start of a request without a timing header.
fn number_of(request: &[u8]) -> Option<u64> {
    std::str::from_utf8(request.get(..10)?).ok()?.parse().ok()
}
