//! `rtt-client diagnose` with servers on this host. The tests need no privileges, and most of them run on every system.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `diagnose`. Returns the exit status, stdout and stderr.
fn diagnose(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
    let Output { status, stdout, stderr } =
        command.arg("diagnose").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Runs `diagnose` with JSON output. Returns the exit status and the events.
fn events(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let (status, out, err) = diagnose(&[arguments, &["--format", "json"]].concat());
    assert_eq!(err, "");
    (status, out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Like [`events`], but returns only the findings.
fn findings(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let (status, mut events) = events(arguments);
    events.retain(|event| event["type"] == "finding");
    (status, events)
}

/// Starts a TCP server that calls `handle` with the first bytes of each connection. The server does not close the
/// connections.
fn serve(listener: TcpListener, handle: fn(&mut TcpStream, &[u8])) -> String {
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut connections = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap();
            handle(&mut stream, &request[..length]);
            connections.push(stream);
        }
    });
    address
}

fn tcp_server(handle: fn(&mut TcpStream, &[u8])) -> String {
    serve(TcpListener::bind("127.0.0.1:0").unwrap(), handle)
}

fn send_upper_case(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(&request.to_ascii_uppercase()).unwrap();
}

/// An address of this host with a port that is closed for UDP and for TCP.
fn closed_port() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[test]
fn closed_port_is_refused_over_both_protocols() {
    let target = closed_port();
    let (status, findings) = findings(&[&target]);
    assert_eq!((status, findings.len()), (Some(1), 2));
    for (finding, protocol) in findings.iter().zip(["udp", "tcp"]) {
        assert_eq!(finding["type"], "finding");
        assert_eq!(finding["protocol"], protocol);
        assert_eq!(finding["address"], target);
        assert_eq!(finding["condition"], "refused", "{finding}");
        assert!(finding["after_ns"].is_u64() && finding["errno"].is_i64(), "{finding}");
    }
    #[cfg(all(target_os = "linux", not(portable)))]
    {
        assert_eq!(findings[0]["icmp"]["type"], 3);
        assert_eq!(findings[0]["icmp"]["code"], 3);
        assert_eq!(findings[0]["icmp"]["from"], "127.0.0.1");
        assert_eq!(findings[1]["origin"], "peer");
    }
    // Other systems do not report the sender of the ICMP error. The condition is the same.
    #[cfg(not(all(target_os = "linux", not(portable))))]
    {
        assert_eq!(findings[0]["icmp"], Value::Null);
        assert_eq!(findings[0]["origin"], "unknown");
        let explanation = findings[0]["explanation"].as_str().unwrap();
        assert!(explanation.contains("this system does not report its sender"), "{explanation}");
    }
    #[cfg(target_os = "linux")]
    assert_eq!(findings[0]["unconnected"]["result"], "timeout");
}

#[test]
fn host_event_follows_the_findings_and_states_that_the_host_is_up() {
    let server = tcp_server(send_upper_case);
    let icmp = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(["icmp", "127.0.0.1", "hello"])
        .output()
        .unwrap();
    for (target, status, state) in [
        (format!("tcp://{server}"), 0, "service-up"),
        (format!("tcp://{}", closed_port()), 1, "host-up-service-down"),
    ] {
        let (actual_status, events) = events(&[&target]);
        assert_eq!((actual_status, events.len()), (Some(status), 2), "{events:?}");
        let host = &events[1];
        assert_eq!((&host["type"], &host["address"]), (&"host".into(), &"127.0.0.1".into()));
        assert_eq!(host["state"], state, "{host}");
        let [check] = &host["checks"].as_array().unwrap()[..] else { panic!("{host}") };
        // Not every user may send echo requests. Then the conclusion depends on the other findings.
        if icmp.status.success() {
            assert_eq!(
                (&check["protocol"], &check["condition"]),
                (&"icmp".into(), &"answering".into())
            );
        } else {
            assert!(check["not_possible"].is_string() && check["protocol"] == "icmp", "{host}");
        }
    }
    // A diagnosis of the host itself has no additional conclusion.
    let (_, out, _) = diagnose(&["icmp://127.0.0.1", "--format", "json"]);
    assert!(!out.contains("\"type\":\"host\""), "{out}");
}

#[test]
fn url_selects_one_protocol() {
    let server = tcp_server(send_upper_case);
    let (status, findings) = findings(&[&format!("tcp://{server}")]);
    assert_eq!((status, findings.len()), (Some(0), 1));
    assert_eq!(findings[0]["condition"], "answering");
    assert_eq!(findings[0]["server"], "plain");
    assert!(findings[0]["rtt_ns"].is_u64(), "{findings:?}");
    assert!(findings[0]["connect_ns"].is_u64(), "{findings:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn target_and_local_address_can_have_a_zone() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        println!("SKIPPED: this host has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    serve(listener, send_upper_case);
    // Linux gives the loopback interface the index 1 in every network namespace.
    for zone in ["lo", "1"] {
        let target = format!("tcp://[::1%{zone}]:{port}");
        let (status, findings) = findings(&[&target, "-B", &format!("::1%{zone}")]);
        assert_eq!(status, Some(0), "{findings:?}");
        assert_eq!(findings[0]["address"], format!("[::1%1]:{port}"));
    }
    let (status, found) = findings(&["[fe80::1%no-such-if]:9"]);
    assert_eq!(status, Some(1));
    assert_eq!(found[0]["condition"], "name-not-found");
    let detail = found[0]["detail"].as_str().unwrap();
    assert!(detail.contains("this host has no interface `no-such-if`"), "{detail}");
}

#[test]
fn servers_that_are_not_echo_servers_have_different_conditions() {
    for (server, condition) in [
        (tcp_server(|stream, _| stream.shutdown(Shutdown::Both).unwrap()), "closed"),
        (tcp_server(|_, _| {}), "silent"),
        (
            // A mixture of the two forms.
            tcp_server(|stream, request| {
                let (unchanged, rest) = request.split_at(request.len() / 2);
                stream.write_all(&[unchanged, &rest.to_ascii_uppercase()].concat()).unwrap();
            }),
            "wrong-answer",
        ),
        (
            tcp_server(|stream, _| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap()),
            "wrong-answer",
        ),
    ] {
        let (status, findings) = findings(&[&format!("tcp://{server}"), "-W", "500ms"]);
        assert_eq!(status, Some(1), "{findings:?}");
        assert_eq!(findings[0]["condition"], condition, "{findings:?}");
    }
}

#[test]
fn plain_echo_server_answers() {
    let server = tcp_server(|stream, request| stream.write_all(request).unwrap());
    for (form, condition) in
        [("auto", "answering"), ("same", "answering"), ("upper", "wrong-answer")]
    {
        let (_, findings) = findings(&[&format!("tcp://{server}"), "--echo", form]);
        assert_eq!(findings[0]["condition"], condition, "{findings:?}");
        if condition == "answering" {
            assert_eq!(
                (&findings[0]["server"], &findings[0]["echo"]),
                (&"plain".into(), &"same".into())
            );
        }
    }
}

#[test]
fn timeout_limits_the_whole_diagnosis() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let start = Instant::now();
    let (_, findings) = findings(&[&target, "-W", "600ms"]);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(findings[0]["condition"], "silent");
    assert_eq!(findings[0]["sent"], 3);
    assert_eq!(findings[1]["condition"], "refused");
}

#[test]
fn unknown_name_has_no_address() {
    let (status, findings) = findings(&["no-such-host.invalid", "-W", "5"]);
    assert_eq!((status, findings.len()), (Some(1), 2));
    for finding in &findings {
        let condition = finding["condition"].as_str().unwrap();
        // The condition depends on whether this machine can reach a name server.
        assert!(["name-not-found", "name-lookup-failed"].contains(&condition), "{finding}");
        assert_eq!((&finding["address"], &finding["sent"]), (&Value::Null, &0.into()));
    }
}

#[test]
fn text_output_fits_80_columns_and_escapes_control_characters() {
    let hostile = tcp_server(|stream, _| stream.write_all(b"\x1b[2J rude").unwrap());
    let (status, out, err) = diagnose(&[&format!("tcp://{hostile}")]);
    assert_eq!((status, err.as_str()), (Some(1), ""));
    assert!(out.contains(&format!("TCP {hostile}: wrong-answer, reply ")), "{out}");
    assert!(out.contains("received") && out.contains(r"\x1b[2J rude"), "{out}");
    for label in ["meaning", "not certain", "next step"] {
        assert!(out.contains(label), "{out}");
    }
    let (_, refused, _) = diagnose(&[&closed_port()]);
    let server = tcp_server(|stream, _| stream.write_all(&[b'A'; 500]).unwrap());
    let (_, long_reply, _) = diagnose(&[&format!("tcp://{server}")]);
    assert!(long_reply.matches('A').count() > 100, "{long_reply}");
    let name = format!("{0}.{0}.invalid", "a".repeat(60));
    let (_, long_name, _) = diagnose(&[&name, "-W", "5"]);
    let texts = [&out, &refused, &long_reply, &long_name];
    for line in texts.into_iter().flat_map(|text| text.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
#[cfg(all(target_os = "linux", not(portable)))]
fn udp_command_prints_the_sender_of_an_icmp_error() {
    for arguments in [&["hello"][..], &["-c", "3", "-i", "0"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtt-client"));
        let output = command.args(["udp", &closed_port()]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        // The client wraps long lines, so the text is joined again.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("ICMP type 3 code 3 (port unreachable) from 127.0.0.1"), "{text}");
    }
}

#[test]
#[cfg(all(target_os = "linux", not(portable)))]
fn verbose_output_contains_the_look_up_the_socket_and_the_connection() {
    let (status, _, err) = diagnose(&[&format!("tcp://{}", closed_port()), "-v"]);
    assert_eq!(status, Some(1));
    for part in ["name look-up", "socket created", "TCP_NODELAY", "connecting", "refused"] {
        assert!(err.contains(part), "no `{part}` in:\n{err}");
    }
    assert_eq!(err.matches("connection not opened").count(), 1, "{err}");
    assert!(!err.contains("finding"), "{err}");
}

#[test]
fn very_verbose_output_contains_each_request_and_finding() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("udp://{}", silent.local_addr().unwrap());
    let (status, _, err) = diagnose(&[&target, "-W", "300ms", "-vv"]);
    assert_eq!(status, Some(1));
    let count = |text: &str| err.lines().filter(|line| line.contains(text)).count();
    let requests = count("request sent protocol=\"udp\"");
    assert_eq!((requests, count("finding protocol=\"udp\"")), (3, 1), "{err}");
    // The check of the host can have a finding, too.
    let finding = err.lines().find(|line| line.contains("finding protocol=\"udp\"")).unwrap();
    assert!(finding.contains("silent"), "{finding}");
}

#[test]
fn diagnosis_that_cannot_start_exits_with_status_2_and_one_line() {
    for (arguments, expected) in [
        (&["127.0.0.1:9", "-6"][..], "127.0.0.1 is not an IPv6 address, but -6 selects IPv6"),
        (
            &["127.0.0.1:9", "-B", "::1"],
            "127.0.0.1 is not an IPv6 address, but --bind selects IPv6",
        ),
        (
            &["127.0.0.1:9", "-B", "192.0.2.55"],
            "cannot bind to 192.0.2.55 for UDP 127.0.0.1:9: Cannot assign requested address",
        ),
        (&["127.0.0.1:9", "-W", "0"], "timeout"),
    ] {
        let (status, out, err) = diagnose(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
        // Other systems have a different text for the same error.
        let expected = if cfg!(target_os = "linux") {
            expected
        } else {
            expected.split(": C").next().unwrap()
        };
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

#[test]
fn invalid_argument_exits_with_status_2_and_shows_valid_values() {
    for (arguments, expected) in [
        (&["127.0.0.1:9", "--format", "csv"][..], "[possible values: text, json]"),
        (&["127.0.0.1:9", "-B", "localhost"], "`localhost` is not an IP address; examples:"),
    ] {
        let (status, out, err) = diagnose(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}
