//! Sends one datagram from a connected and one from an unconnected socket to a closed port of this host.
//!
//! The experiment tests the claim that a UDP client receives an error if no server exists. The datagrams do not leave
//! this host.

use super::explain::claims::{CONNECTED_SOCKET, UNCONNECTED_SOCKET};
use crate::analysis::evidence::Measurement;
use crate::model::format::decimal;
use crate::net::driver::Experiment;
use crate::net::system::MAX_PAUSE;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for an error. An error from this host arrives within microseconds.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The content of the datagrams.
const MESSAGE: &[u8] = b"is a server listening?";

/// Datagrams to a closed port of this host.
pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "datagrams to a closed port",
    is_independent_of_target: true,
    needs_echo_server: false,
    run: |context| Ok(run(context.stop).map_or_else(Vec::new, Vec::from)),
};

/// Sends one datagram from each kind of socket. Returns `None` if the system cannot create or connect a socket. Also
/// returns `None` if another process has just opened the port. When `stop` is set, the wait for an error ends.
fn run(stop: &AtomicBool) -> Option<[Measurement; 2]> {
    let closed = {
        let temporary = socket().ok()?;
        temporary.local_addr().ok()?
    };
    let connected = socket().ok()?;
    connected.connect(closed).ok()?;
    let connected = send_and_wait(&connected, stop, |socket| socket.send(MESSAGE));
    let unconnected = socket().ok()?;
    let unconnected = send_and_wait(&unconnected, stop, |socket| socket.send_to(MESSAGE, closed));
    if [connected, unconnected].contains(&Answer::Reply) {
        return None;
    }
    Some([measurement(CONNECTED_SOCKET, connected), measurement(UNCONNECTED_SOCKET, unconnected)])
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.set_read_timeout(Some(TIMEOUT.min(MAX_PAUSE)))?;
    Ok(socket)
}

/// The answer to a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Error {
        after: Duration,
    },
    Nothing,
    /// Another process has opened the port.
    Reply,
}

fn measurement(name: &'static str, answer: Answer) -> Measurement {
    let mut measurement = Measurement { name, ..Measurement::default() };
    match answer {
        Answer::Error { after } => measurement.durations.add(after),
        Answer::Nothing | Answer::Reply => {
            let timeout = decimal(TIMEOUT.as_secs_f64() * 1e3);
            measurement.failure = Some(format!("no error within {timeout} ms"));
        }
    }
    measurement
}

/// Sends the datagram with `send` and waits for an answer.
fn send_and_wait(
    socket: &UdpSocket,
    stop: &AtomicBool,
    send: impl FnOnce(&UdpSocket) -> io::Result<usize>,
) -> Answer {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    let start = Instant::now();
    let mut result = send(socket);
    while result.is_ok() {
        result = match socket.recv(&mut [0; 64]) {
            Ok(_) => return Answer::Reply,
            // The read timeout is shorter than the whole wait, and a signal interrupts the call.
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => {
                if start.elapsed() >= TIMEOUT || stop.load(Ordering::Relaxed) {
                    return Answer::Nothing;
                }
                Ok(0)
            }
            Err(error) => Err(error),
        };
    }
    Answer::Error { after: start.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_connected_socket_receives_an_error() {
        let [connected, unconnected] = run(&AtomicBool::new(false)).expect("a loopback interface");
        assert_eq!((connected.durations.count(), &connected.failure), (1, &None));
        #[cfg(target_os = "linux")]
        {
            assert_eq!(unconnected.durations.count(), 0);
            assert_eq!(unconnected.failure.as_deref(), Some("no error within 200 ms"));
        }
    }
}
