//! Peers and other hosts that send much more than replies. The run still sends all its requests and ends in time, and its
//! memory does not grow.
#![cfg(target_os = "linux")]

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum memory of the client. Without a flood it needs about 10 MiB.
const MAX_MEMORY_KIB: u64 = 48 * 1024;

/// The time that a slow machine takes in addition to the run.
const SLACK: Duration = Duration::from_secs(20);

/// A client whose peak memory is observed.
struct Client {
    child: Child,
    start: Instant,
}

/// The result of a client.
struct Finished {
    summary: Value,
    duration: Duration,
    memory_kib: u64,
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

    /// Waits for the end, and reads the peak of the resident memory meanwhile.
    fn finish(mut self) -> Finished {
        let status = format!("/proc/{}/status", self.child.id());
        let mut memory_kib = 0;
        while self.child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
            memory_kib = peak.unwrap_or(memory_kib).max(memory_kib);
            assert!(self.start.elapsed() < 3 * SLACK, "the run does not end");
            thread::sleep(Duration::from_millis(10));
        }
        let duration = self.start.elapsed();
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let summary = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        Finished { summary, duration, memory_kib }
    }
}

impl Finished {
    /// Checks that the run was complete, ended in time and did not use much memory. Returns the number of packets that belong
    /// to no request.
    fn check(&self, sent: u64, longest_run: Duration) -> u64 {
        let Self { summary, duration, memory_kib } = self;
        let count = |name: &str| summary[name].as_u64().unwrap();
        assert_eq!(count("sent"), sent, "{summary}");
        assert_eq!(sent, count("received") + count("lost") + count("corrupt"), "{summary}");
        assert!(*duration < longest_run + SLACK, "{duration:?}");
        assert!((1..MAX_MEMORY_KIB).contains(memory_kib), "{memory_kib} KiB");
        count("unmatched")
    }
}

/// Ends the flooding threads at the end of a test.
struct EndOnDrop(Arc<AtomicBool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends datagrams to the client without a pause, from the socket `from`.
fn flood(from: UdpSocket, client: SocketAddr, length: usize, end: &Arc<AtomicBool>) {
    let end = Arc::clone(end);
    thread::spawn(move || {
        let datagram = vec![b'?'; length];
        while !end.load(Ordering::Relaxed) {
            let _ = from.send_to(&datagram, client);
        }
    });
}

/// The source of a flood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flood {
    /// Datagrams of this length from the server's socket.
    FromServer(usize),
    /// Datagrams of this length from another socket.
    FromOther(usize),
}

/// A UDP server that answers all requests. The flood starts with the first request.
fn udp_server(kind: Flood) -> (SocketAddr, EndOnDrop) {
    let end = Arc::new(AtomicBool::new(false));
    let guard = EndOnDrop(Arc::clone(&end));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        let mut is_first = true;
        while let Ok((received, client)) = socket.recv_from(&mut buffer) {
            if std::mem::take(&mut is_first) {
                match kind {
                    Flood::FromServer(length) => {
                        flood(socket.try_clone().unwrap(), client, length, &end);
                    }
                    Flood::FromOther(length) => {
                        flood(UdpSocket::bind("127.0.0.1:0").unwrap(), client, length, &end);
                    }
                }
            }
            let _ = socket.send_to(&buffer[..received].to_ascii_uppercase(), client);
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
        let unmatched = client.finish().check(100, Duration::from_secs(2));
        assert!(unmatched > 100, "only {unmatched} packets of the flood were read");
    }
}

#[test]
fn flood_from_the_peer_does_not_extend_the_timeout() {
    let (address, _guard) = udp_server(Flood::FromServer(1));
    let client = Client::start(&format!("udp {address} -i 0.02 -c 20 -W 0.3"));
    // In the worst case, each request is lost.
    client.finish().check(20, Duration::from_secs(6));
}

#[test]
fn flood_from_another_address_delays_neither_the_schedule_nor_the_end() {
    let (address, _guard) = udp_server(Flood::FromOther(60_000));
    let client = Client::start(&format!("udp {address} --rate 100 -c 100 -W 1"));
    client.finish().check(100, Duration::from_secs(2));
}

/// Answers the first request on a connection, and then sends bytes without an end.
fn endless_stream(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
    let _ = stream.write_all(&buffer[..length].to_ascii_uppercase());
    while stream.write_all(&[b'?'; 4096]).is_ok() {}
}

#[test]
fn endless_stream_of_bytes_ends_only_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(|| endless_stream(stream));
        }
    });
    for schedule in ["-i 0.01", "--rate 100"] {
        let client = Client::start(&format!("tcp {address} {schedule} -c 100 -W 1"));
        client.finish().check(100, Duration::from_secs(101));
    }
}

#[test]
fn reply_of_a_service_that_never_ends_has_bounded_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(|| endless_stream(stream));
        }
    });
    // The longest reply has 16 MiB, and the client stores one reply at a time.
    for rule in ["--reply-ends z", "--reply-bytes 16777216", ""] {
        let client = Client::start(&format!("tcp {address} --send x {rule} -i 0.01 -c 10 -W 5"));
        client.finish().check(10, Duration::from_secs(51));
    }
}
