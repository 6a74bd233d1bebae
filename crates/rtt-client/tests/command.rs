//! The program `rtt-client` as people and scripts run it: output, exit status, errors.

use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The result of a run of the client.
struct Finished {
    status: Option<i32>,
    out: String,
    err: String,
}

fn client(arguments: &[&str], input: &str) -> Finished {
    let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The client does not always read its input, so the pipe can be closed already.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished { status: status.code(), out: text(stdout), err: text(stderr) }
}

/// Starts a UDP server that replies in upper case until the test ends. Returns its address.
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

/// Replaces each sequence of digits by `0`, because figures differ from run to run.
fn without_figures(text: &str) -> String {
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if plain.ends_with('0') => {}
            '0'..='9' => plain.push('0'),
            other => plain.push(other),
        }
    }
    plain
}

/// A figure with more digits takes the spaces before it: runs of spaces become one.
fn without_alignment(text: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect::<Vec<_>>().join("\n")
}

/// Removes `host`, which differs from machine to machine.
fn without_host(json: &str) -> String {
    let Some((before, rest)) = json.split_once(",\"host\":{") else { return json.to_owned() };
    let (_, behind) = rest.split_once('}').unwrap();
    format!("{before}{behind}")
}

/// Removes `tcp_info`, which not every system has. The tests in `series.rs` check it.
fn without_tcp_info(json: &str) -> String {
    let Some((before, rest)) = json.split_once(",\"tcp_info\":{") else { return json.to_owned() };
    let (_, behind) = rest.split_once('}').unwrap();
    format!("{before}{behind}")
}

#[test]
fn text_output_of_one_exchange() {
    let udp = client(&["udp", &udp_server(), "hello, world"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_text", without_figures(&without_alignment(&udp.out)));
    let tcp = client(&["tcp", &tcp_server(), "hello, world"], "");
    assert_eq!((tcp.status, tcp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("tcp_text", without_figures(&without_alignment(&tcp.out)));
}

#[test]
fn json_output_of_one_exchange() {
    let udp = client(&["udp", &udp_server(), "hello", "--format", "json"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_json", without_figures(&without_host(&udp.out)));
    let tcp = client(&["tcp", &tcp_server(), "hello", "--format", "json"], "");
    assert_eq!((tcp.status, tcp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!(
        "tcp_json",
        without_figures(&without_host(&without_tcp_info(&tcp.out)))
    );
    let closed_port = client(&["tcp", "127.0.0.1:1", "hello", "--format", "json"], "");
    assert_eq!(closed_port.status, Some(1));
    // Not every system reports the origin of the error.
    let closed_port = closed_port.out.replace(",\"origin\":\"unknown\"", ",\"origin\":\"peer\"");
    insta::assert_snapshot!("refused_json", without_figures(&without_host(&closed_port)));
}

#[test]
fn series_output_in_every_format() {
    let udp = client(&["udp", &udp_server(), "-c", "2", "-i", "0"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_series_text", without_figures(&without_alignment(&udp.out)));
    let quiet = client(&["udp", &udp_server(), "-c", "2", "-i", "0", "-q"], "");
    assert!(!quiet.out.contains("\n     1  "), "{}", quiet.out);
    for line in udp.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let csv = client(&["tcp", &tcp_server(), "-c", "2", "-i", "0", "--format", "csv"], "");
    assert_eq!((csv.status, csv.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("tcp_series_csv", without_figures(&csv.out));
    let arguments = ["udp", &udp_server(), "-c", "2", "--rate", "100", "--format", "json"];
    let json = client(&arguments, "");
    assert_eq!((json.status, json.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_schedule_json", without_figures(&without_host(&json.out)));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_series_with_its_summary() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(["udp", &udp_server(), "-i", "10ms"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.trim_start().starts_with('3') {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "three replies come");
    }
    let kill = Command::new("kill").args(["-s", "INT", &process.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(" sent, ") && rest.contains("p50"), "{rest}");
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_interrupts_the_wait_for_a_silent_server() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for more in [&["-W", "50"][..], &["-W", "50", "--breakdown"], &["-W", "50", "--rate", "1"]] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(["udp", &address, "-c", "100"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // After the first request has arrived, the client waits for the reply.
        silent.recv(&mut [0; 128]).unwrap();
        let start = Instant::now();
        let kill = Command::new("kill").args(["-s", "INT", &process.id().to_string()]).status();
        assert!(kill.unwrap().success());
        // No request had a reply. The request in flight is not counted.
        assert_eq!(process.wait().unwrap().code(), Some(1), "{more:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{more:?}: {:?}", start.elapsed());
    }
}

#[test]
fn the_durations_of_a_tcp_exchange_add_up_to_the_total() {
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
    // The client sends the request at once; a machine under load can stop it before the send.
    assert!(parts[1] < 50_000, "{text}");
}

#[test]
fn help_fits_80_columns() {
    for arguments in [
        &["--help"][..],
        &["udp", "--help"],
        &["tcp", "-h"],
        &["compare", "-h"],
        &["diagnose", "-h"],
        &["trace", "-h"],
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
fn one_exchange_without_a_message_sends_a_line_of_stdin() {
    let ran = client(&["udp", &udp_server()], "from a pipe\nand no more\n");
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("FROM A PIPE\n"), "{}", ran.out);
    let ran = client(&["udp", &udp_server()], "");
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("standard input is empty"), "{}", ran.err);
}

#[test]
fn absent_server_is_reported_in_one_line_within_the_timeout() {
    for arguments in [
        &["udp", "127.0.0.1:1", "x"][..],
        &["tcp", "127.0.0.1:1", "x"],
        &["udp", "no.such.host.invalid", "x"],
        &["tcp", "no.such.host.invalid", "x"],
    ] {
        let start = Instant::now();
        let ran = client(arguments, "");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(arguments[1]), "{}", ran.err);
    }
}

#[test]
fn every_address_of_a_name_is_tried() {
    // The server has only one of the addresses of localhost. The client finds it in any order of the addresses.
    let server = udp_server();
    let port = server.rsplit(':').next().unwrap();
    let ran = client(&["udp", &format!("localhost:{port}"), "x", "--format", "json"], "");
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(&format!("\"address\":\"{server}\"")), "{}", ran.out);
    // An address of the other IP version is rejected.
    let ran = client(&["udp", "127.0.0.1", "-6", "x"], "");
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("not an address of the IP version"), "{}", ran.err);
}

#[test]
fn wrong_values_are_reported_in_one_line_with_status_2() {
    let long = "x".repeat(65_508);
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
        (&["udp", "127.0.0.1", "-c", "1", "x", "--pin", "4095"], "CPU 4095"),
        (&["tcp", "127.0.0.1", ""], "empty"),
    ] {
        let ran = client(arguments, "");
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(clue), "{}", ran.err);
    }
}

#[test]
fn wrong_usage_is_reported_in_the_words_of_clap_with_status_2() {
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
        (&["udpp", "127.0.0.1"], "a similar subcommand exists: 'udp'"),
        (&["udp", "--intervall", "1"], "a similar argument exists: '--interval'"),
        (&["diagnose", "127.0.0.1", "--format", "csv"], "[possible values: text, json]"),
        (&["trace", "--format", "csv"], "[possible values: text, json]"),
    ] {
        let ran = client(arguments, "");
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        assert!(ran.err.contains(clue), "{}", ran.err);
    }
}

#[test]
fn a_count_of_one_never_reads_stdin() {
    // An open pipe without data: a client that reads it waits forever.
    let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(["udp", &udp_server(), "-c", "1", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = process.stdin.take();
    let output = process.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"received\":1"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_closed_stdout_ends_every_command_quietly_with_its_status() {
    use std::io::{BufRead as _, BufReader};
    let udp = udp_server();
    let tcp = tcp_server();
    let targets = [format!("udp://{udp}"), format!("tcp://{tcp}")];
    // The first number is how many lines the reader reads before it closes the pipe.
    for (lines, arguments, status) in [
        (0, &["udp", &udp, "x"][..], 0),
        (2, &["udp", &udp, "-i", "1ms"], 0),
        (3, &["tcp", &tcp, "-i", "0", "--format", "json"], 0),
        (2, &["udp", &udp, "-i", "1ms", "--format", "csv"], 0),
        (0, &["compare", &targets[0], &targets[1], "-c", "20"], 0),
        (1, &["diagnose", &targets[0]], 0),
        (0, &["diagnose", "tcp://127.0.0.1:1"], 1),
        (1, &["--help"], 0),
    ] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        for _ in 0..lines {
            reader.read_line(&mut String::new()).unwrap();
        }
        drop(reader);
        let output = process.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(status), ""), "{arguments:?}");
    }
}

#[test]
fn control_characters_of_a_server_do_not_reach_the_terminal() {
    let ran = client(&["udp", &udp_server(), "\x1b]0;title\x07\u{202e}"], "");
    assert_eq!(ran.status, Some(0));
    assert!(ran.out.contains("\\u{1b}]0;TITLE\\u{7}\\u{202e}"), "{}", ran.out);
    assert!(!ran.out.contains('\x1b'));
    let arguments = ["udp", &udp_server(), "\u{9b}31m\u{7f}\u{202e}", "--format", "json"];
    let ran = client(&arguments, "");
    assert!(ran.out.contains("\\u009b31M\\u007f\\u202e"), "{}", ran.out);
}
