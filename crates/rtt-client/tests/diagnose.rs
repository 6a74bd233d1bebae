//! `rtt-client diagnose` on this host: what every system can show without privileges.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

fn diagnose(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
    let Output { status, stdout, stderr } =
        command.arg("diagnose").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn findings(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let (status, out, err) = diagnose(&[arguments, &["--format", "json"]].concat());
    assert_eq!(err, "");
    (status, out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A TCP server that does `answer` to what it reads first.
fn tcp(answer: fn(&mut std::net::TcpStream, &[u8])) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut text = vec![0; 4096];
            let length = stream.read(&mut text).unwrap();
            answer(&mut stream, &text[..length]);
            kept.push(stream);
        }
    });
    address
}

/// A port of this host on which nothing listens, over both protocols.
fn closed() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[test]
fn a_closed_port_refuses_over_both_protocols() {
    let target = closed();
    let (status, found) = findings(&[&target]);
    assert_eq!((status, found.len()), (Some(1), 2));
    for (finding, protocol) in found.iter().zip(["udp", "tcp"]) {
        assert_eq!(finding["type"], "finding");
        assert_eq!(finding["protocol"], protocol);
        assert_eq!(finding["address"], target);
        assert_eq!(finding["condition"], "refused", "{finding}");
        assert!(finding["after_ns"].is_u64() && finding["errno"].is_i64(), "{finding}");
    }
    #[cfg(all(target_os = "linux", not(portable)))]
    {
        assert_eq!(found[0]["icmp"]["type"], 3);
        assert_eq!(found[0]["icmp"]["code"], 3);
        assert_eq!(found[0]["icmp"]["from"], "127.0.0.1");
        assert_eq!(found[1]["origin"], "peer");
    }
    // Without the error queue the condition is the same, and what is missing is said to be.
    #[cfg(not(all(target_os = "linux", not(portable))))]
    {
        assert_eq!(found[0]["icmp"], Value::Null);
        assert_eq!(found[0]["origin"], "unknown");
        let told = found[0]["explanation"].as_str().unwrap();
        assert!(told.contains("this system does not report its sender"), "{told}");
    }
    #[cfg(target_os = "linux")]
    assert_eq!(found[0]["unconnected"]["result"], "timeout");
}

#[test]
fn a_url_means_that_protocol_alone() {
    let plain = tcp(|stream, text| stream.write_all(&text.to_ascii_uppercase()).unwrap());
    let (status, found) = findings(&[&format!("tcp://{plain}")]);
    assert_eq!((status, found.len()), (Some(0), 1));
    assert_eq!(
        (&found[0]["condition"], &found[0]["server"]),
        (&"answering".into(), &"plain".into())
    );
    assert!(found[0]["rtt_ns"].is_u64() && found[0]["connect_ns"].is_u64(), "{found:?}");
}

#[test]
fn what_is_no_echo_server_is_told_apart() {
    for (server, condition) in [
        (tcp(|stream, _| stream.shutdown(std::net::Shutdown::Both).unwrap()), "closed"),
        (tcp(|_, _| {}), "silent"),
        (tcp(|stream, text| stream.write_all(text).unwrap()), "wrong-answer"),
        (
            tcp(|stream, _| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap()),
            "wrong-answer",
        ),
    ] {
        let (status, found) = findings(&[&format!("tcp://{server}"), "-W", "500ms"]);
        assert_eq!((status, &found[0]["condition"]), (Some(1), &condition.into()), "{found:?}");
    }
}

#[test]
fn the_time_out_is_for_everything_together() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let (_, found) = findings(&[&target, "-W", "600ms"]);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((&found[0]["condition"], &found[0]["sent"]), (&"silent".into(), &3.into()));
    assert_eq!(found[1]["condition"], "refused");
}

#[test]
fn a_name_that_does_not_exist_has_no_address() {
    let (status, found) = findings(&["no-such-host.invalid", "-W", "5"]);
    assert_eq!((status, found.len()), (Some(1), 2));
    for finding in &found {
        let condition = finding["condition"].as_str().unwrap();
        // Which of them depends on whether a name server answers here.
        assert!(["name-not-found", "name-lookup-failed"].contains(&condition), "{finding}");
        assert_eq!((&finding["address"], &finding["sent"]), (&Value::Null, &0.into()));
    }
}

#[test]
fn for_a_person_it_fits_the_screen_and_nothing_acts_on_the_terminal() {
    let rude = tcp(|stream, _| stream.write_all(b"\x1b[2J rude").unwrap());
    let (status, out, err) = diagnose(&[&format!("tcp://{rude}")]);
    assert_eq!((status, err.as_str()), (Some(1), ""));
    assert!(out.contains(&format!("TCP {rude}: wrong-answer after ")), "{out}");
    assert!(out.contains(r"it answered") && out.contains(r"\u{1b}[2J rude"), "{out}");
    for part in ["it means", "left open", "try next"] {
        assert!(out.contains(part), "{out}");
    }
    let (_, more, _) = diagnose(&[&closed()]);
    let long = tcp(|stream, _| stream.write_all(&[b'A'; 500]).unwrap());
    let (_, long, _) = diagnose(&[&format!("tcp://{long}")]);
    assert!(long.matches('A').count() > 100, "{long}");
    let name = format!("{0}.{0}.invalid", "a".repeat(60));
    let (_, named, _) = diagnose(&[&name, "-W", "5"]);
    for line in [&out, &more, &long, &named].into_iter().flat_map(|text| text.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
#[cfg(all(target_os = "linux", not(portable)))]
fn an_exchange_and_a_series_say_who_refused_them() {
    for more in [&["hello"][..], &["-c", "3", "-i", "0"]] {
        let target = closed();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
        let output = command.args(["udp", &target]).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let both = [output.stdout, output.stderr].concat();
        let both = String::from_utf8(both).unwrap();
        // Lines are folded at 80 columns.
        let both = both.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(both.contains("ICMP type 3 code 3 (port unreachable) from 127.0.0.1"), "{both}");
    }
}

#[test]
fn what_can_not_be_asked_for_is_told_in_a_line() {
    for arguments in [
        &["127.0.0.1:9", "-6"][..],
        &["127.0.0.1:9", "-B", "::1"],
        &["127.0.0.1:9", "-B", "192.0.2.55"],
        &["127.0.0.1:9", "--format", "csv"],
        &["127.0.0.1:9", "-W", "0"],
    ] {
        let (status, out, err) = diagnose(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    }
}
