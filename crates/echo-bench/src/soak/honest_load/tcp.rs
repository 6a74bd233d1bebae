//! An honest TCP client. It keeps its connection, or opens one for each request.

use super::{Pace, request};
use crate::soak::connection::{CONNECT_TIMEOUT, connect};
use crate::soak::latency::Latencies;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// After this time without a complete reply, a request is lost.
const TIMEOUT: Duration = CONNECT_TIMEOUT;

/// The result of an exchange with a complete reply.
enum Reply {
    Correct,
    Wrong,
}

/// Runs a client that uses `stream` for all requests, until the end of `pace`. After a failure, it opens a new
/// connection.
pub(super) fn keep(
    server: SocketAddr,
    source: IpAddr,
    pace: Pace,
    mut stream: Option<TcpStream>,
) -> Latencies {
    run(pace, |number| {
        let mut connection = match stream.take() {
            Some(stream) => stream,
            None => connect(server, source)?,
        };
        let reply = exchange(&mut connection, number)?;
        stream = Some(connection);
        Ok(reply)
    })
}

/// Runs a client that opens a connection for each request, until the end of `pace`.
pub(super) fn one_per_request(server: SocketAddr, source: IpAddr, pace: Pace) -> Latencies {
    run(pace, |number| exchange(&mut connect(server, source)?, number))
}

/// Calls `exchange` for each request of `pace`, with its number.
fn run(mut pace: Pace, mut exchange: impl FnMut(u64) -> io::Result<Reply>) -> Latencies {
    let mut latencies = Latencies::default();
    let mut number = 0;
    while let Some(due) = pace.due() {
        pace.advance();
        let now = Instant::now();
        if now > pace.end + TIMEOUT {
            // The server does not answer. Each remaining request would wait for the timeout, too.
            latencies.lost(TIMEOUT);
            continue;
        }
        let start = if now < due {
            thread::sleep(due - now);
            Instant::now()
        } else {
            due
        };
        number += 1;
        match exchange(number) {
            Ok(reply) => {
                latencies.reply(start.elapsed());
                if matches!(reply, Reply::Wrong) {
                    latencies.wrong();
                }
            }
            Err(_) => latencies.lost(TIMEOUT),
        }
    }
    latencies
}

fn exchange(stream: &mut TcpStream, number: u64) -> io::Result<Reply> {
    let request = request(number);
    let expected = request.to_uppercase();
    let mut reply = vec![0; expected.len()];
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    stream.read_exact(&mut reply)?;
    Ok(if reply == expected.as_bytes() { Reply::Correct } else { Reply::Wrong })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::honest_load::INTERVAL;
    use std::net::{Ipv4Addr, TcpListener};

    /// The number of requests in a test.
    const REQUESTS: u32 = 3;

    /// Runs a client at a server that closes each connection after its first reply. Returns the latencies and the
    /// number of connections.
    fn closing_server(
        client: impl FnOnce(SocketAddr, IpAddr, Pace) -> Latencies,
    ) -> (Latencies, u32) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut accepted = 0;
            loop {
                let (mut stream, peer) = listener.accept().unwrap();
                if peer.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
                    return accepted;
                }
                accepted += 1;
                let mut text = [0; 256];
                let length = stream.read(&mut text).unwrap();
                let reply = std::str::from_utf8(&text[..length]).unwrap().to_uppercase();
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        let start = Instant::now();
        let pace = Pace { next: start, end: start + REQUESTS * INTERVAL };
        let latencies = client(address, IpAddr::V4(Ipv4Addr::LOCALHOST), pace);
        // A connection from another address ends the server.
        connect(address, IpAddr::from([127, 0, 0, 2])).unwrap();
        (latencies, server.join().unwrap())
    }

    #[test]
    fn one_connection_per_request_loses_nothing() {
        let (latencies, connections) = closing_server(one_per_request);
        assert_eq!((latencies.requests(), latencies.lost_requests()), (u64::from(REQUESTS), 0));
        assert_eq!(connections, REQUESTS);
    }

    #[test]
    fn request_on_a_connection_that_the_server_closed_is_lost() {
        let (latencies, connections) = closing_server(|server, source, pace| {
            keep(server, source, pace, Some(connect(server, source).unwrap()))
        });
        assert_eq!((latencies.requests(), latencies.lost_requests()), (u64::from(REQUESTS), 1));
        assert_eq!(connections, 2);
    }
}
