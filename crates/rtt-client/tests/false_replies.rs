//! Tests of servers that reply before a request arrives, and of hosts that forge replies. The client never counts such a
//! reply, and its exit status is not 0 if a request has no correct reply.

mod scripted;

use echo_core::header::version2::{self, ClockState, FlowCounts, Report};
use echo_core::header::{ArrivalClock, Timing};
use rtt_client::{Content, Settings};
use scripted::{at_rate, back_to_back, counts, number, raw_udp_server, series, udp_server};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// The simulated delay of the path, in both directions together.
const PATH_DELAY: Duration = Duration::from_millis(40);

/// A timeout that does not expire if there is a correct reply, even on a slow machine.
const LONG: Duration = Duration::from_secs(20);

/// A timeout for requests without a correct reply. The correct replies to other requests arrive in this time, even on a slow
/// machine.
const SHORT: Duration = Duration::from_secs(2);

/// The reply to the request after the one with this reply, as far as a server can predict it: only the number changes.
fn predicted(reply: &[u8]) -> Vec<u8> {
    let mut predicted = reply.to_vec();
    let start = position_of_number(reply);
    let next = format!("{:010}", number(reply) + 1);
    predicted[start..start + next.len()].copy_from_slice(next.as_bytes());
    predicted
}

fn position_of_number(reply: &[u8]) -> usize {
    if reply[0].is_ascii_digit() { 0 } else { version2::HEADER_LEN }
}

/// The same reply with a false token. An attacker can predict everything except the token.
fn with_false_token(reply: &[u8]) -> Vec<u8> {
    let mut forged = reply.to_vec();
    // The token follows the number of 10 digits.
    let token = position_of_number(reply) + 10;
    forged[token] = if forged[token] == b'A' { b'B' } else { b'A' };
    forged
}

/// Starts a UDP server on a path with a delay. It answers the first request. From then on, it predicts each reply from the
/// previous request, and sends it before the delay of the path has passed.
fn predicting_udp_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        let mut previous: Option<Vec<u8>> = None;
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let reply = buffer[..length].to_ascii_uppercase();
            let _ = socket.send_to(&delayed_or_predicted(&reply, previous.as_deref()), client);
            previous = Some(reply);
        }
    });
    address
}

/// Without a previous reply, waits for the delay of the path and returns the correct reply. Otherwise, predicts the reply
/// from the previous one, without a delay.
fn delayed_or_predicted(reply: &[u8], previous: Option<&[u8]>) -> Vec<u8> {
    previous.map_or_else(
        || {
            thread::sleep(PATH_DELAY);
            reply.to_vec()
        },
        predicted,
    )
}

/// Starts a TCP server on a path with a delay. On each connection, it answers the first request. From then on, it predicts each
/// reply from the previous request.
fn predicting_tcp_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            predict_replies(stream);
        }
    });
    address
}

/// Serves one connection until the client closes it.
fn predict_replies(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 65_536];
    let mut previous: Option<Vec<u8>> = None;
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let reply = buffer[..length].to_ascii_uppercase();
        if stream.write_all(&delayed_or_predicted(&reply, previous.as_deref())).is_err() {
            return;
        }
        previous = Some(reply);
    }
}

/// Runs the program. Returns its events and its exit status.
fn run_program(arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let program = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
    let output = { program }.args(arguments).args(["--format", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (events.collect(), output.status.code())
}

#[test]
fn predicted_replies_never_count_as_replies() {
    for (protocol, server) in [("udp", predicting_udp_server()), ("tcp", predicting_tcp_server())] {
        let series = ["-c", "4", "-i", "0", "-W", "2s"];
        let (events, status) = run_program(&[&[protocol, &server], &series[..]].concat());
        let summary = events.last().unwrap();
        assert_eq!(status, Some(1), "{summary}");
        let [sent, received, corrupt, wrong] =
            counts(summary, ["sent", "received", "corrupt", "wrong_token"]);
        // Only the first reply on a connection is correct. After a wrong reply, the client opens a new TCP connection.
        let correct = if protocol == "tcp" { 2 } else { 1 };
        assert_eq!([sent, received, corrupt, wrong], [4, correct, 4 - correct, 4 - correct]);
        let min = Duration::from_nanos(summary["rtt_ns"]["min"].as_u64().unwrap());
        assert!(min >= PATH_DELAY, "{protocol}: {min:?}");
    }
}

#[test]
fn forged_replies_before_the_correct_ones_change_nothing() {
    for settings in [back_to_back(50), at_rate(200, 500.0)] {
        let settings = Settings { timeout: LONG, ..settings };
        let server = udp_server(|_, reply, send| {
            send(&with_false_token(&reply));
            send(&predicted(&reply));
            thread::sleep(Duration::from_millis(1));
            send(&reply);
        });
        let (summary, _) = series("udp", &server, settings);
        let [sent, received, unmatched] = counts(&summary, ["sent", "received", "unmatched"]);
        assert_eq!((received, unmatched), (sent, 0), "{summary}");
        assert_eq!(counts(&summary, ["wrong_token", "duplicates"]), [2 * sent, 0], "{summary}");
        let min = Duration::from_nanos(summary["rtt_ns"]["min"].as_u64().unwrap());
        assert!(min >= Duration::from_millis(1), "a forged reply was counted: {min:?}");
        let notes = summary["notes"].to_string();
        assert!(notes.contains("replies had a wrong token"), "{notes}");
    }
}

#[test]
fn reply_with_a_false_token_alone_is_corrupt_at_the_timeout() {
    let server = udp_server(|number, reply, send| {
        if number % 2 == 0 {
            send(&with_false_token(&reply));
        } else {
            send(&reply);
        }
    });
    let settings = Settings { timeout: SHORT, ..at_rate(10, 100.0) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "corrupt", "wrong_token"]), [5, 5, 5]);
    let wrong = events.iter().filter(|event| event["outcome"] == "corrupt");
    for exchange in wrong {
        assert_eq!(exchange["condition"], "wrong-answer", "{exchange}");
        assert_eq!(exchange["detail"], "the token of the reply is wrong", "{exchange}");
    }
}

#[test]
fn numbered_message_has_a_token_too() {
    let server = udp_server(|_, reply, send| {
        assert_eq!(&reply[23..], b" HELLO", "number, token, space, message");
        send(&with_false_token(&reply));
        send(&reply);
    });
    let content = Content::Numbered("hello".into());
    let settings = Settings { content, timeout: LONG, ..back_to_back(5) };
    let (summary, events) = series("udp", &server, settings);
    assert_eq!(counts(&summary, ["received", "wrong_token"]), [5, 5]);
    assert!(events.iter().all(|event| event["type"] != "exchange" || event["reply"] == "HELLO"));
}

#[test]
fn timing_header_of_a_forged_reply_is_not_used() {
    let server = udp_server(|number, reply, send| {
        let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(1) };
        let flow = FlowCounts { received: 1000, sent: 1000, ..FlowCounts::default() };
        let report = Report {
            timing,
            arrival: Duration::from_secs(1),
            clock: ClockState::Unsynchronised,
            flow: Some(flow),
            limit_delay: Duration::ZERO,
        };
        let mut forged = with_false_token(&reply);
        let header = version2::reply_header(reply.len(), &report);
        forged[..version2::HEADER_LEN].copy_from_slice(&header);
        send(&forged);
        // The correct reply has no report. Each fifth one is lost.
        if number % 5 != 0 {
            send(&reply);
        }
    });
    for breakdown in [false, true] {
        let settings = Settings { timeout: SHORT, breakdown, ..at_rate(50, 500.0) };
        let (summary, _) = series("udp", &server, settings);
        assert_eq!(counts(&summary, ["received", "corrupt"]), [40, 10], "{summary}");
        // With a breakdown, later requests have a header of version 1. A header of version 2 is wrong, too.
        let forged = counts(&summary, ["wrong_token", "unmatched"]);
        assert!(breakdown || forged == [50, 0], "{summary}");
        assert!(summary.get("variation_there_ns").is_none(), "{summary}");
        let parts = summary.get("breakdown");
        assert!(parts.is_none_or(|parts| parts.get("server_ns").is_none()), "{summary}");
    }
}

#[test]
fn request_without_space_for_a_token_has_a_note() {
    let server = udp_server(|_, reply, send| send(&reply));
    for (size, bits) in [(10, Some(0)), (128, Some(0)), (134, Some(30)), (135, None), (144, None)] {
        let content = Content::Sized(Some(size));
        let settings = Settings { content, timeout: LONG, ..back_to_back(2) };
        let (summary, _) = series("udp", &server, settings);
        assert_eq!(counts(&summary, ["received"]), [2]);
        let notes = summary["notes"].to_string();
        let expected = bits.map(|bits| format!("only {bits} of the 64 bits of its token"));
        assert_eq!(notes.contains("of its token"), expected.is_some(), "{size}: {notes}");
        assert!(expected.is_none_or(|expected| notes.contains(&expected)), "{size}: {notes}");
    }
}

#[test]
fn diagnosis_waits_for_the_correct_reply_after_a_wrong_datagram() {
    let server = raw_udp_server(|reply, send| {
        send(b"garbage");
        send(&reply);
    });
    let target = format!("udp://{server}");
    let (events, status) = run_program(&["diagnose", &target, "-W", "10s"]);
    assert_eq!((&events[0]["condition"], status), (&"answering".into(), Some(0)), "{events:?}");
    let server = raw_udp_server(|_, send| send(b"garbage"));
    let target = format!("udp://{server}");
    let (events, status) = run_program(&["diagnose", &target, "-W", "2s"]);
    assert_eq!((&events[0]["condition"], status), (&"wrong-answer".into(), Some(1)), "{events:?}");
}
