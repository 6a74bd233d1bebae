//! Our client against the textbook's servers, the one included that closes after its reply.

#[path = "../../../tests/textbook/python.rs"]
mod python;

use python::Server;
use std::process::Command;

fn ask(protocol: &str, server: &Server, message: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args([protocol, &format!("127.0.0.1:{}", server.port), message])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_textbooks_servers_are_good_peers() {
    for protocol in ["udp", "tcp"] {
        let Some(server) = Server::start(&format!("{protocol}_server.py")) else { return };
        for _ in 0..2 {
            let (status, out, err) = ask(protocol, &server, "hello, straße");
            assert_eq!((status, err.as_str()), (Some(0), ""), "{protocol}");
            assert!(out.contains("HELLO, STRASSE"), "{out}");
        }
    }
}

#[test]
fn a_reply_that_the_textbooks_server_cuts_is_told_of() {
    let Some(server) = Server::start("tcp_server.py") else { return };
    let (status, out, err) = ask("tcp", &server, &"x".repeat(1500));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    // It reads 1,024 bytes, answers and closes: with bytes unread, which makes the close a reset.
    assert!(err.contains("closed") || err.contains("reset"), "{err}");
}
