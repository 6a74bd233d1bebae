//! Honest clients. Each of their requests must receive a correct reply.

use super::clients::Counts;
use crate::soak::connection;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// The timeout for a reply. If hostile clients block the server, no reply arrives in this time.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// After this many attempts, a UDP client counts a request as one without a reply.
const MAX_ATTEMPTS: u32 = 3;

/// The pause between two requests. With this pause, a client stays below the rate limit of the server.
const PAUSE: Duration = Duration::from_millis(1);

/// The number of repetitions of a sentence in the long text. The text has about half a MiB.
const LONG_TEXT_REPETITIONS: usize = 12_000;

/// Opens a connection from the address `source`.
pub(super) fn connect(server: SocketAddr, source: IpAddr) -> io::Result<TcpStream> {
    let stream = connection::connect(server, source)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Returns a socket with the address `source` for requests to `server`.
pub(super) fn udp_socket(server: SocketAddr, source: IpAddr) -> io::Result<UdpSocket> {
    let socket = connection::udp_socket(server, source)?;
    socket.set_read_timeout(Some(TIMEOUT / MAX_ATTEMPTS))?;
    Ok(socket)
}

fn exchange_udp(socket: &mut UdpSocket, request: &str, counts: &Counts) -> io::Result<()> {
    let mut reply = [0; 2048];
    counts.request();
    for _ in 0..MAX_ATTEMPTS {
        socket.send(request.as_bytes())?;
        if let Ok(length) = socket.recv(&mut reply) {
            counts.reply(&reply[..length], request.to_uppercase().as_bytes());
            break;
        }
        counts.repeat();
        // The new socket does not receive late replies to the old socket. Therefore, the client cannot confuse a late
        // reply with the reply to the next request.
        *socket = udp_socket(socket.peer_addr()?, socket.local_addr()?.ip())?;
    }
    std::thread::sleep(PAUSE);
    Ok(())
}

/// Sends numbered requests. They contain characters that change their length in upper case.
pub(super) fn udp(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    // The failure counts as a request without a reply. The soak test then fails.
    let Ok(mut socket) = udp_socket(server, source) else { return counts.request() };
    let mut number = 0_u64;
    while Instant::now() < end {
        number += 1;
        // After an error, the request counts as one without a reply.
        let _ = exchange_udp(&mut socket, &format!("request {number}, größer ŉ"), counts);
    }
}

/// Sends requests in upper case, like the replies of another echo server. The server must answer them.
pub(super) fn udp_capitals(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let Ok(mut socket) = udp_socket(server, source) else { return counts.request() };
    while Instant::now() < end {
        let _ = exchange_udp(&mut socket, "THE SAME AGAIN 123", counts);
    }
}

fn exchange_tcp(stream: &mut TcpStream, request: &str, counts: &Counts) -> io::Result<()> {
    let expected = request.to_uppercase();
    let mut reply = vec![0; expected.len()];
    counts.request();
    stream.write_all(request.as_bytes())?;
    stream.read_exact(&mut reply)?;
    counts.reply(&reply, expected.as_bytes());
    Ok(())
}

/// Uses one connection for all requests.
pub(super) fn tcp_keep(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let Ok(mut stream) = connect(server, source) else { return counts.request() };
    let mut number = 0_u64;
    while Instant::now() < end {
        number += 1;
        if exchange_tcp(&mut stream, &format!("request {number}, größer ŉ"), counts).is_err() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Opens a connection for each request. The client closes its sending direction first. The server
/// closes the other direction afterwards.
pub(super) fn tcp_each(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    while Instant::now() < end {
        let exchange = connect(server, source).and_then(|mut stream| {
            counts.request();
            stream.write_all(b"only this")?;
            stream.shutdown(Shutdown::Write)?;
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply)?;
            counts.reply(&reply, b"ONLY THIS");
            Ok(())
        });
        if exchange.is_err() {
            // A failed connection counts as a request without a reply.
            counts.request();
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends a long text. Some of its characters are longer in upper case. The client writes and reads at the same time.
pub(super) fn tcp_long(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let request = "ein größerer Text, der wächst: ŉ ΐ. ".repeat(LONG_TEXT_REPETITIONS);
    let expected = request.to_uppercase();
    while Instant::now() < end {
        counts.request();
        let exchange = connect(server, source).and_then(|mut stream| {
            let mut writer = stream.try_clone()?;
            let mut reply = Vec::new();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // After an error, the reply is too short and counts as wrong.
                    let _ = writer.write_all(request.as_bytes());
                    let _ = writer.shutdown(Shutdown::Write);
                });
                stream.read_to_end(&mut reply)
            })?;
            counts.reply(&reply, expected.as_bytes());
            Ok(())
        });
        if exchange.is_err() {
            counts.request();
        }
        std::thread::sleep(20 * PAUSE);
    }
}
