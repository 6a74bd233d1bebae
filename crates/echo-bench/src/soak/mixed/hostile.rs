//! Hostile clients. The server does not have to answer them, but its replies must be correct. Pauses limit the rate of
//! these clients, because they share the CPUs with the servers and the honest clients.

use super::clients::Counts;
use super::honest::connect;
use socket2::SockRef;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The pause between two attacks.
const PAUSE: Duration = Duration::from_millis(2);

/// The number of requests in a flood before each pause. The rate is at most four times the server's limit
/// for one source.
const FLOOD_REQUESTS: usize = 40;

/// With more connections than this, a silent client closes all of them and starts again.
const MAX_SILENT_CONNECTIONS: usize = 200;

/// The time between two reads of a client that reads slowly.
const SLOW_READ_INTERVAL: Duration = Duration::from_millis(200);

/// The maximum time in which the server must close the connection of a client that reads slowly. It is five times the
/// value of `--stall` in this test: the server measures the time from the moment when all buffers are full, and it
/// checks at intervals.
const MAX_SLOW_TIME: Duration = Duration::from_secs(5);

/// Sends more requests than the server allows from one source.
pub(super) fn udp_flood(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let Ok(socket) = UdpSocket::bind((source, 0)) else { return };
    let _ = socket.set_nonblocking(true);
    let mut reply = [0; 100];
    while Instant::now() < end {
        for _ in 0..FLOOD_REQUESTS {
            counts.request();
            let _ = socket.send_to(b"more", server);
        }
        while let Ok(length) = socket.recv(&mut reply) {
            counts.reply(&reply[..length], b"MORE");
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends from ports that the server must not answer. A service on such a port would answer the reply and create a loop.
pub(super) fn udp_ports(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    // The first port is the server's own port: the same server on another host would use it. The others are ports of
    // services (memcached, udp-echo). The client skips a port that another program on this machine uses.
    let ports = [server.port(), 11_211, 25_000];
    let sockets: Vec<_> =
        ports.iter().filter_map(|port| UdpSocket::bind((source, *port)).ok()).collect();
    while Instant::now() < end {
        for socket in &sockets {
            let _ = socket.set_nonblocking(true);
            counts.request();
            let _ = socket.send_to(b"ANSWER THIS", server);
            while socket.recv(&mut [0; 100]).is_ok() {
                counts.wrong_reply();
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends bytes that are not text, and text that does not fit into a datagram in upper case.
pub(super) fn udp_garbage(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let Ok(socket) = UdpSocket::bind((source, 0)) else { return };
    let _ = socket.set_nonblocking(true);
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let too_long = "ΐ".repeat(30_000);
    while Instant::now() < end {
        let noise: Vec<u8> = (0..200)
            .map(|_| {
                // xorshift64 (Marsaglia 2003).
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[2]
            })
            .collect();
        for text in [&noise[..], too_long.as_bytes(), b""] {
            counts.request();
            let _ = socket.send_to(text, server);
        }
        while socket.recv(&mut [0; 2048]).is_ok() {
            counts.correct_reply();
        }
        std::thread::sleep(4 * PAUSE);
    }
}

/// Closes its socket before the reply arrives. The system then answers the reply with an ICMP error.
pub(super) fn udp_close(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    while Instant::now() < end {
        if let Ok(socket) = UdpSocket::bind((source, 0)) {
            counts.request();
            let _ = socket.send_to(b"bye", server);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Opens more connections than the server allows from one source, and sends nothing.
pub(super) fn tcp_silent(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let mut connections = Vec::new();
    while Instant::now() < end {
        counts.request();
        if let Ok(stream) = connect(server, source) {
            connections.push(stream);
        }
        if connections.len() > MAX_SILENT_CONNECTIONS {
            connections.clear();
        }
        // With this pause, accepted connections stay open long enough to reach the server's timeout for idle
        // connections.
        std::thread::sleep(5 * PAUSE);
    }
}

/// Sends until the server stops reading, and never reads a reply. Then it waits until the server closes the connection.
pub(super) fn tcp_never_reads(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let chunk = vec![b'x'; 64 * 1024];
    while Instant::now() < end {
        let Ok(mut stream) = connect(server, source) else { continue };
        let _ = stream.set_nonblocking(true);
        counts.request();
        while Instant::now() < end {
            match stream.write(&chunk) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(5 * PAUSE);
                }
                Err(_) => break,
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends until the server stops reading, and reads a few bytes per second. The server must close the connection.
/// Otherwise, the replies would stay in the memory of the kernel.
pub(super) fn tcp_reads_slowly(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let chunk = vec![b'x'; 64 * 1024];
    while Instant::now() < end {
        let Ok(mut stream) = connect(server, source) else { continue };
        let _ = stream.set_nonblocking(true);
        counts.request();
        let opened = Instant::now();
        let mut is_open = true;
        while is_open && Instant::now() < end {
            let sent = stream.write(&chunk);
            let received = stream.read(&mut [0; 4]);
            is_open = !matches!(received, Ok(0)) && [sent, received].iter().all(is_open_after);
            if is_open && opened.elapsed() > MAX_SLOW_TIME {
                counts.overdue();
                is_open = false;
            }
            std::thread::sleep(SLOW_READ_INTERVAL);
        }
    }
}

/// Whether a connection is still open after an operation with this result.
fn is_open_after(result: &std::io::Result<usize>) -> bool {
    result.as_ref().map_or_else(|error| error.kind() == ErrorKind::WouldBlock, |_| true)
}

/// Resets each connection. The moment changes in turn: after the request, while the reply arrives, or before a request.
pub(super) fn tcp_reset(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let mut turn = 0;
    while Instant::now() < end {
        turn += 1;
        if let Ok(mut stream) = connect(server, source) {
            // With a linger time of zero, closing the socket sends a reset instead of a FIN (socket(7)).
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            counts.request();
            if turn % 3 > 0 {
                let _ = stream.write_all(b"never read");
            }
            if turn % 3 > 1 {
                let _ = stream.read(&mut [0; 4]);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends a timing header that announces a long message. Then sends the message one byte at a time.
pub(super) fn tcp_byte_by_byte(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    while Instant::now() < end {
        let Ok(mut stream) = connect(server, source) else { continue };
        counts.request();
        let mut is_open = stream.write_all(b"echo-rtt/1?00060000 0000000000000000000 ").is_ok();
        while is_open && Instant::now() < end {
            is_open = stream.write_all(b"x").is_ok();
            std::thread::sleep(20 * PAUSE);
        }
    }
}

/// Sends the next request immediately after each reply. The server's rate limit for one source slows this client down.
pub(super) fn tcp_flood(server: SocketAddr, source: IpAddr, end: Instant, counts: &Counts) {
    let Ok(mut stream) = connect(server, source) else { return };
    let mut reply = [0; 4];
    while Instant::now() < end {
        counts.request();
        if stream.write_all(b"more").and_then(|()| stream.read_exact(&mut reply)).is_err() {
            return;
        }
        counts.reply(&reply, b"MORE");
    }
}
