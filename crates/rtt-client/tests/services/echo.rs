//! Plain echo servers (RFC 862): `ncat` and `socat`, which start `cat` for each connection or datagram.

use super::agreement::{assert_agree, plain_client, rtts};
use super::lab::{self, ADDRESS, Path};
use super::loopback::{Running, complete_series, is_found};
use super::program::{Ready, Server, arguments, path};

/// The bytes of a request of the plain client.
const REQUEST: &[u8] = b"hello\n";

const NCAT_TCP: Server = Server {
    programs: &["ncat"],
    command: |place| {
        arguments(["ncat", "-l", "-k", "-e", "/bin/cat", place.ip, &place.port.to_string()])
    },
    ready: Ready::Connect,
};

const NCAT_UDP: Server = Server {
    command: |place| {
        arguments(["ncat", "-u", "-l", "-k", "-e", "/bin/cat", place.ip, &place.port.to_string()])
    },
    ready: Ready::Reply(REQUEST),
    ..NCAT_TCP
};

const SOCAT_TCP: Server = Server {
    programs: &["socat"],
    command: |place| {
        let listen = format!("TCP-LISTEN:{},bind={},fork", place.port, place.ip);
        arguments(["socat", &listen, &format!("EXEC:{}", path("cat"))])
    },
    ready: Ready::Connect,
};

const SOCAT_UDP: Server = Server {
    command: |place| {
        let listen = format!("UDP-RECVFROM:{},bind={},fork", place.port, place.ip);
        arguments(["socat", &listen, &format!("EXEC:{}", path("cat"))])
    },
    ready: Ready::Reply(REQUEST),
    ..SOCAT_TCP
};

/// Checks that the server is a plain echo server in a series, at a fixed rate, in a comparison and in a diagnosis.
fn is_plain_echo(server: &Server, protocol: &str) {
    let Some(running) = Running::start(server) else { return };
    let url = format!("{protocol}://{}", running.address());
    for schedule in [["-i", "0"], ["--rate", "100"]] {
        let (summary, _) = complete_series(&[&[protocol, &url][..], &schedule].concat(), 20);
        assert_eq!(summary["echo"], "same", "{summary}");
    }
    let (summary, _) = complete_series(&[protocol, &url, "-i", "0", "--echo", "same"], 5);
    assert_eq!(summary["echo"], "same", "{summary}");
    is_found(&[&url]);
    let (status, events) = super::loopback::client(&["compare", &url, &url, "-c", "20", "-q"]);
    assert_eq!(status, Some(0), "{events:?}");
}

/// Checks that the medians of the client and of plain sockets agree.
fn agrees_with_plain_sockets(name: &str, server: &Server, protocol: &str) {
    let path = &Path::SHORT;
    let commands =
        [lab::client(10, &[protocol, ADDRESS]), lab::plain_client(protocol, 10, REQUEST)];
    let Some([client, plain]) = lab::run(server, path, &[], &commands) else { return };
    assert_agree(name, rtts(&client), plain_client(&plain, "rtt_ns"));
}

#[test]
fn ncat_is_a_plain_echo_server_over_tcp() {
    is_plain_echo(&NCAT_TCP, "tcp");
}

#[test]
fn ncat_is_a_plain_echo_server_over_udp() {
    is_plain_echo(&NCAT_UDP, "udp");
}

#[test]
fn socat_is_a_plain_echo_server_over_tcp() {
    is_plain_echo(&SOCAT_TCP, "tcp");
}

#[test]
fn socat_is_a_plain_echo_server_over_udp() {
    is_plain_echo(&SOCAT_UDP, "udp");
}

#[test]
fn median_of_ncat_agrees_with_plain_sockets() {
    agrees_with_plain_sockets("ncat over TCP", &NCAT_TCP, "tcp");
    agrees_with_plain_sockets("ncat over UDP", &NCAT_UDP, "udp");
}

#[test]
fn median_of_socat_agrees_with_plain_sockets() {
    agrees_with_plain_sockets("socat over TCP", &SOCAT_TCP, "tcp");
    // Over UDP, `socat` starts two processes for each datagram. This takes milliseconds, and depends on the machine's load.
}
