//! Servers that attack `rtt-client`. They send replies before the requests arrive, they send false replies, or they
//! close each connection after one reply.
//!
//! A server that predicts requests simulates a path with a delay of [`DELAY`]: it uses no byte of a request before this
//! delay has passed. It computes the next requests from an earlier one, and sends their replies before they arrive. A
//! client that accepts such a reply reports an RTT below the delay.

mod client;
mod tcp;
mod udp;

use super::print_paragraph;
use crate::protocol::Protocol::{self, Tcp, Udp};
use anyhow::Result;
use client::ClientRun;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The delay of the simulated path. It is far above the delays of a busy machine.
const DELAY: Duration = Duration::from_millis(40);

/// The interval between requests at a server that predicts them. It is longer than [`DELAY`], so the first reply of the
/// server is genuine.
const INTERVAL: Duration = Duration::from_millis(60);

/// A predicted reply leaves the server this time after its request is due at the client. A reply before its request
/// would belong to no request.
const MARGIN: Duration = Duration::from_millis(5);

/// The maximum number of times that a client may send one request (docs/security.md). The test counts the requests and
/// the connections of all requests together.
const MAX_SENDS: u64 = 4;

/// The maximum memory of the client in bytes. A measurement of this size needs about 10 MiB.
const MAX_MEMORY: u64 = 64 << 20;

/// The maximum duration of a client. The measurements take up to two seconds. A busy machine needs more time.
const MAX_DURATION: Duration = Duration::from_secs(15);

/// A hostile server, and the measurement that it attacks.
struct Case {
    title: &'static str,
    protocol: Protocol,
    /// The number of requests of the measurement.
    requests: u64,
    /// The other arguments of the client.
    arguments: &'static [&'static str],
    serve: Serve,
    expectation: Expectation,
}

/// A hostile server. It prints no output.
#[derive(Clone, Copy)]
enum Serve {
    Udp(fn(&std::net::UdpSocket, &Progress)),
    Tcp(fn(&std::net::TcpListener, &Progress)),
}

/// The required result of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expectation {
    /// Not all requests have a reply, and no RTT is below [`DELAY`].
    NoEarlyReply,
    /// No request has a correct reply.
    NoReply,
    /// Some requests have a correct reply. The client sends the others again.
    SecondSends,
}

const CASES: [Case; 5] = [
    Case {
        title: "predicts requests",
        protocol: Udp,
        requests: 15,
        arguments: &["-i", "60ms", "-W", "300ms"],
        serve: Serve::Udp(udp::predict),
        expectation: Expectation::NoEarlyReply,
    },
    Case {
        title: "predicts requests",
        protocol: Tcp,
        requests: 15,
        arguments: &["-i", "60ms", "-W", "300ms"],
        serve: Serve::Tcp(tcp::predict),
        expectation: Expectation::NoEarlyReply,
    },
    Case {
        title: "sends 200 false replies each",
        protocol: Udp,
        requests: 20,
        // One of the false replies is the unchanged request. It is the correct reply of a plain echo server.
        arguments: &["-i", "20ms", "-W", "300ms", "--echo", "upper"],
        serve: Serve::Udp(udp::false_replies),
        expectation: Expectation::NoReply,
    },
    Case {
        title: "sends false replies",
        protocol: Tcp,
        requests: 20,
        arguments: &["-i", "20ms", "-W", "300ms"],
        serve: Serve::Tcp(tcp::false_replies),
        expectation: Expectation::NoReply,
    },
    Case {
        title: "closes after each reply",
        protocol: Tcp,
        requests: 1000,
        arguments: &["--rate", "1000", "-W", "500ms"],
        serve: Serve::Tcp(tcp::close_after_reply),
        expectation: Expectation::SecondSends,
    },
];

/// The counts of a hostile server, and the flag that ends the server.
#[derive(Debug, Default)]
struct Progress {
    requests: AtomicU64,
    connections: AtomicU64,
    is_finished: AtomicBool,
}

impl Progress {
    fn add_requests(&self, count: u64) {
        self.requests.fetch_add(count, Relaxed);
    }

    fn add_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    fn is_finished(&self) -> bool {
        self.is_finished.load(Relaxed)
    }
}

/// Runs all cases, prints the results, and returns the failures.
pub(super) fn run() -> Result<Vec<String>> {
    print_paragraph(&format!(
        "\nrtt-client at servers that send false replies. Limits: an RTT of at least {DELAY:?}, \
         {MAX_SENDS} times the planned number of requests, {} MiB of memory. The status must not be \
         0, except after a correct reply to each request.",
        MAX_MEMORY >> 20
    ));
    println!(
        "\n{:<34}{:>7}{:>9}{:>9}{:>8}{:>7}{:>6}",
        "", "status", "planned", "arrived", "RTT, ms", "MiB", "s"
    );
    let mut failures = Vec::new();
    for case in &CASES {
        let progress = Progress::default();
        let run = run_case(case, &progress)?;
        let arrived = progress.requests.load(Relaxed).max(progress.connections.load(Relaxed));
        print_row(case, &run, arrived);
        failures.extend(judge(case, &run, arrived));
    }
    Ok(failures)
}

fn run_case(case: &Case, progress: &Progress) -> Result<ClientRun> {
    thread::scope(|scope| {
        let address = match case.serve {
            Serve::Udp(serve) => {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
                let address = socket.local_addr()?;
                scope.spawn(move || serve(&socket, progress));
                address
            }
            Serve::Tcp(serve) => {
                let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
                let address = listener.local_addr()?;
                scope.spawn(move || serve(&listener, progress));
                address
            }
        };
        let count = case.requests.to_string();
        let mut arguments = vec![case.protocol.name(), "-c", &count];
        arguments.extend(case.arguments);
        let run = client::run(&address.to_string(), &arguments, MAX_DURATION);
        progress.is_finished.store(true, Relaxed);
        run
    })
}

fn print_row(case: &Case, run: &ClientRun, arrived: u64) {
    println!(
        "{:<34}{:>7}{:>9}{:>9}{:>8}{:>7}{:>6.1}",
        name(case),
        run.status.map_or("-".to_owned(), |status| status.to_string()),
        case.requests,
        arrived,
        run.fastest.map_or("-".to_owned(), |rtt| format!("{:.2}", rtt.as_secs_f64() * 1e3)),
        run.memory >> 20,
        run.duration.as_secs_f64()
    );
}

fn name(case: &Case) -> String {
    format!("{}: {}", case.protocol, case.title)
}

/// Returns the failures of one case. `arrived` is the number of requests or connections at the server.
fn judge(case: &Case, run: &ClientRun, arrived: u64) -> Vec<String> {
    /// The exit statuses if requests had no correct reply (1), or if the run could not start (2).
    const UNSUCCESSFUL: [i32; 2] = [1, 2];
    let mut failures = Vec::new();
    let mut fail = |text: String| failures.push(format!("rtt-client, {}: {text}", name(case)));
    let is_unsuccessful = run.status.is_some_and(|status| UNSUCCESSFUL.contains(&status));
    match case.expectation {
        Expectation::SecondSends if run.status == Some(0) => {}
        _ if is_unsuccessful => {}
        _ => fail(format!("the exit status is {:?}", run.status)),
    }
    match (case.expectation, run.fastest) {
        (Expectation::NoEarlyReply, Some(rtt)) if rtt < DELAY => {
            fail(format!("an RTT of {rtt:.2?} is below the delay of the path, {DELAY:?}"));
        }
        (Expectation::NoReply, Some(rtt)) => {
            fail(format!("a false reply counts as a reply, with an RTT of {rtt:.2?}"));
        }
        (Expectation::SecondSends, None) => fail("no request has a correct reply".to_owned()),
        _ => {}
    }
    if case.expectation == Expectation::SecondSends && arrived <= case.requests {
        fail(format!("{arrived} requests arrived, so no request was sent again"));
    }
    if arrived > MAX_SENDS * case.requests {
        fail(format!("{arrived} requests or connections arrived; {} are planned", case.requests));
    }
    if run.memory > MAX_MEMORY {
        fail(format!("the client used {} MiB", run.memory >> 20));
    }
    if run.duration >= MAX_DURATION {
        fail(format!("the client ran for {:.1?}", run.duration));
    }
    failures
}

/// The text of the request with the number `number`, computed from another request. `None`: the request has an unknown
/// form.
fn predicted_reply(known: &[u8], number: u64) -> Option<Vec<u8>> {
    /// The number of a request has this many digits.
    const DIGITS: usize = 10;
    /// A request with a timing header of version 2 has its number after the header (docs/protocol.md).
    const HEADER: (&[u8], usize) = (b"echo-rtt/2?", 118);
    let start = if known.starts_with(HEADER.0) { HEADER.1 } else { 0 };
    let mut reply = known.to_ascii_uppercase();
    let digits = reply.get_mut(start..start + DIGITS)?;
    digits.copy_from_slice(format!("{number:010}").as_bytes());
    Some(reply)
}

/// Sleeps until `time`.
fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(expectation: Expectation) -> Case {
        Case {
            title: "test",
            protocol: Udp,
            requests: 10,
            arguments: &[],
            serve: Serve::Udp(udp::predict),
            expectation,
        }
    }

    fn client(status: i32, fastest: Option<Duration>) -> ClientRun {
        ClientRun { status: Some(status), fastest, memory: 0, duration: Duration::ZERO }
    }

    fn failures(expectation: Expectation, status: i32, fastest: Option<Duration>) -> usize {
        judge(&case(expectation), &client(status, fastest), 10).len()
    }

    #[test]
    fn early_reply_and_success_are_failures() {
        let slow = Some(DELAY);
        let fast = Some(DELAY / 2);
        assert_eq!(failures(Expectation::NoEarlyReply, 1, slow), 0);
        assert_eq!(failures(Expectation::NoEarlyReply, 1, fast), 1);
        assert_eq!(failures(Expectation::NoEarlyReply, 0, fast), 2);
        assert_eq!(failures(Expectation::NoEarlyReply, 1, None), 0);
    }

    #[test]
    fn accepted_false_reply_is_a_failure() {
        assert_eq!(failures(Expectation::NoReply, 1, None), 0);
        assert_eq!(failures(Expectation::NoReply, 1, Some(DELAY)), 1);
        assert_eq!(failures(Expectation::NoReply, 0, None), 1);
    }

    #[test]
    fn missing_reply_or_missing_second_send_is_a_failure() {
        let failures = |fastest, arrived| {
            judge(&case(Expectation::SecondSends), &client(1, fastest), arrived).len()
        };
        assert_eq!(failures(Some(DELAY), 11), 0);
        assert_eq!(failures(None, 11), 1);
        assert_eq!(failures(Some(DELAY), 10), 1);
    }

    #[test]
    fn panic_and_signal_are_failures() {
        for expectation in [Expectation::NoEarlyReply, Expectation::NoReply] {
            assert_eq!(failures(expectation, 101, None), 1, "{expectation:?}");
        }
        let judge = |run| judge(&case(Expectation::SecondSends), &run, 11).len();
        assert_eq!(judge(client(101, Some(DELAY))), 1);
        assert_eq!(judge(client(0, Some(DELAY))), 0);
        assert_eq!(judge(ClientRun { status: None, ..client(0, Some(DELAY)) }), 1);
    }

    #[test]
    fn requests_memory_and_time_have_limits() {
        let judge = |run, arrived| judge(&case(Expectation::SecondSends), &run, arrived).len();
        let run = client(0, Some(DELAY));
        assert_eq!(judge(run, 4 * 10), 0);
        assert_eq!(judge(run, 4 * 10 + 1), 1);
        assert_eq!(judge(ClientRun { memory: MAX_MEMORY + 1, ..run }, 11), 1);
        assert_eq!(judge(ClientRun { duration: MAX_DURATION, ..run }, 11), 1);
    }

    #[test]
    fn prediction_replaces_the_number() {
        assert_eq!(predicted_reply(b"0000000001the", 2).unwrap(), b"0000000002THE");
        let header = format!("echo-rtt/2?{:0>107}0000000001the", "");
        let reply = predicted_reply(header.as_bytes(), 12).unwrap();
        assert!(reply.starts_with(b"ECHO-RTT/2?"));
        assert!(reply.ends_with(b"0000000012THE"));
        assert_eq!(predicted_reply(b"short", 2), None);
    }
}
