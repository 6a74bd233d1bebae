//! The texts about services: headings, findings and comparisons describe the exchanges with the selected service.

#[path = "command/output.rs"]
#[allow(dead_code, reason = "this test program makes no snapshots")]
mod output;
#[path = "service_replies/server.rs"]
#[allow(dead_code, reason = "this test program uses a part of the module")]
mod server;

use output::{Finished, client};
use serde_json::Value;
use server::{Script, read_request, tcp_server};
use std::io::{Read as _, Write as _};

/// The output of the client without line breaks, and its exit status.
fn text(arguments: &[&str]) -> (String, Option<i32>) {
    let Finished { status, out, err } = client(arguments, "");
    assert!(err.is_empty(), "{arguments:?}: {err}");
    (out.split_whitespace().collect::<Vec<_>>().join(" "), status)
}

fn events(arguments: &[&str]) -> Vec<Value> {
    let Finished { out, .. } = client(&[arguments, &["--format", "json"]].concat(), "");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server that sends this reply to each request. The request ends with `end`.
fn replies_with(end: &'static str, reply: &'static [u8]) -> Script {
    tcp_server(move |stream, _| {
        while read_request(stream, end) {
            stream.write_all(reply)?;
        }
        Ok(())
    })
}

/// A server that sends a greeting, and waits until the client closes the connection.
fn greets_with(greeting: &'static [u8]) -> Script {
    tcp_server(move |stream, _| {
        stream.write_all(greeting)?;
        stream.read(&mut [0]).map(drop)
    })
}

#[test]
fn heading_of_a_series_names_the_service() {
    let redis = replies_with("\r\n", b"+PONG\r\n");
    let arguments = ["tcp", &redis.address, "--service", "redis", "-c", "2", "-i", "0", "-q"];
    let (out, _) = text(&arguments);
    assert!(out.contains(", service redis, requests of 6 bytes "), "{out}");
    assert_eq!(events(&arguments)[0]["service"], "redis");
    let any = replies_with("x", b"reply");
    let (out, _) = text(&["tcp", &any.address, "--send", "x", "-c", "2", "-i", "0", "-q"]);
    assert!(out.contains(", requests of 1 byte "), "{out}");
    let ssh = greets_with(b"SSH-2.0-test\r\n");
    let (out, _) = text(&["tcp", &ssh.address, "--service", "ssh", "-c", "2", "-i", "0", "-q"]);
    assert!(out.contains(", service ssh, the server sends first "), "{out}");
    let (out, _) = text(&["tcp", &ssh.address, "--service", "ssh"]);
    assert!(out.contains("(wait started → reply received)"), "{out}");
    assert!(!out.contains("request sent"), "{out}");
}

#[test]
fn diagnosis_of_a_service_does_not_mention_echo_servers() {
    let ssh = greets_with(b"SSH-2.0-test\r\n");
    let refusal = replies_with("\r\n", b"-NOAUTH Authentication required.\r\n");
    for (script, service, status, expected) in [
        (&ssh, "ssh", 0, "the SSH service answers"),
        (&refusal, "redis", 1, "refuses the request: \"-NOAUTH Authentication required.\""),
        (&ssh, "redis", 1, "no correct reply of the Redis service"),
    ] {
        let url = format!("tcp://{}", script.address);
        let (out, found) = text(&["diagnose", &url, "--service", service]);
        assert_eq!(found, Some(status), "{out}");
        assert!(out.contains(expected), "{out}");
        assert!(!out.contains("echo server") && !out.contains("tcp-echo"), "{out}");
    }
}

#[test]
fn series_reports_the_refusal_of_the_selected_service() {
    let refusal = replies_with("\r\n", b"-NOAUTH Authentication required.\r\n");
    let arguments = ["tcp", &refusal.address, "--service", "redis", "-c", "2", "-i", "0", "-q"];
    let (out, status) = text(&arguments);
    assert_eq!(status, Some(1));
    let expected = "The Redis service refuses the request: \"-NOAUTH Authentication required.\".";
    assert!(out.ends_with(expected), "{out}");
}

#[test]
fn comparison_with_a_greeting_has_no_causes_and_claims_about_requests_and_later_exchanges() {
    let ssh = greets_with(b"SSH-2.0-test\r\n");
    let url = format!("tcp://{}", ssh.address);
    let arguments = ["compare", &url, &url, "--service", "ssh", "-c", "40"];
    let (out, status) = text(&arguments);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.contains(", service ssh ") && out.contains(", the server sends first, "), "{out}");
    for absent in ["later exchange", "first exchange", "established", "0 bytes", "TCP windows"] {
        assert!(!out.contains(absent), "{absent} in {out}");
    }
    let events = events(&arguments);
    let verdict = events.last().unwrap();
    assert!(verdict["with_connection"].is_null(), "{verdict}");
    assert!(verdict["sides"][0]["connect_ns"]["p50"].is_u64(), "{verdict}");
}

#[test]
fn comparison_with_a_server_that_closes_its_connections_has_no_later_exchanges() {
    let http = tcp_server(|stream, _| {
        read_request(stream, "\r\n\r\n");
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")
    });
    let url = format!("tcp://{}", http.address);
    let (out, status) = text(&["compare", &url, &url, "--service", "http", "-c", "40"]);
    assert_eq!(status, Some(0), "{out}");
    for absent in ["later exchange", "first exchange", "TCP windows", "bytes of payload"] {
        assert!(!out.contains(absent), "{absent} in {out}");
    }
}
