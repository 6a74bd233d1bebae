//! `dnsmasq`, compared with `dig` and with the times that `tshark` finds in a capture.

use super::agreement::{assert_agree, rtts, tshark_times};
use super::lab::{self, ADDRESS, Path};
use super::loopback::{Running, complete_series, is_found};
use super::program::{Ready, Server, arguments, path};
use std::time::Duration;

const DNSMASQ: Server = Server {
    programs: &["dnsmasq"],
    command: |place| {
        let port = place.port.to_string();
        // In the debug mode, the server stays in the foreground and does not change its user. It refuses all queries,
        // because it has no upstream server.
        let mut command =
            arguments([&path("dnsmasq"), "-d", "-C", "/dev/null", "--pid-file=", "-p", &port]);
        command.extend(arguments(["-z", "-a", place.ip, "--no-resolv", "--no-hosts"]));
        command
    },
    // A query for the name servers of the root, with the identifier 1.
    ready: Ready::Reply(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01"),
};

#[test]
fn dnsmasq_answers_each_query() {
    let Some(running) = Running::start(&DNSMASQ) else { return };
    let address = running.address();
    for schedule in [["-i", "0"], ["--rate", "200"]] {
        complete_series(&[&["udp", &address, "--service", "dns"], &schedule[..]].concat(), 100);
    }
    is_found(&[&format!("udp://{address}"), "--service", "dns"]);
}

/// Three queries of `dig`, with the times in microseconds.
fn dig() -> Vec<String> {
    let (ip, port) = ADDRESS.split_once(':').unwrap();
    let server = format!("@{ip}");
    let mut command = arguments(["dig", "-u", "-p", port, &server, "+tries=1"]);
    command.extend([".", "NS", ".", "NS", ".", "NS"].map(str::to_owned));
    command
}

/// The query times in an output of `dig`: `;; Query time: 10233 usec`.
fn query_times(output: &str) -> Vec<Duration> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(";; Query time: "));
    let times = lines.map(|line| line.strip_suffix(" usec").unwrap().parse().unwrap());
    times.map(Duration::from_micros).collect()
}

#[test]
fn median_of_dnsmasq_agrees_with_dig() {
    let commands = [lab::client(10, &["udp", ADDRESS, "--service", "dns"]), dig()];
    let Some([client, dig]) = lab::run(&DNSMASQ, &Path::SHORT, &["dig"], &commands) else { return };
    let times = dig.iter().flat_map(|output| query_times(output)).collect();
    assert_agree("dnsmasq", rtts(&client), times);
}

#[test]
fn median_of_dnsmasq_agrees_with_the_capture() {
    let mut captured = Vec::new();
    let commands = [lab::client(20, &["udp", ADDRESS, "--service", "dns"])];
    let outputs =
        lab::run_with_capture(&DNSMASQ, &Path::SHORT, &["tshark"], &commands, |capture| {
            captured = tshark_times(capture, "udp.port==7777,dns", "dns.time");
        });
    let Some([client]) = outputs else { return };
    assert_eq!(captured.len(), rtts(&client).len(), "each exchange is in the capture");
    assert_agree("dnsmasq, dns.time", rtts(&client), captured);
}
