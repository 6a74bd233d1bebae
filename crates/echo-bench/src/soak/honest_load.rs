//! Honest clients with a fixed rate. They record the latency of each request.
//!
//! The clients send on a schedule. If a connection still waits for its last reply when the next request is due, the
//! latency of this request starts when it was due. Otherwise, a slow server would receive fewer requests, and its
//! latencies would seem lower than they are (coordinated omission).

mod tcp;
mod udp;

use super::connection;
use super::latency::Latencies;
use super::priority::{self, Scheduling};
use crate::protocol::Protocol;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The number of clients. Each of them has an address in another network.
pub(super) const CLIENTS: u32 = 20;

/// The time between two requests of a client.
const INTERVAL: Duration = Duration::from_millis(20);

/// The requests per second of all clients.
#[expect(clippy::cast_possible_truncation, reason = "an interval in milliseconds is small")]
pub(super) const RATE: u32 = CLIENTS * 1000 / INTERVAL.as_millis() as u32;

/// A client whose number is a multiple of this value opens a new connection for each request (TCP).
const NEW_CONNECTION_EVERY: u32 = 5;

/// The percentage of TCP requests that need a new connection.
pub(super) const NEW_CONNECTIONS_PERCENT: u32 = 100 / NEW_CONNECTION_EVERY;

/// The second byte of the clients' addresses.
const NETWORK: u8 = 33;

/// The times at which a client sends its requests.
#[derive(Debug, Clone, Copy)]
struct Pace {
    next: Instant,
    end: Instant,
}

impl Pace {
    /// The time of the next request. `None`: there are no more requests.
    fn due(&self) -> Option<Instant> {
        (self.next < self.end).then_some(self.next)
    }

    /// Continues with the next request.
    fn advance(&mut self) {
        self.next += INTERVAL;
    }
}

/// The honest clients of a server.
pub(super) struct HonestClients {
    server: SocketAddr,
    clients: Vec<Client>,
}

enum Client {
    Udp,
    /// A TCP client with the connection that it keeps. `None`: it could not connect.
    Keep(Option<TcpStream>),
    /// A TCP client that opens a connection for each request.
    OnePerRequest,
}

impl HonestClients {
    /// Opens the connections that clients keep.
    pub(super) fn connect(protocol: Protocol, server: SocketAddr) -> Self {
        let client = |number: u32| match protocol {
            Protocol::Udp => Client::Udp,
            Protocol::Tcp if number.is_multiple_of(NEW_CONNECTION_EVERY) => Client::OnePerRequest,
            Protocol::Tcp => Client::Keep(connection::connect(server, source(number)).ok()),
        };
        // One thread for each client: a server that does not answer delays all of them by one timeout.
        let clients = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Client::Keep(None))).collect()
        });
        Self { server, clients }
    }

    /// Sends requests for `duration`, and returns the latencies of all clients together.
    pub(super) fn run(self, duration: Duration) -> Latencies {
        let Self { server, clients } = self;
        let start = Instant::now();
        let end = start + duration;
        let mut sum = Latencies::default();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..CLIENTS)
                .zip(clients)
                .map(|(number, client)| {
                    // The clients do not send at the same time: their schedules start one after the other.
                    let pace = Pace { next: start + INTERVAL / CLIENTS * number, end };
                    scope.spawn(move || client.run(server, source(number), pace))
                })
                .collect();
            for thread in threads {
                match thread.join() {
                    Ok(latencies) => sum.add(&latencies),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        sum
    }
}

impl Client {
    fn run(self, server: SocketAddr, source: IpAddr, pace: Pace) -> Latencies {
        // Without permission, the thread keeps its normal priority. The report contains this fact.
        let _ = priority::set(Scheduling::RealTime);
        match self {
            Self::Udp => udp::run(server, source, pace),
            Self::Keep(stream) => tcp::keep(server, source, pace, stream),
            Self::OnePerRequest => tcp::one_per_request(server, source, pace),
        }
    }
}

fn source(number: u32) -> IpAddr {
    connection::source(NETWORK, number as usize)
}

/// The text of a request. Some of its characters change their length in upper case.
fn request(number: u64) -> String {
    format!("{number:010} measured request, größer ŉ")
}

/// The number at the start of a reply.
fn number_of(reply: &[u8]) -> Option<u64> {
    std::str::from_utf8(reply.get(..10)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_a_reply_is_the_number_of_its_request() {
        assert_eq!(number_of(request(123).to_uppercase().as_bytes()), Some(123));
        assert_eq!(number_of(b"12"), None);
        assert_eq!(number_of(b"MEASURED REQUEST"), None);
    }

    #[test]
    fn pace_has_a_fixed_number_of_requests() {
        let start = Instant::now();
        let mut pace = Pace { next: start, end: start + 3 * INTERVAL };
        let mut count = 0;
        while pace.due().is_some() {
            count += 1;
            pace.advance();
        }
        assert_eq!(count, 3);
    }
}
