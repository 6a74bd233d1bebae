//! Tests of the limits for requests that are sent again, and for new connections. Scripted servers end each connection
//! early.

mod scripted;

use rtt_client::{Content, Settings};
use scripted::{at_rate, back_to_back, counts, series};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The length of a request, in bytes.
const LEN: usize = 32;

/// The documented maximum number of sends of one request (docs/output.md).
const MAX_SENDS: u64 = 4;

/// The number of bytes and connections that reached a server.
#[derive(Default)]
struct Load {
    bytes: AtomicU64,
    connections: AtomicU64,
}

impl Load {
    fn requests(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) / LEN as u64
    }

    /// Checks the number of requests. The server can read the last of them after the end of the series.
    fn assert_requests(&self, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.requests() < expected && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.requests(), expected);
    }

    /// Reads all bytes until the client closes the connection.
    fn drain(&self, mut stream: TcpStream) {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
}

/// Starts a server that serves each connection in a separate thread. Returns its address and its load.
fn server(serve: fn(&Load, TcpStream)) -> (String, Arc<Load>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let load = Arc::new(Load::default());
    let shared = Arc::clone(&load);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            let load = Arc::clone(&shared);
            thread::spawn(move || serve(&load, stream));
        }
    });
    (address, load)
}

/// Answers one request, closes its side of the connection, and reads what the client sends meanwhile.
fn answer_once(load: &Load, mut stream: TcpStream) {
    let mut request = [0; LEN];
    if stream.read_exact(&mut request).is_ok() {
        load.bytes.fetch_add(LEN as u64, Ordering::Relaxed);
        let _ = stream.write_all(&request.to_ascii_uppercase());
        let _ = stream.shutdown(Shutdown::Write);
        load.drain(stream);
    }
}

/// Waits until this number of requests has arrived. Does not read them.
fn wait_for_requests(stream: &TcpStream, number: u64) {
    let mut buffer = vec![0; LEN * usize::try_from(number).unwrap()];
    while stream.peek(&mut buffer).is_ok_and(|length| (1..buffer.len()).contains(&length)) {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Like [`answer_once`], with a reset for the requests that arrive later.
fn answer_once_and_reset(load: &Load, mut stream: TcpStream) {
    let mut request = [0; LEN];
    if stream.read_exact(&mut request).is_ok() {
        load.bytes.fetch_add(LEN as u64, Ordering::Relaxed);
        let _ = stream.write_all(&request.to_ascii_uppercase());
    }
}

fn short_requests(mut settings: Settings) -> Settings {
    settings.content = Content::Sized(Some(LEN));
    settings
}

#[test]
fn server_that_answers_once_per_connection_gets_a_limited_number_of_requests() {
    for serve in [answer_once, answer_once_and_reset] {
        let (address, load) = server(serve);
        let start = Instant::now();
        let settings = Settings { timeout: Duration::from_secs(2), ..at_rate(3000, 5000.0) };
        let (summary, _) = series("tcp", &address, short_requests(settings));
        let [sent, received] = counts(&summary, ["sent", "received"]);
        assert_eq!(sent, 3000, "{summary}");
        assert!(received > 0, "{summary}");
        let requests = load.requests();
        assert!(requests <= MAX_SENDS * sent, "{requests} requests reached the server: {summary}");
        // Each new connection transmits at least one request.
        let connections = load.connections.load(Ordering::Relaxed);
        assert!(connections <= MAX_SENDS * sent, "{connections} connections: {summary}");
        assert!(counts(&summary, ["resent"])[0] <= (MAX_SENDS - 1) * sent, "{summary}");
        // The requests are due within 0.6 s, and the timeout is 2 s. The machine can be slow.
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}

#[test]
fn request_that_reaches_the_limit_is_lost_with_a_reason_and_a_note() {
    // The server answers after all requests in flight have arrived: ten requests on the first connection, and one less on each
    // further connection.
    let (address, load) = server(|load, stream| {
        let earlier_connections = load.connections.load(Ordering::Relaxed) - 1;
        wait_for_requests(&stream, 10 - earlier_connections);
        answer_once(load, stream);
    });
    let settings = Settings { timeout: Duration::from_secs(20), ..at_rate(10, 1000.0) };
    let (summary, events) = series("tcp", &address, short_requests(settings));
    // Each of the four connections answers one request. The other requests were sent on each of them.
    assert_eq!(counts(&summary, ["sent", "received", "lost", "not_resent"]), [10, 4, 6, 6]);
    assert_eq!(counts(&summary, ["resent"]), [9 + 8 + 7]);
    load.assert_requests(10 + 9 + 8 + 7);
    assert_eq!(load.connections.load(Ordering::Relaxed), MAX_SENDS);
    let lost: Vec<_> = events.iter().filter(|event| event["outcome"] == "error").collect();
    assert_eq!(lost.len(), 6, "{events:?}");
    for event in lost {
        assert_eq!((&event["condition"], &event["origin"]), (&"closed".into(), &"peer".into()));
        let detail = event["detail"].as_str().unwrap();
        assert!(detail.starts_with("sent 4 times"), "{detail}");
    }
    let notes = summary["notes"].to_string();
    assert!(notes.contains("6 requests were lost after 4 sends"), "{notes}");
}

#[test]
fn all_requests_in_flight_have_a_reply_after_one_restart_of_the_server() {
    // Each connection ends once with many requests in flight. The next connection answers all of them.
    let (address, load) = server(|load, mut stream| {
        if load.connections.load(Ordering::Relaxed) == 1 {
            thread::sleep(Duration::from_millis(100));
            return answer_once(load, stream);
        }
        let mut request = [0; LEN];
        while stream.read_exact(&mut request).is_ok() {
            load.bytes.fetch_add(LEN as u64, Ordering::Relaxed);
            let _ = stream.write_all(&request.to_ascii_uppercase());
        }
    });
    let settings = Settings { timeout: Duration::from_secs(20), ..at_rate(200, 1000.0) };
    let (summary, _) = series("tcp", &address, short_requests(settings));
    assert_eq!(counts(&summary, ["sent", "received", "lost"]), [200, 200, 0], "{summary}");
    assert!(summary.get("not_resent").is_none(), "{summary}");
    assert!(load.requests() <= 2 * 200, "{summary}");
}

#[test]
fn server_that_closes_each_connection_at_once_gets_one_connection_for_each_request() {
    for settings in
        [back_to_back(20), Settings { timeout: Duration::from_secs(2), ..at_rate(200, 2000.0) }]
    {
        let (address, load) = server(|_, stream| drop(stream));
        let (summary, _) = series("tcp", &address, short_requests(settings));
        let [sent, received] = counts(&summary, ["sent", "received"]);
        assert_eq!(received, 0, "{summary}");
        let connections = load.connections.load(Ordering::Relaxed);
        assert!(connections <= sent, "{connections} connections for {sent} requests");
    }
}
