//! The client against peers that do what a script says: exact outcomes, over real sockets.

use rtt_client::report::{Json, JsonConfig};
use rtt_client::{Plan, Settings, protocol_named, run};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

/// Long enough that only what never comes takes it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A time-out that a test means to run into.
const SOON: Duration = Duration::from_millis(150);

/// Exchanges `message` with `address`; returns the events.
fn exchange(protocol: &str, address: &str, timeout: Duration, message: &[u8]) -> Vec<Value> {
    let protocol = protocol_named(protocol).unwrap();
    let target = address.parse().unwrap();
    let settings = Settings { timeout, ..Settings::one(message.to_vec()) };
    let plan = Plan::new(protocol, target, settings).unwrap();
    let mut lines = Vec::new();
    run(&plan, &mut Json::new(&mut lines, JsonConfig::default()), &AtomicBool::new(false)).unwrap();
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn event<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("{events:?}"))
}

/// The outcome of the exchange, and its condition if it has one.
fn outcome(events: &[Value]) -> (&str, Option<&str>) {
    let exchange = event(events, "exchange");
    (exchange["outcome"].as_str().unwrap(), exchange["condition"].as_str())
}

fn counts(events: &[Value]) -> [u64; 4] {
    let summary = event(events, "summary");
    ["sent", "received", "lost", "corrupt"].map(|name| summary[name].as_u64().unwrap())
}

/// A UDP peer that answers one datagram as told.
fn udp_peer(answer: impl FnOnce(&UdpSocket, SocketAddr, &[u8]) + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut request = vec![0; 65_536];
        let (length, client) = socket.recv_from(&mut request).unwrap();
        answer(&socket, client, &request[..length]);
    });
    address
}

/// A TCP peer that treats one connection as told.
fn tcp_peer(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = vec![0; 65_536];
    let length = stream.read(&mut request).unwrap();
    request.truncate(length);
    request
}

#[test]
fn a_datagram_and_its_reply() {
    let peer = udp_peer(|socket, client, request| {
        socket.send_to(&request.to_ascii_uppercase(), client).unwrap();
    });
    let events = exchange("udp", &peer, PATIENCE, b"hello");
    assert_eq!(outcome(&events), ("reply", None));
    assert_eq!(event(&events, "exchange")["reply"], "HELLO");
    assert_eq!(counts(&events), [1, 1, 0, 0]);
    let rtt = event(&events, "exchange")["rtt_ns"].as_u64().unwrap();
    assert!(rtt > 0);
    assert_eq!(event(&events, "summary")["rtt_ns"]["p50"], rtt);
    assert_eq!(event(&events, "start")["address"], peer);
}

#[test]
fn a_delay_of_the_peer_is_in_the_rtt() {
    const DELAY: Duration = Duration::from_millis(50);
    let peer = udp_peer(|socket, client, _| {
        thread::sleep(DELAY);
        socket.send_to(b"X", client).unwrap();
    });
    let events = exchange("udp", &peer, PATIENCE, b"x");
    let rtt = event(&events, "exchange")["rtt_ns"].as_u64().unwrap();
    assert!(u128::from(rtt) >= DELAY.as_nanos(), "{rtt}");
}

#[test]
fn datagrams_that_are_no_reply_are_corrupt_and_have_no_rtt() {
    for answer in [&b"hello"[..], b"HELLO!", b"HELL", b"", b"\xff\x1b["] {
        let peer = udp_peer(|socket, client, _| {
            socket.send_to(answer, client).unwrap();
        });
        let events = exchange("udp", &peer, PATIENCE, b"hello");
        assert_eq!(outcome(&events), ("corrupt", Some("wrong-answer")), "{answer:?}");
        assert_eq!(counts(&events), [1, 0, 0, 1]);
        assert!(event(&events, "exchange").get("rtt_ns").is_none());
        assert!(event(&events, "summary").get("rtt_ns").is_none());
    }
}

#[test]
fn a_stranger_can_not_answer_for_the_peer() {
    let peer = udp_peer(|socket, client, _| {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(b"FORGED", client).unwrap();
        socket.send_to(b"HELLO", client).unwrap();
    });
    assert_eq!(outcome(&exchange("udp", &peer, PATIENCE, b"hello")), ("reply", None));
}

#[test]
fn silence_ends_at_the_time_out() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (protocol, address) in [
        ("udp", socket.local_addr().unwrap()),
        // The kernel completes the handshake; nobody ever reads.
        ("tcp", listener.local_addr().unwrap()),
    ] {
        let begun = Instant::now();
        let events = exchange(protocol, &address.to_string(), SOON, b"hello");
        assert_eq!(outcome(&events), ("lost", Some("silent")), "{protocol}");
        assert_eq!(counts(&events), [1, 0, 1, 0]);
        assert!(begun.elapsed() >= SOON);
        // Generous: a machine under load wakes us late.
        assert!(begun.elapsed() < SOON + PATIENCE);
    }
}

#[test]
fn nobody_there_is_refused() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(outcome(&exchange("udp", &free, PATIENCE, b"x")), ("error", Some("refused")));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let events = exchange("tcp", &free, PATIENCE, b"x");
    assert_eq!(outcome(&events), ("error", Some("refused")));
    assert_eq!(counts(&events), [1, 0, 1, 0]);
    let connection = event(&events, "connection");
    assert!(connection.get("requested").is_some() && connection.get("established").is_none());
    assert!(event(&events, "summary").get("connect_ns").is_none());
}

#[test]
fn a_server_that_closes_after_its_reply_is_a_good_server() {
    let peer = tcp_peer(|mut stream| {
        let request = read_some(&mut stream);
        stream.write_all(&request.to_ascii_uppercase()).unwrap();
    });
    let events = exchange("tcp", &peer, PATIENCE, b"hello");
    assert_eq!(outcome(&events), ("reply", None));
    assert_eq!(counts(&events), [1, 1, 0, 0]);
    let connect = event(&events, "connection")["connect_ns"].as_u64().unwrap();
    assert_eq!(event(&events, "summary")["connect_ns"]["max"], connect);
}

#[test]
fn a_reply_in_pieces_is_one_reply() {
    let peer = tcp_peer(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let request = read_some(&mut stream).to_ascii_uppercase();
        for byte in request {
            stream.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
    });
    let events = exchange("tcp", &peer, PATIENCE, b"hello, world");
    assert_eq!(outcome(&events), ("reply", None));
    // The RTT ends with the last piece.
    assert!(event(&events, "exchange")["rtt_ns"].as_u64().unwrap() > 11 * 2_000_000);
}

#[test]
fn connections_that_end_without_the_whole_reply() {
    let peer = tcp_peer(|mut stream| drop(read_some(&mut stream)));
    let events = exchange("tcp", &peer, PATIENCE, b"hello");
    assert_eq!(outcome(&events), ("error", Some("closed")));

    let peer = tcp_peer(|mut stream| {
        read_some(&mut stream);
        stream.write_all(b"HEL").unwrap();
    });
    let events = exchange("tcp", &peer, PATIENCE, b"hello");
    assert_eq!(outcome(&events), ("error", Some("closed")));
    let detail = event(&events, "exchange")["detail"].as_str().unwrap();
    assert!(detail.contains("3 of the reply's 5 bytes"), "{detail}");

    let peer = tcp_peer(|mut stream| {
        read_some(&mut stream);
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    });
    assert_eq!(outcome(&exchange("tcp", &peer, PATIENCE, b"hello")), ("error", Some("reset")));
}

#[test]
fn a_beginning_without_an_end_is_lost() {
    let peer = tcp_peer(|mut stream| {
        read_some(&mut stream);
        stream.write_all(b"HEL").unwrap();
        // Ends when the client closes.
        let _ = stream.read(&mut [0; 8]);
    });
    let events = exchange("tcp", &peer, SOON, b"hello");
    assert_eq!(outcome(&events), ("lost", Some("silent")));
    let detail = event(&events, "exchange")["detail"].as_str().unwrap();
    assert!(detail.contains('3') && detail.contains('5'), "{detail}");
}

#[test]
fn a_peer_that_talks_for_ever_is_not_listened_to_for_ever() {
    let peer = tcp_peer(|mut stream| {
        read_some(&mut stream);
        while stream.write_all(&[b'A'; 4096]).is_ok() {}
    });
    let events = exchange("tcp", &peer, PATIENCE, b"hello");
    assert_eq!(outcome(&events), ("corrupt", Some("wrong-answer")));
    assert!(event(&events, "exchange")["reply"].as_str().unwrap().len() <= 64 * 1024);
}

#[test]
fn a_message_longer_than_all_buffers_comes_back() {
    let peer = tcp_peer(|mut stream| {
        // As a server that holds little does: reads a piece, answers it, reads on.
        let mut piece = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            if stream.write_all(&piece[..length].to_ascii_uppercase()).is_err() {
                break;
            }
        }
    });
    let message = vec![b'x'; 16 << 20];
    let events = exchange("tcp", &peer, PATIENCE, &message);
    assert_eq!(outcome(&events), ("reply", None));
}
