//! The client with the servers of the textbook. The TCP server closes each connection after its reply.

#[path = "../../../tests/textbook/python.rs"]
mod python;

use python::Server;
use std::process::Command;

fn run_client(protocol: &str, server: &Server, message: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args([protocol, &format!("127.0.0.1:{}", server.port), message])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn textbook_servers_are_measured() {
    for protocol in ["udp", "tcp"] {
        let Some(server) = Server::start(&format!("{protocol}_server.py")) else { return };
        for _ in 0..2 {
            let (status, out, err) = run_client(protocol, &server, "hello, straße");
            assert_eq!((status, err.as_str()), (Some(0), ""), "{protocol}");
            assert!(out.contains("HELLO, STRASSE"), "{out}");
        }
    }
}

#[test]
fn reply_that_the_textbook_server_truncates_is_an_error() {
    let Some(server) = Server::start("tcp_server.py") else { return };
    let (status, out, err) = run_client("tcp", &server, &"x".repeat(1500));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    // The server reads 1,024 bytes, replies and closes the connection. Because unread bytes remain, the system
    // sends a reset.
    assert!(err.contains("closed") || err.contains("reset"), "{err}");
}
