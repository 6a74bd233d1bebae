//! Tests of single exchanges with scripted servers. The outcome must be exactly the one that the script causes.

mod scripted;

use rtt_client::{EchoForm, Settings};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// A timeout that expires only if no reply arrives.
const LONG_TIMEOUT: Duration = Duration::from_secs(10);

/// A timeout for tests in which it expires.
const SHORT_TIMEOUT: Duration = Duration::from_millis(150);

/// The events of one exchange of `message`.
fn exchange(protocol: &str, address: &str, timeout: Duration, message: &[u8]) -> Vec<Value> {
    let settings = Settings { timeout, ..Settings::one(message.to_vec()) };
    scripted::events(protocol, address, settings)
}

/// The first event of this type.
fn event<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("{events:?}"))
}

/// The outcome of the exchange, and its condition if it has one.
fn outcome(events: &[Value]) -> (&str, Option<&str>) {
    let exchange = event(events, "exchange");
    (exchange["outcome"].as_str().unwrap(), exchange["condition"].as_str())
}

/// The counts `sent`, `received`, `lost` and `corrupt` in the summary.
fn counts(events: &[Value]) -> [u64; 4] {
    scripted::counts(event(events, "summary"), ["sent", "received", "lost", "corrupt"])
}

/// Starts a UDP server that calls `answer` for one datagram. Returns its address.
fn udp_server(answer: impl FnOnce(&UdpSocket, SocketAddr, &[u8]) + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut request = vec![0; 65_536];
        let (length, client) = socket.recv_from(&mut request).unwrap();
        answer(&socket, client, &request[..length]);
    });
    address
}

/// Starts a TCP server that calls `serve` for one connection. Returns its address.
fn tcp_server(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

/// Calls `read` once and returns the received bytes.
fn read_once(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = vec![0; 65_536];
    let length = stream.read(&mut request).unwrap();
    request.truncate(length);
    request
}

#[test]
fn request_in_upper_case_is_the_correct_reply() {
    let server = udp_server(|socket, client, request| {
        socket.send_to(&request.to_ascii_uppercase(), client).unwrap();
    });
    let events = exchange("udp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("reply", None));
    assert_eq!(event(&events, "exchange")["reply"], "HELLO");
    assert_eq!(counts(&events), [1, 1, 0, 0]);
    let rtt = event(&events, "exchange")["rtt_ns"].as_u64().unwrap();
    assert!(rtt > 0);
    assert_eq!(event(&events, "summary")["rtt_ns"]["p50"], rtt);
    assert_eq!(event(&events, "start")["address"], server);
}

#[test]
fn rtt_contains_the_delay_of_the_server() {
    const DELAY: Duration = Duration::from_millis(50);
    let server = udp_server(|socket, client, _| {
        thread::sleep(DELAY);
        socket.send_to(b"X", client).unwrap();
    });
    let events = exchange("udp", &server, LONG_TIMEOUT, b"x");
    let rtt = event(&events, "exchange")["rtt_ns"].as_u64().unwrap();
    assert!(u128::from(rtt) >= DELAY.as_nanos(), "{rtt}");
}

#[test]
fn wrong_datagram_is_corrupt_and_has_no_rtt() {
    for reply in [&b"HELlo"[..], b"heLLO", b"HELLO!", b"HELL", b"", b"\xff\x1b["] {
        let server = udp_server(|socket, client, _| {
            socket.send_to(reply, client).unwrap();
        });
        // The correct datagram could still arrive, so the outcome is decided at the timeout.
        let events = exchange("udp", &server, SHORT_TIMEOUT, b"hello");
        assert_eq!(outcome(&events), ("corrupt", Some("wrong-answer")), "{reply:?}");
        assert_eq!(counts(&events), [1, 0, 0, 1]);
        assert!(event(&events, "exchange").get("rtt_ns").is_none());
        assert!(event(&events, "summary").get("rtt_ns").is_none());
    }
}

#[test]
fn unchanged_reply_is_correct_unless_the_user_selects_upper_case() {
    for protocol in ["udp", "tcp"] {
        for (echo, is_correct) in
            [(EchoForm::Auto, true), (EchoForm::Same, true), (EchoForm::Upper, false)]
        {
            let server = match protocol {
                "udp" => udp_server(|socket, client, request| {
                    socket.send_to(request, client).unwrap();
                }),
                _ => tcp_server(|mut stream| {
                    let request = read_once(&mut stream);
                    stream.write_all(&request).unwrap();
                    // Keep the connection open until the client closes it.
                    let _ = stream.read(&mut [0]);
                }),
            };
            let settings = Settings { timeout: SHORT_TIMEOUT, echo, ..Settings::one("hello") };
            let events = scripted::events(protocol, &server, settings);
            let summary = event(&events, "summary");
            if is_correct {
                assert_eq!(outcome(&events), ("reply", None), "{protocol} {echo:?}");
                assert_eq!(summary["echo"], "same", "{summary}");
            } else {
                assert_eq!(outcome(&events), ("corrupt", Some("wrong-answer")), "{protocol}");
                let detail = event(&events, "exchange")["detail"].as_str().unwrap();
                assert!(detail.starts_with("the reply is the unchanged request"), "{detail}");
            }
        }
    }
}

#[test]
fn wrong_datagram_before_the_correct_one_decides_nothing() {
    let server = udp_server(|socket, client, _| {
        for reply in [&b"FORGED"[..], b"HELLO!", b"", b"HELLO"] {
            socket.send_to(reply, client).unwrap();
        }
    });
    let events = exchange("udp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("reply", None));
    assert_eq!(counts(&events), [1, 1, 0, 0]);
    assert_eq!(scripted::counts(event(&events, "summary"), ["unmatched"]), [3]);
}

#[test]
fn datagram_from_another_address_is_ignored() {
    let server = udp_server(|socket, client, _| {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        other.send_to(b"FORGED", client).unwrap();
        socket.send_to(b"HELLO", client).unwrap();
    });
    assert_eq!(outcome(&exchange("udp", &server, LONG_TIMEOUT, b"hello")), ("reply", None));
}

#[test]
fn request_to_a_silent_server_is_lost_after_the_timeout() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (protocol, address) in [
        ("udp", socket.local_addr().unwrap()),
        // The kernel completes the handshake, but no process reads from the connection.
        ("tcp", listener.local_addr().unwrap()),
    ] {
        let start = Instant::now();
        let events = exchange(protocol, &address.to_string(), SHORT_TIMEOUT, b"hello");
        assert_eq!(outcome(&events), ("lost", Some("silent")), "{protocol}");
        assert_eq!(counts(&events), [1, 0, 1, 0]);
        assert!(start.elapsed() >= SHORT_TIMEOUT);
        // A busy machine can wake up the client late.
        assert!(start.elapsed() < SHORT_TIMEOUT + LONG_TIMEOUT);
    }
}

#[test]
fn closed_port_is_refused() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let events = exchange("udp", &free, LONG_TIMEOUT, b"x");
    assert_eq!(outcome(&events), ("error", Some("refused")));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let events = exchange("tcp", &free, LONG_TIMEOUT, b"x");
    assert_eq!(outcome(&events), ("error", Some("refused")));
    assert_eq!(counts(&events), [1, 0, 1, 0]);
    let connection = event(&events, "connection");
    assert!(connection.get("requested").is_some() && connection.get("established").is_none());
    assert!(event(&events, "summary").get("connect_ns").is_none());
}

#[test]
fn server_may_close_the_connection_after_its_reply() {
    let server = tcp_server(|mut stream| {
        let request = read_once(&mut stream);
        stream.write_all(&request.to_ascii_uppercase()).unwrap();
    });
    let events = exchange("tcp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("reply", None));
    assert_eq!(counts(&events), [1, 1, 0, 0]);
    let connect = event(&events, "connection")["connect_ns"].as_u64().unwrap();
    assert_eq!(event(&events, "summary")["connect_ns"]["max"], connect);
}

#[test]
fn reply_in_many_pieces_is_one_reply() {
    let server = tcp_server(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let reply = read_once(&mut stream).to_ascii_uppercase();
        for byte in reply {
            stream.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
    });
    let events = exchange("tcp", &server, LONG_TIMEOUT, b"hello, world");
    assert_eq!(outcome(&events), ("reply", None));
    // The RTT ends with the last of 12 pieces.
    assert!(event(&events, "exchange")["rtt_ns"].as_u64().unwrap() > 11 * 2_000_000);
}

#[test]
fn connection_that_ends_before_the_complete_reply_is_an_error() {
    let server = tcp_server(|mut stream| drop(read_once(&mut stream)));
    let events = exchange("tcp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("error", Some("closed")));

    let server = tcp_server(|mut stream| {
        read_once(&mut stream);
        stream.write_all(b"HEL").unwrap();
    });
    let events = exchange("tcp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("error", Some("closed")));
    let detail = event(&events, "exchange")["detail"].as_str().unwrap();
    assert!(detail.contains("3 of the reply's 5 bytes"), "{detail}");

    let server = tcp_server(|mut stream| {
        read_once(&mut stream);
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    });
    let events = exchange("tcp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("error", Some("reset")));
}

#[test]
fn incomplete_reply_is_lost_after_the_timeout() {
    let server = tcp_server(|mut stream| {
        read_once(&mut stream);
        stream.write_all(b"HEL").unwrap();
        // Wait until the client closes the connection.
        let _ = stream.read(&mut [0; 8]);
    });
    let events = exchange("tcp", &server, SHORT_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("lost", Some("silent")));
    let detail = event(&events, "exchange")["detail"].as_str().unwrap();
    assert!(detail.contains('3') && detail.contains('5'), "{detail}");
}

#[test]
fn endless_reply_is_corrupt_and_its_output_is_limited() {
    let server = tcp_server(|mut stream| {
        read_once(&mut stream);
        while stream.write_all(&[b'A'; 4096]).is_ok() {}
    });
    let events = exchange("tcp", &server, LONG_TIMEOUT, b"hello");
    assert_eq!(outcome(&events), ("corrupt", Some("wrong-answer")));
    assert!(event(&events, "exchange")["reply"].as_str().unwrap().len() <= 64 * 1024);
}

#[test]
fn message_longer_than_all_socket_buffers_is_answered() {
    let server = tcp_server(|mut stream| {
        // The server stores only one piece at a time.
        let mut piece = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            if stream.write_all(&piece[..length].to_ascii_uppercase()).is_err() {
                break;
            }
        }
    });
    let message = vec![b'x'; 16 << 20];
    let events = exchange("tcp", &server, LONG_TIMEOUT, &message);
    assert_eq!(outcome(&events), ("reply", None));
}
