//! Tests in a network namespace: default port, missing IPv6, link-local addresses, missing privileges.

#[path = "../network/namespaces.rs"]
mod namespaces;

use super::super::SERVER;
use super::process::send_signal;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

/// The command that runs a shell script in a new network namespace. In the script, `$0` is the path of the server. `None`
/// if network namespaces are not available.
fn in_namespace(script: &str) -> Option<Command> {
    if !namespaces::is_possible("true") {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-Urnm", "sh", "-c", script, SERVER.path]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// Waits until the server has printed a number of lines, ends it, and returns its complete stdout and stderr.
fn run_until_started(mut command: Command, lines: usize) -> (String, String) {
    let mut server = command.spawn().unwrap();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let (mut out, mut err) = (String::new(), String::new());
    for _ in 0..lines {
        assert_ne!(stdout.read_line(&mut out).unwrap(), 0, "the server ended after: {out}");
    }
    send_signal(&server, "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    stdout.read_to_string(&mut out).unwrap();
    server.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (out, err)
}

fn has_ipv6() -> bool {
    let has_ipv6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        let is_required = std::env::var_os("REQUIRE_IPV6").is_some();
        assert!(!is_required, "REQUIRE_IPV6 is set, but this machine has no IPv6");
        eprintln!("SKIPPED: this machine has no IPv6");
    }
    has_ipv6
}

/// The line on stdout for a socket.
fn line(address: &str, port: u16) -> String {
    format!("{} listening on {address}:{port}\n", SERVER.name)
}

#[test]
fn the_default_addresses_are_both_loopback_addresses() {
    if !has_ipv6() {
        return;
    }
    let Some(command) = in_namespace("ip link set lo up && exec \"$0\"") else { return };
    let (out, err) = run_until_started(command, 2);
    let port = SERVER.default_port;
    assert_eq!(out, line("127.0.0.1", port) + &line("[::1]", port), "{err}");
    assert!(!err.contains("other hosts can reach"), "{err}");
}

#[test]
fn without_ipv6_the_default_is_ipv4_only() {
    let script = "ip link set lo up && { ip -6 address flush dev lo; exec \"$0\"; }";
    let Some(command) = in_namespace(script) else { return };
    let (out, err) = run_until_started(command, 1);
    assert_eq!(out, line("127.0.0.1", SERVER.default_port));
    assert!(err.contains("no IPv6"), "{err}");
}

#[test]
fn a_link_local_address_is_accepted_with_the_name_and_the_number_of_its_zone() {
    if !has_ipv6() {
        return;
    }
    // The loopback interface has the number 1.
    for zone in ["lo", "1"] {
        let script = format!(
            "ip link set lo up && ip address add fe80::1/64 dev lo nodad && \
             exec \"$0\" --listen '[fe80::1%{zone}]:4000'"
        );
        let Some(command) = in_namespace(&script) else { return };
        let (out, err) = run_until_started(command, 1);
        assert_eq!(out, line("[fe80::1%1]", 4000), "{err}");
    }
}

#[test]
fn a_port_without_permission_is_reported_in_one_line_with_status_2() {
    // The network namespace belongs to the first user namespace, so the second one has no privileges in it.
    let script = "ip link set lo up && exec unshare -U \"$0\" --listen 127.0.0.1:80";
    let Some(mut command) = in_namespace(script) else { return };
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with(&format!("{}: cannot listen on 127.0.0.1:80 ", SERVER.name)), "{err}");
    assert!(err.contains("ports below 1024 need privileges"), "{err}");
    assert!(err.contains("Permission denied"), "{err}");
}
