//! Series whose server is absent for a part of the run. The tests start and stop the server, and compare these times
//! with the outages in the summary.

mod scripted;

use chrono::{DateTime, Utc};
use rtt_client::Settings;
use scripted::{counts, series};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

/// The time between two requests.
const INTERVAL: Duration = Duration::from_millis(50);

/// The time that a slow machine takes in addition.
const SLACK: Duration = Duration::from_millis(500);

/// The time for which a server is absent in the middle of a run. It is longer than [`SLACK`].
const ABSENCE: Duration = Duration::from_secs(1);

/// After this time without a request, a server checks whether it must stop.
const POLL: Duration = Duration::from_millis(2);

/// The times before and after a change.
#[derive(Debug, Clone, Copy)]
struct Change {
    before: SystemTime,
    after: SystemTime,
}

impl Change {
    fn of<T>(change: impl FnOnce() -> T) -> (Self, T) {
        let before = SystemTime::now();
        let result = change();
        (Self { before, after: SystemTime::now() }, result)
    }

    /// Checks that the time is at this change, or less than one interval later. A request can be sent before the change, and
    /// reach the server after it.
    fn check(&self, time: &Value, what: &str) {
        let time = parsed(time);
        let allowed = self.before - SLACK..self.after + INTERVAL + SLACK;
        assert!(allowed.contains(&time), "{what}: {time:?} is not in {allowed:?}");
    }
}

fn parsed(time: &Value) -> SystemTime {
    time.as_str().unwrap().parse::<DateTime<Utc>>().unwrap().into()
}

/// An echo server that stops when it is dropped.
struct Server {
    address: SocketAddr,
    replies: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(protocol: &str, address: SocketAddr) -> Self {
        let (replies, stop) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let (counter, flag) = (Arc::clone(&replies), Arc::clone(&stop));
        let (address, thread) = if protocol == "udp" {
            let socket = UdpSocket::bind(address).unwrap();
            (
                socket.local_addr().unwrap(),
                thread::spawn(move || serve_udp(&socket, &counter, &flag)),
            )
        } else {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            (address, thread::spawn(move || serve_tcp(&listener, &counter, &flag)))
        };
        Self { address, replies, stop, thread: Some(thread) }
    }

    /// Waits until the server has sent this number of replies.
    fn wait_for_replies(&self, number: u64) {
        while self.replies.load(Ordering::Relaxed) < number {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn serve_udp(socket: &UdpSocket, replies: &AtomicU64, stop: &AtomicBool) {
    socket.set_read_timeout(Some(POLL)).unwrap();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        socket.send_to(&buffer[..length].to_ascii_uppercase(), client).unwrap();
        replies.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves one connection after another.
fn serve_tcp(listener: &TcpListener, replies: &AtomicU64, stop: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => serve_connection(stream, replies, stop),
            Err(_) => thread::sleep(POLL),
        }
    }
}

fn serve_connection(mut stream: TcpStream, replies: &AtomicU64, stop: &AtomicBool) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(POLL)).unwrap();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => {
                if stream.write_all(&buffer[..length].to_ascii_uppercase()).is_err() {
                    return;
                }
                replies.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if is_timeout(&error) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// An address at which no server listens.
fn free_address(protocol: &str) -> SocketAddr {
    Server::start(protocol, ([127, 0, 0, 1], 0).into()).address
}

fn every_interval(count: u64) -> Settings {
    Settings {
        interval: INTERVAL,
        keep_going: true,
        timeout: Duration::from_millis(500),
        ..Settings::series(count)
    }
}

fn at_the_same_rate(count: u64) -> Settings {
    Settings { rate: Some(1.0 / INTERVAL.as_secs_f64()), ..every_interval(count) }
}

/// The settings with and without a fixed rate.
fn pacings(count: u64) -> [Settings; 2] {
    [every_interval(count), at_the_same_rate(count)]
}

/// The only outage of the summary. Checks the counts: all other requests have a reply, and the server counted the same number.
fn only_outage(summary: &Value, replies: u64) -> Value {
    let [sent, received, lost, corrupt] = counts(summary, ["sent", "received", "lost", "corrupt"]);
    let outages = summary["outages"].as_array().unwrap_or_else(|| panic!("no outage: {summary}"));
    assert_eq!(outages.len(), 1, "{summary}");
    assert_eq!((received, corrupt), (replies, 0), "{summary}");
    assert_eq!((lost, sent - received), (counts(&outages[0], ["requests"])[0], lost), "{summary}");
    let total = &summary["outage_total"];
    assert_eq!((&total["outages"], &total["requests"]), (&json!(1), &json!(lost)));
    assert_eq!(total["duration_ns"], outages[0]["duration_ns"]);
    outages[0].clone()
}

/// Checks that the conditions of an outage are only these.
fn check_conditions(outage: &Value, allowed: &[&str]) {
    let conditions = outage["conditions"].as_array().unwrap();
    let is_allowed = |condition: &Value| allowed.contains(&condition.as_str().unwrap());
    assert!(!conditions.is_empty() && conditions.iter().all(is_allowed), "{outage}");
}

/// The send times of the exchanges with a reply.
fn answered(events: &[Value]) -> Vec<&Value> {
    let replies = events.iter().filter(|event| event["outcome"] == "reply");
    replies.map(|event| &event["sent"]).collect()
}

#[test]
fn outage_before_a_late_start_of_the_server_is_reported() {
    for protocol in ["udp", "tcp"] {
        for settings in pacings(60) {
            let address = free_address(protocol);
            let starter = thread::spawn(move || {
                thread::sleep(Duration::from_secs(2));
                Change::of(|| Server::start(protocol, address))
            });
            let start = SystemTime::now();
            let (summary, events) = series(protocol, &address.to_string(), settings);
            let (start_of_server, server) = starter.join().unwrap();
            assert_eq!(counts(&summary, ["sent"]), [60]);
            let outage = only_outage(&summary, server.replies.load(Ordering::Relaxed));
            check_conditions(&outage, &["refused"]);
            Change { before: start, after: start }.check(&outage["from"], "start of the outage");
            start_of_server.check(&outage["to"], "end of the outage");
            assert_eq!(&outage["to"], answered(&events)[0], "the send time of the first reply");
            let length = parsed(&outage["to"]).duration_since(parsed(&outage["from"])).unwrap();
            let duration = Duration::from_nanos(counts(&outage, ["duration_ns"])[0]);
            assert!(length.abs_diff(duration) < SLACK, "{length:?} {duration:?}");
            assert!(duration + SLACK > Duration::from_secs(2), "{duration:?}");
        }
    }
}

#[test]
fn series_without_keep_going_ends_at_the_first_refusals() {
    for protocol in ["udp", "tcp"] {
        let settings = Settings { keep_going: false, ..every_interval(60) };
        let (summary, _) = series(protocol, &free_address(protocol).to_string(), settings);
        assert!(counts(&summary, ["sent"])[0] <= 2, "{summary}");
        assert!(summary.get("outages").is_none(), "{summary}");
    }
}

#[test]
fn absent_server_does_not_end_a_series_with_keep_going() {
    for protocol in ["udp", "tcp"] {
        for settings in pacings(20) {
            let address = free_address(protocol).to_string();
            let (summary, _) = series(protocol, &address, settings);
            assert_eq!(counts(&summary, ["sent", "lost"]), [20, 20], "{summary}");
            let outage = only_outage(&summary, 0);
            check_conditions(&outage, &["refused"]);
            assert!(outage.get("to").is_none(), "the outage has not ended: {outage}");
            assert!(counts(&outage, ["duration_ns"])[0] >= 900_000_000, "{outage}");
        }
    }
}

/// Runs a series with a server that is absent for [`ABSENCE`] after its tenth reply. Checks the only outage.
fn check_restart(protocol: &'static str, settings: Settings, conditions: &[&str]) {
    let server = Server::start(protocol, ([127, 0, 0, 1], 0).into());
    let address = server.address;
    let restarter = thread::spawn(move || {
        server.wait_for_replies(10);
        let replies = Arc::clone(&server.replies);
        let (stopped, ()) = Change::of(|| drop(server));
        thread::sleep(ABSENCE);
        let (started, server) = Change::of(|| Server::start(protocol, address));
        (stopped, started, server, replies)
    });
    let count = settings.count.unwrap();
    let (summary, events) = series(protocol, &address.to_string(), settings);
    let (stopped, started, server, replies) = restarter.join().unwrap();
    assert_eq!(counts(&summary, ["sent"]), [count]);
    let replies = replies.load(Ordering::Relaxed) + server.replies.load(Ordering::Relaxed);
    let outage = only_outage(&summary, replies);
    check_conditions(&outage, conditions);
    stopped.check(&outage["from"], "start of the outage");
    started.check(&outage["to"], "end of the outage");
    let first = answered(&events).into_iter().find(|sent| parsed(sent) > parsed(&outage["from"]));
    assert_eq!(&outage["to"], first.unwrap(), "the send time of the first reply");
    let requests = counts(&outage, ["requests"])[0];
    let expected = ABSENCE.as_millis() / INTERVAL.as_millis();
    let tolerance = (SLACK.as_millis() * 2 / INTERVAL.as_millis()) + 2;
    assert!(u128::from(requests).abs_diff(expected) <= tolerance, "{requests}");
}

#[test]
fn outage_between_stop_and_restart_of_a_udp_server_is_reported() {
    for settings in pacings(60) {
        // The outage is in the middle, so the option is not necessary.
        for keep_going in [false, true] {
            let settings = Settings { keep_going, ..settings.clone() };
            check_restart("udp", settings, &["refused", "silent"]);
        }
    }
}

#[test]
fn outage_between_stop_and_restart_of_a_tcp_server_is_reported() {
    for settings in pacings(60) {
        for keep_going in [false, true] {
            let settings = Settings { keep_going, ..settings.clone() };
            check_restart("tcp", settings, &["refused", "closed", "reset"]);
        }
    }
}

#[test]
fn outages_while_the_schedule_is_fixed_cause_few_connection_attempts_and_no_delay() {
    let settings = Settings { rate: Some(1000.0), ..every_interval(1000) };
    let (summary, events) = series("tcp", &free_address("tcp").to_string(), settings);
    assert_eq!(counts(&summary, ["sent", "lost"]), [1000, 1000]);
    let attempts = events.iter().filter(|event| event["type"] == "connection").count();
    // One at the start, and then at most one each 50 ms.
    let duration = Duration::from_nanos(counts(&summary, ["duration_ns"])[0]);
    let most = 2 + duration.as_millis() / 50;
    assert!((2..=most).contains(&(attempts as u128)), "{attempts} in {duration:?}");
    // The schedule takes one second. With an attempt to connect for each request, it would be late.
    assert!(duration < Duration::from_secs(5), "{duration:?}");
    assert_eq!(summary["lost_where"], json!({ "unknown": 1000 }));
    assert_eq!(summary["lost_reasons"], json!({ "no-connection": 1000 }));
}

#[test]
fn table_contains_each_request_although_the_server_is_absent() {
    for protocol in ["udp", "tcp"] {
        let address = free_address(protocol).to_string();
        let arguments = [protocol, &address, "--keep-going", "-c", "5", "-i", "20ms"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_rtt-client")).args(arguments).output().unwrap();
        let [out, error] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        for number in 1..=5 {
            let row = format!("     {number}  error: refused");
            assert!(out.lines().any(|line| line.starts_with(&row)), "{row}: {out}");
        }
        assert!(error.matches("refused").count() <= 1, "the explanation appears once: {error}");
    }
}

/// A listener whose queue of new connections is full: the kernel drops each SYN.
#[cfg(target_os = "linux")]
#[test]
fn request_that_was_not_tried_has_no_time_and_its_own_explanation() {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _stream = TcpStream::connect(address).unwrap();
    let settings =
        Settings { rate: Some(100.0), timeout: Duration::from_millis(300), ..every_interval(40) };
    let (_, events) = series("tcp", &address.to_string(), settings);
    let exchanges: Vec<_> = events.iter().filter(|event| event["type"] == "exchange").collect();
    assert_eq!(exchanges.len(), 40);
    let (tried, not_tried): (Vec<_>, Vec<_>) =
        exchanges.into_iter().partition(|exchange| exchange.get("after_ns").is_some());
    assert!(!tried.is_empty() && !not_tried.is_empty(), "{tried:?}");
    for exchange in tried {
        assert!(counts(exchange, ["after_ns"])[0] >= 290_000_000, "{exchange}");
    }
    for exchange in not_tried {
        assert_eq!(exchange["condition"], "silent");
        let explanation = exchange["explanation"].as_str().unwrap();
        assert!(explanation.starts_with("the client did not send the request"), "{explanation}");
    }
}

#[test]
fn single_lost_requests_are_no_outage() {
    let server = scripted::udp_server(|number, reply, send| {
        if number % 4 != 0 {
            send(&reply);
        }
    });
    let settings = Settings { timeout: Duration::from_millis(50), ..scripted::back_to_back(40) };
    let (summary, _) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["lost"]), [10]);
    assert!(summary.get("outages").is_none() && summary.get("outage_total").is_none(), "{summary}");
}

#[test]
fn server_that_pauses_has_an_outage_without_an_error() {
    for fixed_rate in [false, true] {
        let server = scripted::udp_server(|number, reply, send| {
            if !(10..20).contains(&number) && number != 30 {
                send(&reply);
            }
        });
        let timeout = Duration::from_millis(50);
        let settings = Settings { timeout, ..scripted::back_to_back(60) };
        let rate = fixed_rate.then_some(200.0);
        let (summary, _) = series("udp", &server, Settings { rate, ..settings });
        assert_eq!(counts(&summary, ["sent", "lost"]), [60, 11], "{summary}");
        let outages = summary["outages"].as_array().unwrap();
        assert_eq!(outages.len(), 1, "{summary}");
        assert_eq!(outages[0]["requests"], 10, "{summary}");
        assert_eq!(outages[0]["conditions"], json!(["silent"]));
    }
}
