//! `memcached`, compared with plain sockets.

use super::agreement::{assert_agree, plain_client, rtts};
use super::lab::{self, ADDRESS, Path};
use super::loopback::{Running, complete_series, is_found};
use super::program::{Ready, Server, arguments};

const MEMCACHED: Server = Server {
    programs: &["memcached"],
    command: |place| {
        let port = place.port.to_string();
        // The user matters only if the superuser runs the tests. The namespaces of the lab contain only this user.
        arguments(["memcached", "-u", "root", "-U", "0", "-l", place.ip, "-p", &port])
    },
    ready: Ready::Connect,
};

#[test]
fn memcached_answers_each_request_on_one_connection() {
    let Some(running) = Running::start(&MEMCACHED) else { return };
    let address = running.address();
    for schedule in [["-i", "0"], ["--rate", "200"]] {
        let arguments = [&["tcp", &address, "--service", "memcached"], &schedule[..]].concat();
        let (summary, connections) = complete_series(&arguments, 100);
        assert_eq!(connections, 1, "{summary}");
    }
    is_found(&[&format!("tcp://{address}"), "--service", "memcached"]);
}

#[test]
fn median_of_memcached_agrees_with_plain_sockets() {
    let client = lab::client(10, &["tcp", ADDRESS, "--service", "memcached"]);
    let commands = [client, lab::plain_client("tcp", 10, b"version\r\n")];
    let Some([client, plain]) = lab::run(&MEMCACHED, &Path::SHORT, &[], &commands) else { return };
    assert_agree("memcached", rtts(&client), plain_client(&plain, "rtt_ns"));
}
