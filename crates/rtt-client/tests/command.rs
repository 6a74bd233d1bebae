//! `rtt-client` as people and scripts run it: output, exit status, mistakes.

use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

fn client(arguments: &[&str], input: &str) -> Ran {
    let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not read what it does not need.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}

/// A UDP server that answers as a proper one does, for as long as the test runs.
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

/// A TCP server that answers connection after connection and closes each after its reply.
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

/// Figures differ from run to run: digits become `0`, runs of them one.
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

/// The host differs from machine to machine.
fn without_host(json: &str) -> String {
    let Some((before, rest)) = json.split_once(",\"host\":{") else { return json.to_owned() };
    let (_, behind) = rest.split_once('}').unwrap();
    format!("{before}{behind}")
}

/// What the kernel knows of TCP is not known on every system; `series.rs` looks at it.
fn without_tcp_info(json: &str) -> String {
    let Some((before, rest)) = json.split_once(",\"tcp_info\":{") else { return json.to_owned() };
    let (_, behind) = rest.split_once('}').unwrap();
    format!("{before}{behind}")
}

#[test]
fn text_for_a_person() {
    let udp = client(&["udp", &udp_server(), "hello, world"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("udp_text", without_figures(&udp.out));
    let tcp = client(&["tcp", &tcp_server(), "hello, world"], "");
    assert_eq!((tcp.status, tcp.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("tcp_text", without_figures(&tcp.out));
}

#[test]
fn json_for_a_program() {
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
    // Who refused it is not known on every system.
    let closed_port = closed_port.out.replace(",\"origin\":\"unknown\"", ",\"origin\":\"peer\"");
    insta::assert_snapshot!("refused_json", without_figures(&without_host(&closed_port)));
}

#[test]
fn a_series_in_every_format() {
    let udp = client(&["udp", &udp_server(), "-c", "2", "-i", "0"], "");
    assert_eq!((udp.status, udp.err.as_str()), (Some(0), ""));
    // A figure of more digits takes the spaces before it.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: Vec<_> = udp.out.lines().map(words).collect();
    insta::assert_snapshot!("udp_series_text", without_figures(&text.join("\n")));
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
    assert!(rest.contains(" sent, ") && rest.contains("p99.9"), "{rest}");
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_does_not_wait_for_a_mute_peer() {
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    for more in [&["-W", "50"][..], &["-W", "50", "--breakdown"], &["-W", "50", "--rate", "1"]] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(["udp", &address, "-c", "100"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The first request is there: it waits for the reply.
        mute.recv(&mut [0; 128]).unwrap();
        let begun = Instant::now();
        let kill = Command::new("kill").args(["-s", "INT", &process.id().to_string()]).status();
        assert!(kill.unwrap().success());
        // Nothing was answered, and what was in the air is not counted.
        assert_eq!(process.wait().unwrap().code(), Some(1), "{more:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{more:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn the_three_figures_of_tcp_add_up() {
    let text = client(&["tcp", &tcp_server(), "x"], "").out;
    let figure = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.trim().starts_with(name)).unwrap();
        line.split_whitespace().rev().nth(1).unwrap().parse().unwrap()
    };
    for line in text.lines().filter(|line| line.ends_with(" ms")) {
        let (_, decimals) = line.trim_end_matches(" ms").rsplit_once('.').unwrap();
        assert_eq!(decimals.len(), 3, "{line}");
    }
    let between = figure("total RTT") - figure("handshake") - figure("request RTT");
    // Rounding, and two readings of the clock; a machine under load can stop us between them.
    assert!((-0.0015..50.0).contains(&between), "{between} in\n{text}");
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
fn without_a_message_a_line_of_stdin_is_sent() {
    let ran = client(&["udp", &udp_server()], "from a pipe\nand no more\n");
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("FROM A PIPE\n"), "{}", ran.out);
    let ran = client(&["udp", &udp_server()], "");
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("standard input has no line"), "{}", ran.err);
}

#[test]
fn nobody_there_is_one_clear_line_within_the_time_out() {
    for arguments in [
        &["udp", "127.0.0.1:1", "x"][..],
        &["tcp", "127.0.0.1:1", "x"],
        &["udp", "no.such.host.invalid", "x"],
        &["tcp", "no.such.host.invalid", "x"],
    ] {
        let begun = Instant::now();
        let ran = client(arguments, "");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(arguments[1]), "{}", ran.err);
    }
}

#[test]
fn every_address_of_a_name_is_tried() {
    // The server has one of localhost's addresses; whichever the resolver names first, it is found.
    let server = udp_server();
    let port = server.rsplit(':').next().unwrap();
    let ran = client(&["udp", &format!("localhost:{port}"), "x", "--format", "json"], "");
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(&format!("\"address\":\"{server}\"")), "{}", ran.out);
    // And an address of the other version is not gone to.
    let ran = client(&["udp", "127.0.0.1", "-6", "x"], "");
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("no address of the version of IP"), "{}", ran.err);
}

#[test]
fn what_cant_be_run_is_one_line_and_status_2() {
    let long = "x".repeat(65_508);
    for (arguments, clue) in [
        (&["udp", "tcp://127.0.0.1", "x"][..], "rtt-client tcp"),
        (&["udp", "127.0.0.1:0", "x"], "not a port"),
        (&["udp", "127.0.0.1", "x", "-W", "0"], "time-out"),
        (&["udp", "127.0.0.1", "x", "-W", "-1"], "-1"),
        (&["udp", "127.0.0.1", "x", "-W", "soon"], "500ms"),
        (&["udp", "127.0.0.1", &long], "65508"),
        (&["udp", "127.0.0.1", "--rate", "0"], "rate"),
        (&["udp", "127.0.0.1", "--rate", "-5"], "-5"),
        (&["udp", "127.0.0.1", "--rate", "1e9"], "rate"),
        (&["udp", "127.0.0.1", "--rate", "1e-300"], "time between"),
        (&["udp", "127.0.0.1", "x", "-W", "500ns"], "microsecond"),
        (&["udp", "127.0.0.1", "--rate", "1000000"], "in the air"),
        (&["udp", "127.0.0.1", "--rate", "10", "-i", "1"], "--interval"),
        (&["tcp", "127.0.0.1", "--rate", "10", "--connection", "each"], "--rate"),
        (&["udp", "127.0.0.1", "--duration", "0"], "duration"),
        (&["udp", "127.0.0.1", "--duration", "-1"], "-1"),
        (&["udp", "127.0.0.1", "--duration", "1e12"], "duration"),
        (&["udp", "127.0.0.1", "-c", "0"], "count"),
        (&["udp", "127.0.0.1", "-c", "-1"], "-1"),
        (&["udp", "127.0.0.1", "-s", "65508"], "65508"),
        (&["udp", "127.0.0.1", "-s", "9"], "too few"),
        (&["udp", "127.0.0.1", "-c", "2", "-s", "49", "--breakdown"], "timing header"),
        (&["udp", "127.0.0.1", "-c", "1", "x", "--pin", "4095"], "CPU 4095"),
        (&["tcp", "127.0.0.1", ""], "empty"),
        (&["udp", "127.0.0.1", "x", "-4", "-6"], "-6"),
        (&["udp", "a b", "x"], "a b"),
        (&["sctp", "127.0.0.1"], "sctp"),
        (&["udp", "--frobnicate"], "--frobnicate"),
    ] {
        let ran = client(arguments, "");
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(clue), "{}", ran.err);
    }
}

#[test]
fn what_a_peer_sends_can_not_write_to_the_terminal() {
    let ran = client(&["udp", &udp_server(), "\x1b]0;title\x07\u{202e}"], "");
    assert_eq!(ran.status, Some(0));
    assert!(ran.out.contains("\\u{1b}]0;TITLE\\u{7}\\u{202e}"), "{}", ran.out);
    assert!(!ran.out.contains('\x1b'));
    let arguments = ["udp", &udp_server(), "\u{9b}31m\u{7f}\u{202e}", "--format", "json"];
    let ran = client(&arguments, "");
    assert!(ran.out.contains("\\u009b31M\\u007f\\u202e"), "{}", ran.out);
}
