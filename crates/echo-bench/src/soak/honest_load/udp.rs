//! An honest UDP client. It sends on its schedule, even if replies are missing.

use super::{Pace, number_of, request};
use crate::soak::connection::udp_socket;
use crate::soak::latency::Latencies;
use nix::poll::{PollFd, PollFlags, ppoll};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// After this time without a reply, a request is lost.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A request without a reply.
struct InFlight {
    number: u64,
    sent: Instant,
}

/// Runs a client until the end of `pace`, and until each request has a reply or is lost.
pub(super) fn run(server: SocketAddr, source: IpAddr, mut pace: Pace) -> Latencies {
    let mut latencies = Latencies::default();
    let socket =
        udp_socket(server, source).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    let Ok(socket) = socket else {
        latencies.lost(TIMEOUT);
        return latencies;
    };
    // The timeout limits the number of entries.
    let mut in_flight = VecDeque::new();
    let mut number = 0;
    loop {
        let now = Instant::now();
        if pace.due().is_some_and(|due| due <= now) {
            number += 1;
            pace.advance();
            let sent = Instant::now();
            match socket.send(request(number).as_bytes()) {
                Ok(_) => in_flight.push_back(InFlight { number, sent }),
                Err(_) => latencies.lost(TIMEOUT),
            }
        }
        while in_flight.front().is_some_and(|oldest| now >= oldest.sent + TIMEOUT) {
            in_flight.pop_front();
            latencies.lost(TIMEOUT);
        }
        let timeout = in_flight.front().map(|oldest| oldest.sent + TIMEOUT);
        let Some(next) = pace.due().into_iter().chain(timeout).min() else { return latencies };
        wait(&socket, next);
        receive(&socket, &mut in_flight, &mut latencies);
    }
}

/// Waits until a reply arrives, or until the time `next`.
fn wait(socket: &UdpSocket, next: Instant) {
    let timeout = next.saturating_duration_since(Instant::now());
    // Unlike SO_RCVTIMEO, this timeout does not depend on the length of the kernel's timer tick.
    // After an error, the loop continues before the timeout.
    let _ =
        ppoll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], Some(timeout.into()), None);
}

fn receive(socket: &UdpSocket, in_flight: &mut VecDeque<InFlight>, latencies: &mut Latencies) {
    let mut reply = [0; 256];
    while let Ok(length) = socket.recv(&mut reply) {
        let received = Instant::now();
        let reply = &reply[..length];
        let number = number_of(reply);
        if number.is_none_or(|number| reply != request(number).to_uppercase().as_bytes()) {
            latencies.wrong();
        }
        // If the reply arrives after the timeout, its request is no longer in flight. The request already counts as
        // lost.
        if let Some(index) = in_flight.iter().position(|request| Some(request.number) == number)
            && let Some(request) = in_flight.remove(index)
        {
            latencies.reply(received - request.sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::honest_load::INTERVAL;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn lost_and_wrong_replies_are_counted() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let start = Instant::now();
        let pace = Pace { next: start, end: start + 3 * INTERVAL };
        let client = std::thread::spawn(move || run(address, LOCAL, pace));
        let mut request = [0; 256];
        for number in 1..=3 {
            let (length, peer) = server.recv_from(&mut request).unwrap();
            let text = std::str::from_utf8(&request[..length]).unwrap();
            match number {
                1 => drop(server.send_to(text.to_uppercase().as_bytes(), peer).unwrap()),
                2 => drop(server.send_to(text.as_bytes(), peer).unwrap()),
                _ => {}
            }
        }
        let latencies = client.join().unwrap();
        let counts = (latencies.requests(), latencies.lost_requests(), latencies.wrong_replies());
        assert_eq!(counts, (3, 1, 1));
    }
}
