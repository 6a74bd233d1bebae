//! The texts about requests without a correct reply: each text states what happened, and does not contradict another one.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};
use std::thread;

/// The exit status, standard output and standard error of a run. Each sequence of spaces and line ends is one space, because
/// the client wraps long lines.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    let words = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    (status.code(), words(stdout), words(stderr))
}

/// The last event of a run with JSON output.
fn last_event(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
    let output = command.args(arguments).args(["--format", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// An address of this host with a port that is closed for UDP and for TCP.
fn closed_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Starts a UDP server that replies with the result of `convert`. Returns its address.
fn udp_server(convert: fn(&[u8]) -> Vec<u8>) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            socket.send_to(&convert(&text[..length]), client).unwrap();
        }
    });
    address
}

#[test]
#[cfg(all(target_os = "linux", not(portable)))]
fn refused_request_is_not_lost_at_an_unknown_place() {
    let (status, out, _) = run(&["udp", &closed_port(), "-c", "3"]);
    assert_eq!(status, Some(1));
    assert!(out.contains("1 sent, 0 received, 1 lost"), "{out}");
    assert!(out.contains("Lost: 1 refused by a host or a firewall"), "{out}");
    assert!(!out.contains("unknown"), "{out}");
    let summary = last_event(&["udp", &closed_port(), "-c", "3"]);
    assert_eq!(summary["lost_where"], serde_json::json!({"unknown": 1}), "the interface is stable");
}

#[test]
fn request_without_a_connection_is_not_called_sent() {
    let (status, out, err) = run(&["tcp", &closed_port(), "-c", "3"]);
    assert_eq!(status, Some(1));
    assert!(out.contains("1 request, 0 received, 1 lost"), "{out}");
    assert!(out.contains("Lost: 1 not sent because no connection was established"), "{out}");
    assert!(err.contains("refused"), "{err}");
}

#[test]
fn request_without_an_address_is_not_called_sent() {
    let arguments = ["udp", "no-such-host.invalid", "-c", "3"];
    let (status, out, _) = run(&arguments);
    assert_eq!(status, Some(1));
    assert!(out.contains("1 request, 0 received, 1 lost"), "{out}");
    assert!(out.contains("Lost: 1 not sent because the name look-up found no address"), "{out}");
    let summary = last_event(&arguments);
    assert_eq!(summary["lost_where"], serde_json::json!({"unknown": 1}), "the sum is `lost`");
}

#[test]
fn connection_that_ends_before_the_reply_is_the_reason_of_a_loss() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]).unwrap();
        }
    });
    let (status, out, _) = run(&["tcp", &address, "-c", "2", "-i", "0"]);
    assert_eq!(status, Some(1));
    assert!(out.contains("2 sent, 0 received, 2 lost"), "{out}");
    assert!(out.contains("Lost: 2 whose connection ended before the reply"), "{out}");
}

#[test]
#[cfg(target_os = "linux")]
fn server_that_does_not_accept_is_reported_as_a_missing_connection() {
    use socket2::{Domain, Socket, Type};
    use std::net::SocketAddr;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // Linux puts backlog + 1 connections into the queue, and drops further SYN segments.
    let queued = std::net::TcpStream::connect(address).unwrap();
    let address = address.to_string();
    let arguments = ["tcp", &address, "-c", "1", "-W", "300ms"];
    let (status, out, err) = run(&arguments);
    assert_eq!(status, Some(1), "{out}");
    assert!(err.contains("no connection was established within the timeout"), "{err}");
    assert!(!err.contains("no reply"), "{err}");
    assert!(out.contains("1 request, 0 received, 1 lost"), "{out}");
    assert!(out.contains("Lost: 1 not sent because no connection was established"), "{out}");
    drop(queued);
}

#[test]
fn wrong_datagram_has_the_reason_for_the_wait() {
    let server = udp_server(|_| b"220 mail.example".to_vec());
    let (status, _, err) = run(&["udp", &server, "hi", "-W", "200ms"]);
    assert_eq!(status, Some(1));
    let expected = "any host can forge a datagram, so the client waited for the correct reply until the timeout";
    assert!(err.contains(expected), "{err}");
    let (_, out, _) = run(&["diagnose", &format!("udp://{server}"), "-W", "200ms"]);
    assert!(out.contains(expected), "{out}");
    assert!(out.contains("something uses the port over UDP"), "{out}");
    assert!(!out.contains("service down"), "{out}");
}

#[test]
fn server_that_converts_to_lower_case_sends_wrong_replies_but_no_wrong_token() {
    let server = udp_server(<[u8]>::to_ascii_lowercase);
    // With the smaller size, the token is the first text with letters.
    for size in ["144", "64"] {
        let arguments = ["udp", &server, "-c", "3", "-i", "0", "-W", "200ms", "-s", size];
        let summary = last_event(&arguments);
        assert_eq!(summary["corrupt"], 3, "{summary}");
        assert_eq!(summary["wrong_token"], 0, "{summary}");
    }
}

#[test]
#[cfg(all(target_os = "linux", not(portable)))]
fn link_local_target_without_a_zone_has_the_advice_to_add_it() {
    if UdpSocket::bind("[::1]:0").is_err() {
        assert!(std::env::var_os("REQUIRE_IPV6").is_none(), "this host has no IPv6");
        println!("SKIPPED: this host has no IPv6");
        return;
    }
    let expected = "the target does not name the link";
    for command in ["udp", "tcp"] {
        let (status, _, err) = run(&[command, "fe80::1", "hi"]);
        assert_eq!(status, Some(1), "{err}");
        assert!(err.contains(expected) && err.contains("fe80::1%eth0"), "{err}");
    }
    let (_, out, _) = run(&["diagnose", "fe80::1"]);
    assert!(out.contains(expected) && out.contains("fe80::1%eth0"), "{out}");
}

#[test]
fn incomplete_reply_is_not_a_missing_reply() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut connections = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(&request[..length.min(3)].to_ascii_uppercase()).unwrap();
            connections.push(stream);
        }
    });
    let (status, out, _) = run(&["diagnose", &format!("tcp://{address}"), "-W", "300ms"]);
    assert_eq!(status, Some(1));
    assert!(out.contains("but did not send a complete reply"), "{out}");
    let (_, _, err) = run(&["tcp", &address, "hello", "-W", "300ms"]);
    assert!(err.contains("no complete reply within the timeout"), "{err}");
}

#[test]
fn diagnosis_does_not_advise_a_protocol_that_it_has_tried() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (_, out, _) = run(&["diagnose", &address, "-W", "300ms"]);
    assert!(out.contains("UDP") && out.contains("silent") && !out.contains("try TCP"), "{out}");
    assert!(out.contains("a program that receives the datagrams but does not answer"), "{out}");
    let (_, out, _) = run(&["diagnose", &format!("udp://{address}"), "-W", "300ms"]);
    assert!(out.contains("try TCP"), "{out}");
}

#[test]
fn local_address_can_have_port_0() {
    let server = udp_server(<[u8]>::to_ascii_uppercase);
    let (status, out, err) = run(&["udp", &server, "hi", "-B", "127.0.0.1:0"]);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
}

#[test]
fn median_of_a_short_series_is_one_of_its_rtts() {
    let server = udp_server(<[u8]>::to_ascii_uppercase);
    let arguments = ["udp", &server, "-c", "5", "-i", "0", "--format", "json"];
    let output = Command::new(env!("CARGO_BIN_EXE_rtt-client")).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: Vec<Value> = events.collect();
    let exchanges = events.iter().filter(|event| event["type"] == "exchange");
    let mut rtts: Vec<u64> = exchanges.map(|event| event["rtt_ns"].as_u64().unwrap()).collect();
    rtts.sort_unstable();
    assert_eq!(rtts.len(), 5, "{text}");
    assert_eq!(events.last().unwrap()["rtt_ns"]["p50"], rtts[2], "{text}");
}
