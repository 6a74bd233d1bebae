//! Clients that do what nobody should. What they get does not matter; that honest ones get theirs does. They are
//! bounded, in rate and in number: what they take of the machine's two CPUs the honest ones don't have.

use super::Tally;
use super::honest::connect;
use socket2::SockRef;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A rest between attacks.
const REST: Duration = Duration::from_millis(2);

/// Forty requests a rest: four times what a source may ask.
pub(super) fn udp_flood(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let Ok(socket) = UdpSocket::bind((from, 0)) else { return };
    let _ = socket.set_nonblocking(true);
    let mut reply = [0; 100];
    while Instant::now() < until {
        for _ in 0..40 {
            tally.offer();
            let _ = socket.send_to(b"more", address);
        }
        while let Ok(length) = socket.recv(&mut reply) {
            tally.answer(&reply[..length] == b"MORE");
        }
        std::thread::sleep(REST);
    }
}

/// From ports that are not to be answered.
pub(super) fn udp_ports(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    // The first is what another such server on another host would have. The others need a service's port,
    // which may be somebody else's here; then it is one fewer.
    let ports = [address.port(), 11_211, 25_000];
    let sockets: Vec<_> =
        ports.iter().filter_map(|port| UdpSocket::bind((from, *port)).ok()).collect();
    while Instant::now() < until {
        for socket in &sockets {
            let _ = socket.set_nonblocking(true);
            tally.offer();
            let _ = socket.send_to(b"ANSWER THIS", address);
            while let Ok(length) = socket.recv(&mut [0; 100]) {
                // None of them may be: each answer is a wrong one.
                tally.answer(length == usize::MAX);
            }
        }
        std::thread::sleep(REST);
    }
}

/// Bytes that are no text, and text whose upper case does not fit.
pub(super) fn udp_garbage(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let Ok(socket) = UdpSocket::bind((from, 0)) else { return };
    let _ = socket.set_nonblocking(true);
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let too_long = "ΐ".repeat(30_000);
    while Instant::now() < until {
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
            tally.offer();
            let _ = socket.send_to(text, address);
        }
        while socket.recv(&mut [0; 2048]).is_ok() {
            tally.answer(true);
        }
        std::thread::sleep(4 * REST);
    }
}

/// Closed when the reply comes, which the system answers with an ICMP error.
pub(super) fn udp_gone(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    while Instant::now() < until {
        if let Ok(socket) = UdpSocket::bind((from, 0)) {
            tally.offer();
            let _ = socket.send_to(b"bye", address);
        }
        std::thread::sleep(REST);
    }
}

/// As many connections as it gets, and then more.
pub(super) fn tcp_silent(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let mut held = Vec::new();
    while Instant::now() < until {
        tally.offer();
        if let Ok(stream) = connect(address, from) {
            held.push(stream);
        }
        if held.len() > 200 {
            held.clear();
        }
        // Slowly enough that those which are let in become idle for too long.
        std::thread::sleep(5 * REST);
    }
}

/// Sends until nothing is taken any more, and stays until it is cut.
pub(super) fn tcp_glutton(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let chunk = vec![b'x'; 64 * 1024];
    while Instant::now() < until {
        let Ok(mut stream) = connect(address, from) else { continue };
        let _ = stream.set_nonblocking(true);
        tally.offer();
        while Instant::now() < until {
            match stream.write(&chunk) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(5 * REST),
                Err(_) => break,
            }
        }
        std::thread::sleep(REST);
    }
}

/// A reset in place of an end, before, while and after something was asked.
pub(super) fn tcp_reset(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let mut stage = 0;
    while Instant::now() < until {
        stage += 1;
        if let Ok(mut stream) = connect(address, from) {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            tally.offer();
            if stage % 3 > 0 {
                let _ = stream.write_all(b"never read");
            }
            if stage % 3 > 1 {
                let _ = stream.read(&mut [0; 4]);
            }
        }
        std::thread::sleep(REST);
    }
}

/// A message with a timing header, a byte at a time.
pub(super) fn tcp_drip(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    while Instant::now() < until {
        let Ok(mut stream) = connect(address, from) else { continue };
        tally.offer();
        let mut is_open = stream.write_all(b"echo-rtt/1?00060000 0000000000000000000 ").is_ok();
        while is_open && Instant::now() < until {
            is_open = stream.write_all(b"x").is_ok();
            std::thread::sleep(20 * REST);
        }
    }
}

/// Without a rest: its source's rate slows it down.
pub(super) fn tcp_flood(address: SocketAddr, from: IpAddr, until: Instant, tally: &Tally) {
    let Ok(mut stream) = connect(address, from) else { return };
    let mut reply = [0; 4];
    while Instant::now() < until {
        tally.offer();
        if stream.write_all(b"more").and_then(|()| stream.read_exact(&mut reply)).is_err() {
            return;
        }
        tally.answer(&reply == b"MORE");
    }
}
