//! The content of replies that count as correct, or as wrong: a series, a comparison and a diagnosis show it.

#[path = "command/output.rs"]
#[allow(dead_code, reason = "this test program makes no snapshots")]
mod output;
#[path = "service_replies/server.rs"]
#[allow(dead_code, reason = "this test program uses a part of the module")]
mod server;

use output::client;
use server::{Script, read_request, tcp_server, udp_server};
use std::io::Write as _;

/// A server that sends `reply` for each line that ends with `end`.
fn server(end: &'static str, reply: &'static [u8]) -> Script {
    tcp_server(move |stream, _| {
        while read_request(stream, end) {
            stream.write_all(reply)?;
        }
        Ok(())
    })
}

/// The output of a command with this exit status, with single spaces.
fn output(status: i32, arguments: &[&str]) -> String {
    let result = client(arguments, "");
    assert_eq!(result.status, Some(status), "{arguments:?}: {} {}", result.out, result.err);
    result.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn http_error_server() -> Script {
    server("\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn series_of_error_replies_has_a_note_with_the_first_error() {
    let http = http_error_server().address;
    let text = output(0, &["tcp", &http, "--service", "http", "-c", "5", "-i", "0", "-q"]);
    let expected = "Each reply reports an error, the first one: `HTTP/1.1 400 Bad Request`.";
    assert!(text.contains(expected), "{text}");
    let dns = udp_server(|request, reply| {
        // A response (bit QR) that refuses the query.
        let mut bytes = request.to_vec();
        (bytes[2], bytes[3]) = (0x81, 0x05);
        reply(&bytes);
    });
    let text = output(0, &["udp", &dns, "--service", "dns", "-c", "3", "-i", "0"]);
    assert!(text.contains("the first one: `RCODE 5 (Refused)`."), "{text}");
}

#[test]
fn comparison_and_diagnosis_show_the_error_of_a_reply() {
    let http = http_error_server().address;
    let target = format!("tcp://{http}");
    let text = output(0, &["compare", &target, &target, "--service", "http", "-c", "20", "-q"]);
    assert!(text.contains("Replies of A report an error, the first one: `HTTP/1.1 400"), "{text}");
    let text = output(0, &["diagnose", &target, "--service", "http"]);
    let expected =
        "the HTTP service answers, but its reply reports an error: HTTP/1.1 400 Bad Request";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("received HTTP/1.1 400 Bad Request"), "{text}");
}

#[test]
fn replies_that_the_client_does_not_check_are_shown() {
    let memcached = server("\r\n", b"ERROR\r\n").address;
    let arguments = ["tcp", &memcached, "--send", "GET k\\r\\n", "-c", "3", "-i", "0"];
    let text = output(0, &arguments);
    assert!(text.contains("The first reply begins with `ERROR`."), "{text}");
    let text = output(0, &[&arguments[..], &["--expect-prefix", "ERR"]].concat());
    assert!(!text.contains("The first reply"), "{text}");
    let text = output(0, &["diagnose", &format!("tcp://{memcached}"), "--send", "GET k\\r\\n"]);
    assert!(text.contains("received ERROR"), "{text}");
    assert!(text.contains("with the same options for the request and the reply"), "{text}");
}

#[test]
fn series_shows_the_first_wrong_reply() {
    let unknown = server("\r\n", b"what?\r\n").address;
    let text = output(1, &["tcp", &unknown, "--service", "redis", "-c", "3", "-i", "0", "-q"]);
    let expected = "The first wrong reply begins with `what?`.";
    assert!(text.contains("3 corrupt") && text.contains(expected), "{text}");
    let redis = server("\r\n", b"-NOAUTH Authentication required.\r\n").address;
    let target = format!("tcp://{redis}");
    let text = output(1, &["compare", &target, &target, "--service", "redis", "-c", "10", "-q"]);
    assert!(text.contains("The first wrong reply of A begins with `-NOAUTH"), "{text}");
    // The note about the refusal contains the reply.
    let text = output(1, &["tcp", &redis, "--service", "redis", "-c", "3", "-i", "0", "-q"]);
    assert_eq!(text.matches("-NOAUTH Authentication required.").count(), 1, "{text}");
}

#[test]
fn diagnosis_of_another_service_describes_the_first_different_byte() {
    let ssh = tcp_server(|stream, _| {
        stream.write_all(format!("SSH-2.0-{}\r\n", "x".repeat(100)).as_bytes())?;
        read_request(stream, "\0never");
        Ok(())
    });
    let text = output(1, &["diagnose", &format!("tcp://{}", ssh.address)]);
    assert!(!text.contains("timing header"), "{text}");
    assert!(text.contains("observed") && text.contains("received SSH-2.0-xxx"), "{text}");
    assert!(text.contains("a server answers; its reply begins like a reply of SSH"), "{text}");
}

#[test]
fn slow_first_exchange_of_one_connection_has_no_cause() {
    let slow = tcp_server(|stream, _| {
        let mut pause = std::time::Duration::from_millis(50);
        while read_request(stream, "\r\n") {
            std::thread::sleep(std::mem::take(&mut pause));
            stream.write_all(b"+PONG\r\n")?;
        }
        Ok(())
    });
    let arguments = ["tcp", &slow.address, "--service", "redis", "-c", "20", "-i", "0", "-q"];
    let text = output(0, &arguments);
    assert!(text.contains("This is only one value, so the difference can be chance."), "{text}");
    assert!(!text.contains("cold start"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn breakdown_of_a_service_names_the_command_that_separates_the_network() {
    let redis = server("\r\n", b"+PONG\r\n").address;
    let arguments =
        ["tcp", &redis, "--service", "redis", "-c", "20", "-i", "0", "-q", "--breakdown"];
    let text = output(0, &arguments);
    let expected =
        format!("use `rtt-client compare icmp://127.0.0.1 tcp://{redis} --service redis`.");
    assert!(cfg!(portable) || text.contains(&expected), "{text}");
}
