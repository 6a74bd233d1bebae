//! Requests to services with bad input: invalid options, and servers whose replies do not end or change.

#[path = "command/output.rs"]
#[allow(dead_code, reason = "this test program makes no snapshots")]
mod output;
#[path = "service_replies/server.rs"]
#[allow(dead_code, reason = "this test program uses a part of the module")]
mod server;

use output::{Finished, client};
use serde_json::Value;
use server::{Script, read_request, tcp_server, udp_server};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// The largest reply over TCP, in bytes.
const MAX_REPLY: u64 = 16 * 1024 * 1024;

/// A file that is not empty.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// The error message of a client that must not run. It is one line; clap adds the usage after an empty line.
fn rejected(arguments: &[&str]) -> String {
    let Finished { status, out, err } = client(arguments, "");
    assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
    let (message, rest) = err.split_once('\n').unwrap();
    assert!(rest.is_empty() || rest.starts_with('\n') || rest.starts_with("  "), "{err}");
    message.to_owned()
}

/// A path in the directory for the files of tests.
fn path(name: &str) -> String {
    let name = format!("service-{}-{name}", std::process::id());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name).to_str().unwrap().to_owned()
}

/// Creates a file of this length that occupies no space.
fn sparse_file(name: &str, length: u64) -> String {
    let path = path(name);
    File::create(&path).unwrap().set_len(length).unwrap();
    path
}

#[test]
fn invalid_requests_are_rejected_in_one_line() {
    let tcp = |options: &[&str]| rejected(&[&["tcp", "127.0.0.1:1", "-c", "2"], options].concat());
    for (options, clue) in [
        (&["--service", "redis", "--send", "PING"][..], "cannot be used with"),
        (&["--service", "redis", "--send-file", MANIFEST], "cannot be used with"),
        (&["--send", "x", "--send-file", MANIFEST], "cannot be used with"),
        (&["--send", "x", "--size", "10"], "cannot be used with"),
        (&["--service", "redis", "hello"], "cannot be used with"),
        (&["--send", "x", "--reply-ends", "x", "--reply-bytes", "3"], "cannot be used with"),
        (&["--service", "redis", "--expect-prefix", "x"], "cannot be used with"),
        (&["--service", "redis", "--reply-bytes", "3"], "cannot be used with"),
        (&["--service", "gopher"], "invalid value 'gopher' for '--service <NAME>'"),
        (&["--service", ""], "a value is required for '--service <NAME>'"),
        (&["--service", "dns"], "TCP has no service `dns`"),
        (&["--send", "a\\q"], "the escape at byte 2"),
        (&["--send", "\\x1"], "the escape at byte 1"),
        (&["--send", "\\"], "the escape at byte 1"),
        (&["--send", "x", "--expect-prefix", "\\xg0"], "the escape at byte 1"),
        (&["--send", "x", "--reply-ends", "ab\\0"], "the escape at byte 3"),
        (&["--send", "x", "--reply-ends", ""], "at least 1 byte"),
        (&["--send", "x", "--reply-bytes", "0"], "at least 1 byte"),
        (&["--send", "x", "--reply-bytes", "-1"], "-1"),
        (&["--send", "x", "--reply-bytes", "99999999999999999999"], "the number is too large"),
        (&["--send", "x", "--reply-bytes", "many"], "expected a whole number"),
        (&["--send", "x", "--reply-bytes", "16777217"], "at most 16777216 bytes"),
        (
            &["--send", "x", "--expect-prefix", "abcd", "--reply-bytes", "3"],
            "is longer than the reply",
        ),
        (&["--send", "x", "--rate", "10"], "needs the end of a reply"),
        (&["--send", "", "--rate", "10"], "sends first"),
        (&["--service", "ssh", "--rate", "10"], "sends first"),
        (&["--service", "ssh", "--breakdown"], "has no breakdown"),
        (&["--send", "", "--breakdown"], "has no breakdown"),
        (&["--echo", "lower"], "invalid value 'lower'"),
        (&["--service", "redis", "--echo", "same"], "cannot be used with"),
        (&["--send", "x", "--echo", "upper"], "cannot be used with"),
        (&["--send-file", MANIFEST, "--echo", "upper"], "cannot be used with"),
    ] {
        let message = tcp(options);
        assert!(message.contains(clue), "{options:?}: {message}");
    }
    let message = rejected(&["tcp", "redis://127.0.0.1:6379", "-c", "2"]);
    assert!(message.contains("use tcp://HOST with `--service redis`"), "{message}");
    // These options need a request.
    for option in ["--expect-prefix", "--reply-ends", "--reply-bytes"] {
        let message = tcp(&[option, "3"]);
        assert!(message.contains("required arguments were not provided"), "{message}");
    }
    let message = rejected(&["udp", "127.0.0.1:1", "--service", "redis"]);
    assert!(message.contains("UDP has no service `redis`; UDP has dns, ntp"), "{message}");
    let message = rejected(&["icmp", "127.0.0.1", "--service", "dns"]);
    assert!(message.contains("ICMP has no service"), "{message}");
    let message =
        rejected(&["compare", "tcp://127.0.0.1:1", "udp://127.0.0.1:1", "--service", "redis"]);
    assert!(message.contains("UDP has no service `redis`"), "{message}");
    let message = rejected(&["diagnose", "tcp://127.0.0.1:1", "--service", "ntp"]);
    assert!(message.contains("TCP has no service `ntp`"), "{message}");
    let message = rejected(&["udp", "127.0.0.1:1", "--send", &"x".repeat(65_508)]);
    assert!(message.contains("65508"), "{message}");
    let message = rejected(&["udp", "::1", "--service", "dns", "--rate", "40000", "-W", "2"]);
    assert!(message.contains("only 65535 requests in flight"), "{message}");
}

#[test]
fn request_that_applies_to_no_target_is_rejected() {
    for (options, clue) in [
        (&["--service", "redis"][..], "ICMP has no service `redis`"),
        (&["--send", "x"], "--send needs a server program, but over ICMP"),
        (&["--send-file", MANIFEST], "--send needs a server program, but over ICMP"),
        (&["--connect-only"], "no such measurement over ICMP"),
        (&["--echo", "upper"], "--echo upper is not possible"),
    ] {
        for command in [
            &["icmp", "127.0.0.1", "-c", "2"][..],
            &["compare", "icmp://127.0.0.1", "icmp://127.0.0.2"],
            &["diagnose", "icmp://127.0.0.1"],
        ] {
            let message = rejected(&[command, options].concat());
            assert!(message.contains(clue), "{command:?} {options:?}: {message}");
        }
    }
    let message = rejected(&["trace", "icmp://127.0.0.1", "--echo", "upper"]);
    assert!(message.contains("--echo upper is not possible"), "{message}");
}

#[test]
fn files_that_cannot_be_a_request_are_rejected_in_one_line() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let empty = sparse_file("empty", 0);
    let (huge, large) = (sparse_file("huge", 1 << 40), sparse_file("large", MAX_REPLY + 1));
    let escape = path("escape");
    fs::write(&escape, "PING\\z").unwrap();
    for (file, clue) in [
        ("/no/such/file", "No such file"),
        (directory, "directory"),
        (&huge, "more than 67108864 bytes"),
        (&large, "at most 16777216 bytes"),
        ("/dev/zero", "more than 67108864 bytes"),
        (&escape, "the escape at byte 5"),
        (&empty, "use `--send ''`"),
    ] {
        let message = rejected(&["tcp", "127.0.0.1:1", "-c", "1", "--send-file", file]);
        assert!(message.contains(clue), "{file}: {message}");
    }
    for file in [huge, large, escape, empty] {
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn file_has_the_same_escapes_as_the_command_line() {
    let request = path("request");
    fs::write(&request, "PI\\x4eG\\r\\n").unwrap();
    let script = tcp_server(|stream, script| {
        let mut bytes = [0; 6];
        stream.read_exact(&mut bytes)?;
        if bytes == *b"PING\r\n" {
            script.count_request();
        }
        stream.write_all(b"+PONG\r\n")
    });
    let options = ["--expect-prefix", "\\x2bPONG", "--reply-ends", "\\r\\n"];
    for send in [["--send", "PI\\x4eG\\r\\n"], ["--send-file", &request]] {
        let result = client(&[&["tcp", &script.address][..], &send, &options].concat(), "");
        assert_eq!(result.status, Some(0), "{}{}", result.out, result.err);
        assert!(result.out.contains("+PONG"), "{}", result.out);
    }
    assert_eq!(script.requests(), 2);
    fs::remove_file(request).unwrap();
}

/// The summary of a series, and its exit status.
fn summary(arguments: &[&str]) -> (Value, Option<i32>) {
    let arguments = [arguments, &["-q", "--format", "json"]].concat();
    let Finished { status, out, err } = client(&arguments, "");
    let last = out.lines().last().unwrap_or_else(|| panic!("{arguments:?}: {err}"));
    (serde_json::from_str(last).unwrap(), status)
}

/// The counts `received`, `lost` and `corrupt`.
fn counts(summary: &Value) -> [u64; 3] {
    ["received", "lost", "corrupt"].map(|name| summary[name].as_u64().unwrap())
}

/// Sends the same byte without an end.
fn endless(stream: &mut TcpStream, _: &Script) -> std::io::Result<()> {
    read_request(stream, "\n");
    loop {
        stream.write_all(&[b'a'; 4096])?;
    }
}

/// Sends one byte every 10 ms without an end.
fn trickle(stream: &mut TcpStream, _: &Script) -> std::io::Result<()> {
    read_request(stream, "\n");
    loop {
        stream.write_all(b"a")?;
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn reply_that_never_ends_is_corrupt() {
    const NO_END: [&str; 2] = ["--reply-ends", "\\r\\n"];
    const LARGEST: [&str; 2] = ["--reply-bytes", "16777216"];
    let [endless_server, trickle_server] = [tcp_server(endless), tcp_server(trickle)];
    // The trickle is corrupt at the timeout, and the endless stream after the largest reply.
    for (server, end) in
        [(&endless_server, NO_END), (&trickle_server, NO_END), (&trickle_server, LARGEST)]
    {
        let arguments = ["tcp", &server.address, "--send", "x\\n", "-c", "2", "-i", "0", "-W", "3"];
        let (summary, status) = summary(&[&arguments[..], &end].concat());
        assert_eq!((counts(&summary), status), ([0, 0, 2], Some(1)), "{summary}");
    }
    // Without an end, the first bytes are the reply. The rest of it does not delay the run.
    let server = tcp_server(endless);
    let (summary, status) =
        summary(&["tcp", &server.address, "--send", "x\\n", "-c", "3", "-i", "0.01"]);
    assert_eq!((counts(&summary), status), ([3, 0, 0], Some(0)), "{summary}");
}

#[test]
fn reply_that_is_shorter_than_the_expected_beginning_is_corrupt() {
    let script = tcp_server(|stream, _| {
        while read_request(stream, "\n") {
            stream.write_all(b"+P\r\n")?;
        }
        Ok(())
    });
    let udp = udp_server(|_, send| send(b"+P\r\n"));
    for (protocol, address) in [("tcp", &script.address), ("udp", &udp)] {
        for end in [&[][..], &["--reply-ends", "\\r\\n"]] {
            let arguments = [
                protocol,
                address,
                "--send",
                "x\\n",
                "--expect-prefix",
                "+P\\r\\n more",
                "-c",
                "2",
                "-i",
                "0",
                "-W",
                "1",
            ];
            let (summary, status) = summary(&[&arguments[..], end].concat());
            assert_eq!((counts(&summary), status), ([0, 0, 2], Some(1)), "{summary}");
        }
    }
}

/// The form of the echo server's reply to a request.
type Form = fn(u64, &[u8]) -> Vec<u8>;

/// In upper case until request 25, then unchanged.
fn changing(number: u64, request: &[u8]) -> Vec<u8> {
    if number <= 25 { request.to_ascii_uppercase() } else { request.to_vec() }
}

/// Unchanged until request 25, then in upper case.
fn changing_back(number: u64, request: &[u8]) -> Vec<u8> {
    if number <= 25 { request.to_vec() } else { request.to_ascii_uppercase() }
}

/// In upper case except for the last five bytes.
fn mixed(_: u64, request: &[u8]) -> Vec<u8> {
    let (start, end) = request.split_at(request.len().saturating_sub(5));
    [&start.to_ascii_uppercase(), end].concat()
}

/// Starts an echo server over each protocol. Returns their URLs.
fn echo_servers(form: Form) -> [String; 2] {
    let mut number = 0;
    let udp = udp_server(move |request, send| {
        number += 1;
        send(&form(number, request));
    });
    let script = tcp_server(move |stream, script| {
        let mut buffer = vec![0; 65_536];
        loop {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            script.count_request();
            stream.write_all(&form(script.requests(), &buffer[..length]))?;
        }
    });
    [format!("udp://{udp}"), format!("tcp://{}", script.address)]
}

#[test]
fn change_of_the_form_of_echo_replies_is_corrupt() {
    for (form, name) in [(changing as Form, "upper"), (changing_back, "same")] {
        for url in echo_servers(form) {
            let protocol = &url[..3];
            let (summary, status) =
                summary(&[protocol, &url, "hello", "-c", "28", "-i", "0", "-W", "1"]);
            assert_eq!((counts(&summary), status), ([25, 0, 3], Some(1)), "{summary}");
            assert_eq!(summary["echo"], name, "{summary}");
        }
    }
}

#[test]
fn change_of_the_form_is_corrupt_in_a_comparison() {
    let [steady, _] = echo_servers(|_, request| request.to_ascii_uppercase());
    for url in echo_servers(changing) {
        // 20 pairs of the warm-up precede the counted pairs.
        let (verdict, status) = summary(&["compare", &steady, &url, "-c", "12", "-W", "1"]);
        assert_eq!(status, Some(1), "{verdict}");
        assert!(verdict["sides"][1]["corrupt"].as_u64().unwrap() > 0, "{verdict}");
        assert_eq!(verdict["sides"][0]["corrupt"], 0, "{verdict}");
    }
}

#[test]
fn change_of_the_form_between_the_rounds_of_a_comparison_is_corrupt() {
    let [steady, _] = echo_servers(|_, request| request.to_ascii_uppercase());
    // Each round has a new connection.
    let script = tcp_server(|stream, script| {
        let is_first = script.connections() == 1;
        let mut buffer = vec![0; 65_536];
        loop {
            let length = stream.read(&mut buffer)?;
            let request = &buffer[..length];
            let reply = if is_first { request.to_ascii_uppercase() } else { request.to_vec() };
            stream.write_all(&reply)?;
            if length == 0 {
                return Ok(());
            }
        }
    });
    let url = format!("tcp://{}", script.address);
    let (verdict, status) = summary(&["compare", &steady, &url, "-c", "300", "-W", "1"]);
    // The wrong replies end the comparison in the warm-up of the second round.
    assert_eq!(status, Some(1), "{verdict}");
    let note = verdict["notes"][0].as_str().unwrap();
    assert!(note.starts_with("Ended early: the last exchanges with B"), "{note}");
    let pairs = verdict["pairs"].as_u64().unwrap();
    assert!((1..300).contains(&pairs), "{verdict}");
}

#[test]
fn mixture_of_both_forms_is_corrupt() {
    for url in echo_servers(mixed) {
        let protocol = &url[..3];
        let (summary, status) =
            summary(&[protocol, &url, "hello, world", "-c", "3", "-i", "0", "-W", "1"]);
        assert_eq!((counts(&summary), status), ([0, 0, 3], Some(1)), "{summary}");
        for form in ["auto", "upper", "same"] {
            let result = client(&[protocol, &url, "hello, world", "-W", "1", "--echo", form], "");
            assert_eq!((result.status, result.out.as_str()), (Some(1), ""), "{form}");
            assert!(result.err.contains("wrong-answer"), "{form}: {}", result.err);
        }
    }
    let [steady, _] = echo_servers(|_, request| request.to_vec());
    for url in echo_servers(mixed) {
        let (verdict, status) = summary(&["compare", &steady, &url, "-c", "12", "-W", "1"]);
        assert_eq!(status, Some(1), "{verdict}");
        let side = &verdict["sides"][1];
        assert_eq!((&side["condition"], &side["received"]), (&"wrong-answer".into(), &0.into()));
    }
}

#[test]
fn requested_form_is_the_only_correct_one() {
    let forms: [(Form, &str, &str); 2] = [
        (|_, request| request.to_ascii_uppercase(), "upper", "same"),
        (|_, request| request.to_vec(), "same", "upper"),
    ];
    for (form, correct, other) in forms {
        for url in echo_servers(form) {
            let protocol = &url[..3];
            let exchange =
                |echo| client(&[protocol, &url, "hello", "-W", "0.3", "--echo", echo], "");
            assert_eq!(exchange(correct).status, Some(0), "{url} {correct}");
            assert_eq!(exchange("auto").status, Some(0), "{url} auto");
            let result = exchange(other);
            assert_eq!((result.status, result.out.as_str()), (Some(1), ""), "{url} {other}");
        }
    }
}
