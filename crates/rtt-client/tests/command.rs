//! The program `rtt-client`: output, exit status, errors, help.

#[path = "command/output.rs"]
mod output;
#[path = "command/process.rs"]
mod process;

use output::{Finished, client, without_alignment, without_host, without_numbers};
use std::io::Write as _;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// Starts a UDP server that replies in upper case. Returns its address.
fn udp_server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            text[..length].make_ascii_uppercase();
            socket.send_to(&text[..length], client).unwrap();
        }
    });
    address
}

/// Starts a TCP server that closes each connection after one reply. Returns its address.
fn tcp_server() -> String {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut text = vec![0; 1024];
            let length = stream.read(&mut text).unwrap();
            stream.write_all(&text[..length].to_ascii_uppercase()).unwrap();
        }
    });
    address
}

/// The command and its message, for a snapshot. The length of a long argument replaces the argument.
fn message_of(arguments: &[&str], result: &Finished) -> String {
    let shorten = |argument: &&str| match argument.len() {
        0..50 => format!("{argument:?}"),
        length => format!("({length} bytes)"),
    };
    let command: Vec<String> = arguments.iter().map(shorten).collect();
    format!("$ rtt-client {}\n{}\n", command.join(" "), result.err)
}

/// Removes `tcp_info` and `retransmitted`, because some systems do not report them. The tests in `series.rs` and
/// `handshake.rs` check them.
fn without_tcp_info(json: &str) -> String {
    let json = json.replace(",\"retransmitted\":0", "");
    let Some((before, rest)) = json.split_once(",\"tcp_info\":{") else { return json };
    let (_, after) = rest.split_once('}').unwrap();
    format!("{before}{after}")
}

#[test]
fn one_exchange_is_written_as_text() {
    let udp = client(&["udp", &udp_server(), "hello, world"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_text", without_numbers(&without_alignment(&udp.out)));
    let tcp = client(&["tcp", &tcp_server(), "hello, world"], "");
    assert_eq!((tcp.status, tcp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("tcp_text", without_numbers(&without_alignment(&tcp.out)));
}

#[test]
fn one_exchange_is_written_as_json() {
    let udp = client(&["udp", &udp_server(), "hello", "--format", "json"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_json", without_numbers(&without_host(&udp.out)));
    let tcp = client(&["tcp", &tcp_server(), "hello", "--format", "json"], "");
    assert_eq!((tcp.status, tcp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(
        "tcp_json",
        without_numbers(&without_host(&without_tcp_info(&tcp.out)))
    );
    let closed_port = client(&["tcp", "127.0.0.1:1", "hello", "--format", "json"], "");
    assert_eq!(closed_port.status, Some(1));
    // Not every system reports the origin of the error.
    let closed_port = closed_port.out.replace(",\"origin\":\"unknown\"", ",\"origin\":\"peer\"");
    let closed_port = without_tcp_info(&closed_port);
    insta::assert_snapshot!("refused_json", without_numbers(&without_host(&closed_port)));
}

#[test]
fn series_is_written_in_every_format() {
    let udp = client(&["udp", &udp_server(), "-c", "2", "-i", "0"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_series_text", without_numbers(&without_alignment(&udp.out)));
    let quiet = client(&["udp", &udp_server(), "-c", "2", "-i", "0", "-q"], "");
    assert!(!quiet.out.contains("\n     1  "), "{}", quiet.out);
    for line in udp.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let csv = client(&["tcp", &tcp_server(), "-c", "2", "-i", "0", "--format", "csv"], "");
    assert_eq!((csv.status, csv.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("tcp_series_csv", without_numbers(&csv.out));
    let arguments = ["udp", &udp_server(), "-c", "2", "--rate", "100", "--format", "json"];
    let json = client(&arguments, "");
    assert_eq!((json.status, json.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_schedule_json", without_numbers(&without_host(&json.out)));
}

#[test]
fn durations_of_a_tcp_exchange_add_up_to_the_total() {
    let text = client(&["tcp", &tcp_server(), "x"], "").out;
    let microseconds = |label: &str| -> u64 {
        let line = text.lines().find(|line| line.trim().starts_with(label)).unwrap();
        let (before, _) = line.split_once(" ms  (").unwrap();
        let (milliseconds, decimals) =
            before.split(' ').next_back().unwrap().split_once('.').unwrap();
        assert_eq!(decimals.len(), 3, "{line}");
        format!("{milliseconds}{decimals}").replace(',', "").parse().unwrap()
    };
    let parts = ["handshake", "in the client", "request RTT"].map(microseconds);
    assert_eq!(parts.iter().sum::<u64>(), microseconds("total"), "{text}");
    // The client sends the request immediately. On a machine under load, the system can delay it.
    assert!(parts[1] < 50_000, "{text}");
}

#[test]
fn help_fits_80_columns() {
    for arguments in [
        &["--help"][..],
        &["udp", "--help"],
        &["tcp", "-h"],
        &["icmp", "-h"],
        &["compare", "-h"],
        &["diagnose", "-h"],
        &["trace", "-h"],
        &["protocols", "-h"],
    ] {
        let help = client(arguments, "");
        assert_eq!(help.status, Some(0));
        insta::assert_snapshot!(format!("help_{}", arguments.join("_")), help.out);
        for line in help.out.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn help_of_the_services_needs_no_other_argument() {
    let all = client(&["compare", "--service", "help"], "");
    assert_eq!((all.status, all.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("help_services", all.out);
    for line in all.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for arguments in [
        &["diagnose", "--service", "help"][..],
        &["diagnose", "--service=help", "127.0.0.1"],
        &["compare", "127.0.0.1", "--service", "help"],
    ] {
        let list = client(arguments, "");
        assert_eq!((list.status, list.out, list.err.as_str()), (Some(0), all.out.clone(), ""));
    }
    // The command of a protocol lists the services of this protocol.
    for (protocol, is_listed) in [("udp", ["dns", "ntp"]), ("tcp", ["http", "redis"])] {
        let list = client(&[protocol, "--service", "help"], "");
        assert_eq!((list.status, list.err.as_str()), (Some(0), ""));
        for service in ["dns", "ntp", "http", "redis"] {
            let has_service = list.out.lines().any(|line| line.starts_with(service));
            assert_eq!(has_service, is_listed.contains(&service), "{}", list.out);
        }
    }
    let none = client(&["icmp", "--service", "help"], "");
    assert_eq!(none.status, Some(0));
    assert_eq!((none.out.as_str(), none.err.as_str()), ("ICMP has no predefined services\n", ""));
    // Any other service needs a target.
    let missing = client(&["diagnose", "--service", "redis"], "");
    assert_eq!((missing.status, missing.out.as_str()), (Some(2), ""));
    assert!(missing.err.contains("<TARGET>"), "{}", missing.err);
}

#[test]
fn protocols_are_listed_as_text_and_as_json() {
    let text = client(&["protocols"], "");
    assert_eq!((text.status, text.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("protocols_text", text.out);
    for line in text.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let json = client(&["protocols", "--format", "json"], "");
    assert_eq!((json.status, json.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("protocols_json", json.out);
}

#[test]
fn one_exchange_without_a_message_sends_a_line_of_stdin() {
    let result = client(&["udp", &udp_server()], "from a pipe\nand no more\n");
    assert_eq!((result.status, result.err.as_str()), (Some(0), ""));
    assert!(result.out.contains("FROM A PIPE\n"), "{}", result.out);
    let result = client(&["udp", &udp_server()], "");
    assert_eq!(result.status, Some(2));
    assert!(result.err.contains("standard input is empty"), "{}", result.err);
}

#[test]
fn absent_server_is_reported_in_one_line() {
    for arguments in [
        &["udp", "127.0.0.1:1", "x"][..],
        &["tcp", "127.0.0.1:1", "x"],
        &["udp", "no.such.host.invalid", "x"],
        &["tcp", "no.such.host.invalid", "x"],
    ] {
        let start = Instant::now();
        let result = client(arguments, "");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!((result.status, result.out.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(result.err.lines().count(), 1, "{}", result.err);
        assert!(result.err.contains(arguments[1]), "{}", result.err);
    }
}

#[test]
fn every_address_of_a_name_is_tried() {
    // The server has only one of the addresses of localhost. The client finds the server in any order of the addresses.
    let server = udp_server();
    let port = server.rsplit(':').next().unwrap();
    let result = client(&["udp", &format!("localhost:{port}"), "x", "--format", "json"], "");
    assert_eq!(result.status, Some(0), "{}{}", result.out, result.err);
    assert!(result.out.contains(&format!("\"address\":\"{server}\"")), "{}", result.out);
    // An address of the other IP version is rejected.
    let result = client(&["udp", "127.0.0.1", "-6", "x"], "");
    assert_eq!(result.status, Some(2));
    assert!(
        result.err.contains("127.0.0.1 is not an IPv6 address, but -6 selects IPv6"),
        "{}",
        result.err
    );
}

#[test]
fn invalid_values_are_reported_in_one_line() {
    let long = "x".repeat(65_508);
    let mut messages = String::new();
    for (arguments, clue) in [
        (&["udp", "tcp://127.0.0.1", "x"][..], "rtt-client tcp"),
        (&["udp", "127.0.0.1", "x", "-W", "0"], "timeout"),
        (&["udp", "127.0.0.1", &long], "65508"),
        (&["udp", "127.0.0.1", "--rate", "0"], "rate"),
        (&["udp", "127.0.0.1", "--rate", "1e9"], "rate"),
        (&["udp", "127.0.0.1", "--rate", "1e-300"], "time between requests"),
        (&["udp", "127.0.0.1", "x", "-W", "500ns"], "at least 1us"),
        (&["udp", "127.0.0.1", "--rate", "1000000"], "in flight"),
        (&["tcp", "127.0.0.1", "--rate", "10", "--connection", "each"], "--rate"),
        (&["udp", "127.0.0.1", "--duration", "0"], "duration"),
        (&["udp", "127.0.0.1", "--duration", "1e12"], "duration"),
        (&["udp", "127.0.0.1", "-c", "0"], "count"),
        (&["udp", "127.0.0.1", "-s", "65508"], "65508"),
        (&["udp", "127.0.0.1", "-s", "9"], "too small"),
        (&["udp", "127.0.0.1", "-c", "2", "-s", "49", "--breakdown"], "timing header"),
        (&["tcp", "127.0.0.1", ""], "empty"),
        (&["udp", "127.0.0.1", "-c", "2", "--connection", "each"], "has no connections"),
        (&["udp", "127.0.0.1", "-s", "1"], "a size of 1 byte is too small"),
        (&["icmp", "127.0.0.1:7", "x"], "has no ports"),
    ] {
        let result = client(arguments, "");
        let Finished { status, out, err } = &result;
        assert_eq!((*status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains(clue), "{err}");
        messages += &message_of(arguments, &result);
    }
    insta::assert_snapshot!("invalid_values", messages);
}

#[test]
fn cpu_that_does_not_exist_is_an_error() {
    let result = client(&["udp", "127.0.0.1", "-c", "1", "x", "--pin", "4095"], "");
    assert_eq!((result.status, result.out.as_str()), (Some(2), ""), "{}", result.err);
    assert_eq!(result.err.lines().count(), 1, "{}", result.err);
    assert!(result.err.contains("CPU 4095"), "{}", result.err);
}

#[test]
fn usage_errors_are_messages_of_clap() {
    let mut messages = String::new();
    for (arguments, clue) in [
        (&["udp", "127.0.0.1:0", "x"][..], "not a port"),
        (&["udp", "127.0.0.1", "x", "-W", "-1"], "-1"),
        (&["udp", "127.0.0.1", "x", "-W", "soon"], "500ms"),
        (&["udp", "127.0.0.1", "--rate", "-5"], "-5"),
        (&["udp", "127.0.0.1", "--rate", "10", "-i", "1"], "--interval"),
        (&["udp", "127.0.0.1", "--duration", "-1"], "-1"),
        (&["udp", "127.0.0.1", "-c", "-1"], "-1"),
        (&["udp", "127.0.0.1", "x", "-4", "-6"], "-6"),
        (&["udp", "a b", "x"], "a b"),
        (&["sctp", "127.0.0.1"], "sctp"),
        (&["udp", "--frobnicate"], "--frobnicate"),
        (&["udp", "127.0.0.1", "-c", "abc"], "expected a whole number"),
        (&["udp", "127.0.0.1", "--rate", "fast"], "expected a number"),
        (&["udp", "127.0.0.1", "--ttl", "0"], "from 1 to 255"),
        (&["udp", "udp:/localhost"], "write `//` after the protocol"),
        (&["upd", "127.0.0.1"], "a similar subcommand exists: 'udp'"),
        (&["ping", "127.0.0.1"], "a similar subcommand exists: 'icmp'"),
        (&["udpp", "127.0.0.1"], "a similar subcommand exists: 'udp'"),
        (&["udp", "--intervall", "1"], "a similar argument exists: '--interval'"),
        (&["diagnose", "127.0.0.1", "--format", "csv"], "[possible values: text, json]"),
        (&["trace", "--format", "csv"], "[possible values: text, json]"),
        (&["trace", "-q"], "-q"),
        (&["protocols", "127.0.0.1"], "127.0.0.1"),
        (&["protocols", "--format", "csv"], "[possible values: text, json]"),
    ] {
        let result = client(arguments, "");
        let Finished { status, out, err } = &result;
        assert_eq!((*status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(clue), "{err}");
        messages += &message_of(arguments, &result);
    }
    insta::assert_snapshot!("usage_errors", messages);
}

#[test]
fn control_characters_of_a_server_do_not_reach_the_terminal() {
    let result = client(&["udp", &udp_server(), "\x1b]0;title\x07\u{202e}"], "");
    assert_eq!(result.status, Some(0));
    assert!(result.out.contains("\\u{1b}]0;TITLE\\u{7}\\u{202e}"), "{}", result.out);
    assert!(!result.out.contains('\x1b'));
    let arguments = ["udp", &udp_server(), "\u{9b}31m\u{7f}\u{202e}", "--format", "json"];
    let result = client(&arguments, "");
    assert!(result.out.contains("\\u009b31M\\u007f\\u202e"), "{}", result.out);
}

#[test]
fn message_about_a_service_lists_similar_names_and_no_other_argument() {
    let message = |options: &[&str]| client(&[&["tcp", "127.0.0.1:1"], options].concat(), "").err;
    let unknown = message(&["--service", "redi"]);
    assert!(unknown.contains("a similar value exists: 'redis'"), "{unknown}");
    let conflict = message(&["--service", "redis", "--send", "x"]);
    assert!(!conflict.contains("[MESSAGE]"), "{conflict}");
}
