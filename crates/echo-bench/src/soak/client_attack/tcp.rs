//! Hostile TCP servers. Each connection has its own thread.

use super::{DELAY, INTERVAL, MARGIN, Progress, predicted_reply, sleep_until};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The time of a wait for a request or a connection. After it, a server checks whether it should end.
const WAIT: Duration = Duration::from_millis(1);

/// The maximum number of bytes of one read.
const READ_SIZE: usize = 64 * 1024;

/// The default size of a request of `rtt-client` in bytes.
const REQUEST_SIZE: usize = 144;

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

/// Sends a correct reply to the first request of each connection, and then a FIN. Counts all requests on the
/// connection, also those that the client sends before it receives the FIN.
pub(super) fn close_after_reply(listener: &TcpListener, progress: &Progress) {
    accept_all(listener, progress, |mut stream, progress| {
        let mut request = [0; REQUEST_SIZE];
        let mut bytes = 0;
        while bytes < REQUEST_SIZE
            && let Some(length) = read(&mut stream, progress, &mut request[bytes..])
        {
            bytes += length;
        }
        if bytes == REQUEST_SIZE && stream.write_all(&request.to_ascii_uppercase()).is_ok() {
            // After an error, the client has closed the connection.
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut rest = vec![0; READ_SIZE];
        while let Some(length) = read(&mut stream, progress, &mut rest) {
            bytes += length;
        }
        // An incomplete request counts too, because the client has sent a part of it.
        progress.add_requests(bytes.div_ceil(REQUEST_SIZE) as u64);
    });
}

/// Accepts connections until the client has ended.
fn accept_all(listener: &TcpListener, progress: &Progress, serve: fn(TcpStream, &Progress)) {
    // Without this, the server would wait for a connection after the end of the client.
    let _ = listener.set_nonblocking(true);
    thread::scope(|scope| {
        while !progress.is_finished() {
            match listener.accept() {
                Ok((stream, _)) => {
                    progress.add_connection();
                    scope.spawn(move || serve(stream, progress));
                }
                Err(_) => thread::sleep(WAIT),
            }
        }
    });
}

/// Waits for bytes. `None`: the connection or the client has ended.
fn receive(stream: &mut TcpStream, progress: &Progress) -> Option<Vec<u8>> {
    let mut request = vec![0; READ_SIZE];
    let length = read(stream, progress, &mut request)?;
    progress.add_requests(1);
    request.truncate(length);
    Some(request)
}

/// Waits for bytes, and returns their number. `None`: the connection has ended, or the client has ended and all its
/// bytes have been read.
fn read(stream: &mut TcpStream, progress: &Progress, buffer: &mut [u8]) -> Option<usize> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    loop {
        match stream.read(buffer) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if progress.is_finished() {
                    return None;
                }
            }
            Err(_) => return None,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    /// Opens a connection to [`close_after_reply`], sends `text` in pieces of this size, and reads until the FIN. Returns
    /// the reply, and the number of requests that the server counts.
    fn close_after_reply_to(text: &[u8], piece: usize) -> (Vec<u8>, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let progress = Progress::default();
        let reply = thread::scope(|scope| {
            scope.spawn(|| close_after_reply(&listener, &progress));
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            for piece in text.chunks(piece) {
                stream.write_all(piece).unwrap();
            }
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).unwrap();
            drop(stream);
            progress.is_finished.store(true, Relaxed);
            reply
        });
        assert_eq!(progress.connections.load(Relaxed), 1);
        (reply, progress.requests.load(Relaxed))
    }

    #[test]
    fn one_request_of_a_connection_is_answered_and_all_of_them_count() {
        let text = vec![b'a'; 10 * REQUEST_SIZE];
        for piece in [text.len(), REQUEST_SIZE, 100] {
            let (reply, requests) = close_after_reply_to(&text, piece);
            assert_eq!(
                (reply, requests),
                (vec![b'A'; REQUEST_SIZE], 10),
                "pieces of {piece} bytes"
            );
        }
        let (reply, requests) = close_after_reply_to(&text[..=REQUEST_SIZE], REQUEST_SIZE);
        assert_eq!((reply.len(), requests), (REQUEST_SIZE, 2));
    }
}
