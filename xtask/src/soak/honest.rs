//! Clients that do nothing wrong. Each of their requests has to be answered, and rightly.

use super::Tally;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long a reply may take: a server that is held up by others shows in this, and nothing else does.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a request is made over UDP, before it counts as one without a reply.
const TRIES: u32 = 3;

/// How long they rest between requests, so that they stay within their rate.
const REST: Duration = Duration::from_millis(1);

/// Where a TCP client's address does not matter, the system chooses one.
pub(super) fn connect(address: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&address.into())?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn udp_socket(address: SocketAddr, from: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE / TRIES))?;
    Ok(socket)
}

fn ask_udp(socket: &mut UdpSocket, request: &str, tally: &Tally) -> io::Result<()> {
    let mut reply = [0; 2048];
    tally.offer();
    for _ in 0..TRIES {
        socket.send(request.as_bytes())?;
        if let Ok(length) = socket.recv(&mut reply) {
            tally.answer(&reply[..length] == request.to_uppercase().as_bytes());
            break;
        }
        tally.repeat();
        // A reply that comes late must not be taken for the next one's.
        *socket = udp_socket(socket.peer_addr()?, socket.local_addr()?.ip())?;
    }
    std::thread::sleep(REST);
    Ok(())
}

/// Numbered requests, some of which change their length.
pub(super) fn udp(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let Ok(mut socket) = udp_socket(address, from) else { return tally.offer() };
    let mut number = 0_u64;
    while Instant::now() < until {
        number += 1;
        // A reply that does not come is in the tally; the next request has another number.
        let _ = ask_udp(&mut socket, &format!("request {number}, größer ŉ"), tally);
    }
}

/// What a server could take for another server's answers.
pub(super) fn udp_capitals(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let Ok(mut socket) = udp_socket(address, from) else { return tally.offer() };
    while Instant::now() < until {
        let _ = ask_udp(&mut socket, "THE SAME AGAIN 123", tally);
    }
}

fn ask_tcp(stream: &mut TcpStream, request: &str, tally: &Tally) -> io::Result<()> {
    let expected = request.to_uppercase();
    let mut reply = vec![0; expected.len()];
    tally.offer();
    stream.write_all(request.as_bytes())?;
    stream.read_exact(&mut reply)?;
    tally.answer(reply == expected.as_bytes());
    Ok(())
}

/// One connection for all.
pub(super) fn tcp_kept(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let Ok(mut stream) = connect(address, from) else { return tally.offer() };
    let mut number = 0_u64;
    while Instant::now() < until {
        number += 1;
        if ask_tcp(&mut stream, &format!("request {number}, größer ŉ"), tally).is_err() {
            return;
        }
        std::thread::sleep(REST);
    }
}

/// A connection for each request, ended by both sides.
pub(super) fn tcp_each(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    while Instant::now() < until {
        let asked = connect(address, from).and_then(|mut stream| {
            tally.offer();
            stream.write_all(b"only this")?;
            stream.shutdown(Shutdown::Write)?;
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply)?;
            tally.answer(reply == b"ONLY THIS");
            Ok(())
        });
        if asked.is_err() {
            // Counts as a request without a reply even if it did not come to be made.
            tally.offer();
        }
        std::thread::sleep(REST);
    }
}

/// Half a MiB of text that grows by half, written and read at the same time.
pub(super) fn tcp_long(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let request = "ein größerer Text, der wächst: ŉ ΐ. ".repeat(12_000);
    let expected = request.to_uppercase();
    while Instant::now() < until {
        tally.offer();
        let asked = connect(address, from).and_then(|mut stream| {
            let mut writing = stream.try_clone()?;
            let mut reply = Vec::new();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // If it fails the reply is short, which is seen.
                    let _ = writing.write_all(request.as_bytes());
                    let _ = writing.shutdown(Shutdown::Write);
                });
                stream.read_to_end(&mut reply)
            })?;
            tally.answer(reply == expected.as_bytes());
            Ok(())
        });
        if asked.is_err() {
            tally.offer();
        }
        std::thread::sleep(20 * REST);
    }
}
