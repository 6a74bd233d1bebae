//! `chronyd` as an NTP server on its own port, compared with plain sockets.

use super::agreement::{assert_agree, plain_client, rtts};
use super::lab::{self, ADDRESS, Path};
use super::loopback::{Running, complete_series, is_found};
use super::program::{Ready, Server, arguments, is_superuser, path};

/// A request of version 4 in the mode 3 (client). RFC 5905, section 7.3.
const REQUEST: [u8; 48] = {
    let mut request = [0; 48];
    request[0] = 0x23;
    request
};

const CHRONYD: Server = Server {
    programs: &["chronyd"],
    command: |place| {
        let config = format!(
            "port {}\nbindaddress {}\nallow\nlocal stratum 10\ncmdport 0\nbindcmdaddress /\npidfile {}\n",
            place.port,
            place.ip,
            place.path("chronyd.pid")
        );
        let config = place.file("chrony.conf", &config);
        // The server does not change the clock (-x), and stays in the foreground (-d).
        arguments([&path("chronyd"), "-x", "-d", "-u", "root", "-f", &config])
    },
    ready: Ready::Reply(&REQUEST),
};

#[test]
fn chronyd_answers_each_request() {
    if !is_superuser() {
        return;
    }
    let Some(running) = Running::start(&CHRONYD) else { return };
    let address = running.address();
    for schedule in [["-i", "0"], ["--rate", "200"]] {
        complete_series(&[&["udp", &address, "--service", "ntp"], &schedule[..]].concat(), 100);
    }
    is_found(&[&format!("udp://{address}"), "--service", "ntp"]);
}

#[test]
fn median_of_chronyd_agrees_with_plain_sockets() {
    let client = lab::client(10, &["udp", ADDRESS, "--service", "ntp"]);
    let commands = [client, lab::plain_client("udp", 10, &REQUEST)];
    let Some([client, plain]) = lab::run(&CHRONYD, &Path::SHORT, &[], &commands) else { return };
    assert_agree("chronyd", rtts(&client), plain_client(&plain, "rtt_ns"));
}
