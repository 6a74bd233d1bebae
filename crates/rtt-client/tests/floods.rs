//! Tests of floods: a peer or another host sends many packets that are not replies. The run still sends all its requests
//! and ends in time, and its memory does not grow.
#![cfg(target_os = "linux")]

use echo_core::header::version2;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum memory of the client. Without a flood it needs about 10 MiB.
const MAX_MEMORY_KIB: u64 = 48 * 1024;

/// The time that a slow machine takes in addition to the run: the whole process, and the measured duration of the run.
const PROCESS_SLACK: Duration = Duration::from_secs(20);
const RUN_SLACK: Duration = Duration::from_secs(5);

/// The maximum of the median lateness of the requests, in nanoseconds. It is far above the pauses of a slow machine.
const MAX_LATENESS_NS: u64 = 100_000_000;

/// A client whose peak memory is observed.
struct Client {
    child: Child,
    start: Instant,
}

/// Ends the client if a test fails.
impl Drop for Client {
    fn drop(&mut self) {
        // The client has usually ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    fn start(arguments: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(arguments.split_whitespace())
            .args(["-q", "--format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, start: Instant::now() }
    }

    /// Waits for the end, and reads the peak of the resident memory meanwhile. Checks that the run was complete, ended in time
    /// and did not use much memory. Returns the summary.
    fn finish(mut self, sent: u64, longest_run: Duration) -> Value {
        let status = format!("/proc/{}/status", self.child.id());
        let mut memory_kib = 0;
        while self.child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
            memory_kib = peak.unwrap_or(memory_kib).max(memory_kib);
            assert!(self.start.elapsed() < longest_run + PROCESS_SLACK, "the run does not end");
            thread::sleep(Duration::from_millis(10));
        }
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(count(&summary, "sent"), sent, "{summary}");
        let outcomes = ["received", "lost", "corrupt"].map(|name| count(&summary, name));
        assert_eq!(sent, outcomes.iter().sum::<u64>(), "{summary}");
        let duration = Duration::from_nanos(count(&summary, "duration_ns"));
        assert!(duration < longest_run + RUN_SLACK, "{summary}");
        assert!((1..MAX_MEMORY_KIB).contains(&memory_kib), "{memory_kib} KiB");
        summary
    }
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}"))
}

/// Checks that the flood did not delay the requests of a schedule.
fn check_lateness(summary: &Value) {
    let median = summary["lateness_ns"]["p50"].as_u64().unwrap();
    assert!(median < MAX_LATENESS_NS, "{summary}");
}

/// The state of a flood. The flooding thread ends at the end of a test.
#[derive(Default)]
struct State {
    is_over: AtomicBool,
    /// The number of datagrams.
    sent: AtomicU64,
}

struct EndOnDrop(Arc<State>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Sends datagrams to the client without a pause, from the socket `from`. `write` changes each datagram before the send.
fn flood(
    from: UdpSocket,
    client: SocketAddr,
    mut datagram: Vec<u8>,
    state: &Arc<State>,
    mut write: impl FnMut(&mut [u8]) + Send + 'static,
) {
    let state = Arc::clone(state);
    thread::spawn(move || {
        while !state.is_over.load(Ordering::Relaxed) {
            write(&mut datagram);
            let is_sent = from.send_to(&datagram, client).is_ok();
            state.sent.fetch_add(u64::from(is_sent), Ordering::Relaxed);
        }
    });
}

/// The flood of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flood {
    /// Datagrams of this length from the server's socket. The server also answers all requests.
    FromServer(usize),
    /// Datagrams of this length from another socket. The server also answers all requests.
    FromOther(usize),
    /// Wrong replies of [`WRONG_REPLY_LEN`] bytes, with the numbers from 1 to this number, again and again. The server does not
    /// answer the requests.
    WrongReplies(u64),
}

/// The length of a wrong reply, in bytes.
const WRONG_REPLY_LEN: usize = 60_000;

/// A UDP server. The flood starts with the first request.
fn udp_server(kind: Flood) -> (SocketAddr, EndOnDrop) {
    let state = Arc::new(State::default());
    let guard = EndOnDrop(Arc::clone(&state));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        let mut is_first = true;
        while let Ok((received, client)) = socket.recv_from(&mut buffer) {
            if std::mem::take(&mut is_first) {
                let server = socket.try_clone().unwrap();
                match kind {
                    Flood::FromServer(length) => {
                        flood(server, client, vec![b'?'; length], &state, |_| {});
                    }
                    Flood::FromOther(length) => {
                        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
                        flood(other, client, vec![b'?'; length], &state, |_| {});
                    }
                    Flood::WrongReplies(last) => {
                        let mut numbers = (1..=last).cycle();
                        let datagram = vec![b'?'; WRONG_REPLY_LEN];
                        flood(server, client, datagram, &state, move |datagram| {
                            let number = format!("{:010}", numbers.next().unwrap());
                            let start = version2::HEADER_LEN;
                            datagram[start..start + number.len()]
                                .copy_from_slice(number.as_bytes());
                        });
                    }
                }
            }
            if !matches!(kind, Flood::WrongReplies(_)) {
                let _ = socket.send_to(&buffer[..received].to_ascii_uppercase(), client);
            }
        }
    });
    (address, guard)
}

#[test]
fn flood_from_the_peer_delays_neither_the_schedule_nor_the_end() {
    for length in [1, 60_000] {
        let (address, _guard) = udp_server(Flood::FromServer(length));
        let client = Client::start(&format!("udp {address} --rate 100 -c 100 -W 1"));
        // The requests are due within one second.
        let summary = client.finish(100, Duration::from_secs(2));
        check_lateness(&summary);
        let unmatched = count(&summary, "unmatched");
        assert!(unmatched > 100, "only {unmatched} packets of the flood were read");
    }
}

#[test]
fn flood_from_the_peer_does_not_extend_the_timeout() {
    let (address, _guard) = udp_server(Flood::FromServer(1));
    let client = Client::start(&format!("udp {address} -i 0.02 -c 20 -W 0.3"));
    // In the worst case, each request is lost.
    client.finish(20, Duration::from_secs(6));
}

#[test]
fn flood_from_another_address_delays_neither_the_schedule_nor_the_end() {
    let (address, flood) = udp_server(Flood::FromOther(60_000));
    let client = Client::start(&format!("udp {address} --rate 100 -c 100 -W 1"));
    check_lateness(&client.finish(100, Duration::from_secs(2)));
    let datagrams = flood.0.sent.load(Ordering::Relaxed);
    assert!(datagrams > 100, "the flood has only {datagrams} datagrams");
}

#[test]
fn long_wrong_replies_to_many_requests_use_little_memory() {
    // The client stores the beginning of at most 1,024 wrong replies. The whole replies would need 60 MB.
    const REQUESTS: u64 = 1100;
    let (address, _guard) = udp_server(Flood::WrongReplies(REQUESTS));
    let client = Client::start(&format!("udp {address} --rate 1000 -c {REQUESTS} -W 3"));
    let summary = client.finish(REQUESTS, Duration::from_secs(5));
    // The receive queue drops a part of the flood, but the flood repeats each reply.
    let corrupt = count(&summary, "corrupt");
    assert!(corrupt > 1000, "only {corrupt} wrong replies were read: {summary}");
}

/// Answers the first request on a connection, and then sends bytes without an end.
fn endless_stream(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
    let _ = stream.write_all(&buffer[..length].to_ascii_uppercase());
    while stream.write_all(&[b'?'; 4096]).is_ok() {}
}

/// Starts a server whose connections are endless streams.
fn endless_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(|| endless_stream(stream));
        }
    });
    address
}

#[test]
fn endless_stream_of_bytes_ends_only_its_connection() {
    let address = endless_server();
    for schedule in ["-i 0.01", "--rate 100"] {
        let client = Client::start(&format!("tcp {address} {schedule} -c 100 -W 1"));
        client.finish(100, Duration::from_secs(101));
    }
}

#[test]
fn reply_of_a_service_that_never_ends_has_bounded_memory() {
    let address = endless_server();
    // The longest reply has 16 MiB, and the client stores one reply at a time.
    for rule in ["--reply-ends z", "--reply-bytes 16777216", ""] {
        let client = Client::start(&format!("tcp {address} --send x {rule} -i 0.01 -c 10 -W 5"));
        client.finish(10, Duration::from_secs(51));
    }
}
