//! `sshd` on its own port. The server sends first. So the RTT is the time from the established connection to the server's
//! version string.

use super::agreement::{assert_agree, field_of_events, handshakes, plain_client, rtts};
use super::lab::{self, ADDRESS, Path};
use super::program::{Ready, Server, arguments, path};

/// `sshd` needs the directory /run/sshd. In the lab, /run is a new file system.
const SSHD: Server = Server {
    programs: &["sshd", "ssh-keygen"],
    command: |place| {
        let key = place.path("key");
        let (server, port, ip) = (path("sshd"), place.port, place.ip);
        let script = format!(
            "mkdir /run/sshd && ssh-keygen -q -t ed25519 -N '' -f '{key}' &&
            exec {server} -D -e -f /dev/null -h '{key}' -p {port} -o ListenAddress={ip}"
        );
        arguments(["sh", "-c", &script])
    },
    ready: Ready::Connect,
};

/// The server starts a program for each connection, which takes many milliseconds.
const PATH: Path = Path { delay_ms: 150, rounds: 3 };

#[test]
fn median_of_sshd_agrees_with_plain_sockets() {
    let client = lab::client(4, &["tcp", ADDRESS, "--service", "ssh"]);
    let commands = [client, lab::plain_client("greeting", 4, b"")];
    let Some([client, plain]) = lab::run(&SSHD, &PATH, &[], &commands) else { return };
    assert_eq!(handshakes(&client).len(), rtts(&client).len(), "each exchange has its connection");
    assert_agree("sshd", rtts(&client), plain_client(&plain, "rtt_ns"));
    let first_bytes = field_of_events(&client, "exchange", "first_byte_ns");
    assert_agree("sshd, first byte", first_bytes, plain_client(&plain, "rtt_ns"));
    assert_agree("sshd, handshake", handshakes(&client), plain_client(&plain, "connect_ns"));
}
