//! The client as a process: signals, pipes that are closed, standard input, the log.

use super::{client, tcp_server, udp_server};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

fn client_process() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rtt-client"))
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_series_with_its_summary() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let mut process = client_process()
        .args(["udp", &udp_server(), "-i", "10ms"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.trim_start().starts_with('3') {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the client prints three replies");
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
    silent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for more in [&["-W", "50"][..], &["-W", "50", "--breakdown"], &["-W", "50", "--rate", "1"]] {
        let mut process = client_process()
            .args(["udp", &address, "-c", "100"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // When the request has arrived, the client waits for the reply.
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
fn count_of_one_never_reads_stdin() {
    // The pipe is open and contains no data, so a client that reads it waits forever.
    let mut process = client_process()
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
fn closed_stdout_ends_every_command_without_a_message() {
    use std::io::{BufRead as _, BufReader};
    let udp = udp_server();
    let tcp = tcp_server();
    let targets = [format!("udp://{udp}"), format!("tcp://{tcp}")];
    let capture_file = empty_capture_file();
    let capture_file = capture_file.to_str().unwrap();
    // The first number is the number of lines that are read before the pipe is closed.
    for (lines, arguments, status) in [
        (0, &["udp", &udp, "x"][..], 0),
        (2, &["udp", &udp, "-i", "1ms"], 0),
        (3, &["tcp", &tcp, "-i", "0", "--format", "json"], 0),
        (2, &["udp", &udp, "-i", "1ms", "--format", "csv"], 0),
        (0, &["compare", &targets[0], &targets[1], "-c", "20"], 0),
        (1, &["diagnose", &targets[0]], 0),
        (0, &["diagnose", "tcp://127.0.0.1:1"], 1),
        (0, &["trace", "-r", capture_file], 0),
        (0, &["trace", "-r", capture_file, "--format", "json"], 0),
        (1, &["protocols"], 0),
        (0, &["protocols", "--format", "json"], 0),
        (1, &["--help"], 0),
    ] {
        let mut process = client_process()
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

/// Creates a pcap file without packets. Returns its path.
fn empty_capture_file() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty.pcap");
    // The magic number 0xa1b2c3d4 in little-endian order. All other fields are zero.
    fs::write(&path, [&[0xd4, 0xc3, 0xb2, 0xa1][..], &[0; 20]].concat()).unwrap();
    path
}

#[test]
fn closed_stderr_does_not_change_the_exit_status() {
    for (arguments, status) in [
        (&["udp", "127.0.0.1", "x", "-W", "0"][..], 2),
        (&["tcp", "127.0.0.1:1", "x"], 1),
        (&["udp", "127.0.0.1:1", "x", "-vv"], 1),
        (&["udpp"], 2),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let process =
            client_process().args(arguments).stdout(Stdio::null()).stderr(writer).status();
        assert_eq!(process.unwrap().code(), Some(status), "{arguments:?}");
    }
}

#[test]
fn verbose_logs_sockets_and_very_verbose_logs_exchanges() {
    let server = udp_server();
    let port = server.rsplit(':').next().unwrap();
    let target = format!("localhost:{port}");
    let arguments = ["udp", &target, "-4", "-c", "3", "-i", "0"];
    let exchanges = |log: &str| log.lines().filter(|line| line.contains("exchange")).count();

    let quiet = client(&arguments, "");
    assert_eq!((quiet.status, quiet.err.as_str()), (Some(0), ""));

    let verbose = client(&[&arguments[..], &["-v"]].concat(), "");
    assert_eq!(verbose.status, Some(0), "{}", verbose.err);
    for message in ["name look-up host=\"localhost\"", "socket created"] {
        assert!(verbose.err.contains(message), "{message} in {}", verbose.err);
    }
    assert_eq!(exchanges(&verbose.err), 0, "{}", verbose.err);

    let very_verbose = client(&[&arguments[..], &["-vv"]].concat(), "");
    assert!(very_verbose.err.contains("socket created"), "{}", very_verbose.err);
    assert_eq!(exchanges(&very_verbose.err), 3, "{}", very_verbose.err);
    for number in 1..=3 {
        let exchange = format!("seq={number} outcome=reply rtt=");
        assert!(very_verbose.err.contains(&exchange), "{exchange} in {}", very_verbose.err);
    }
}
