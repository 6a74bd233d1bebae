//! The option `--ttl`, on a path with one router.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/routed.rs"]
mod routed;

use serde_json::Value;
use std::process::{Command, Output};

/// Runs the client in the network. Returns the only exchange.
fn exchange(protocol: &str, arguments: &[&str]) -> Value {
    let command = [env!("CARGO_BIN_EXE_rtt-client"), protocol, "hello", "--format", "json"];
    let (program, message) = command.split_at(2);
    let Output { stdout, stderr, .. } = routed::run(&[program, arguments, message].concat());
    let lines = String::from_utf8(stdout).unwrap();
    let mut events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .rfind(|event| event["type"] == "exchange")
        .unwrap_or_else(|| panic!("{lines}{}", String::from_utf8_lossy(&stderr)))
}

#[test]
fn router_reports_a_packet_whose_hop_limit_is_too_small() {
    if !routed::is_possible("true") {
        return;
    }
    for ((server, router), icmp) in routed::ADDRESSES.into_iter().zip([(11, 0), (3, 0)]) {
        for protocol in ["udp", "tcp"] {
            let failed = exchange(protocol, &[server, "--ttl", "1"]);
            assert_eq!(failed["condition"], "host-unreachable", "{failed}");
            assert_eq!(failed["icmp"]["from"], router, "{failed}");
            assert_eq!(failed["icmp"]["type"], icmp.0, "{failed}");
            assert_eq!(failed["icmp"]["code"], icmp.1, "{failed}");
            // With a larger hop limit, the request arrives. No server runs there.
            let refused = exchange(protocol, &[server, "--ttl", "2"]);
            assert_eq!(refused["condition"], "refused", "{refused}");
        }
    }
}

#[test]
fn series_ends_early_only_if_fewer_requests_than_planned_are_sent() {
    if !routed::is_possible("true") {
        return;
    }
    let (server, _) = routed::ADDRESSES[0];
    for (count, sent, is_early) in [("3", 3, false), ("9", 3, true)] {
        let client = env!("CARGO_BIN_EXE_rtt-client");
        let options = ["--ttl", "1", "-c", count, "-i", "0", "--format", "json"];
        let output = routed::run(&[&[client, "udp", server], &options[..]].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(summary["sent"], sent, "{summary}");
        let is_noted = summary["notes"].to_string().contains("Ended early");
        assert_eq!(is_noted, is_early, "{summary}");
    }
}

#[test]
fn packet_that_a_router_discards_does_not_show_that_the_host_is_down() {
    if !routed::is_possible("true") {
        return;
    }
    for (server, _) in routed::ADDRESSES {
        let client = env!("CARGO_BIN_EXE_rtt-client");
        let options = ["--ttl", "1", "-W", "2", "--format", "json"];
        let output = routed::run(&[&[client, "diagnose", server], &options[..]].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let events: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let host = events.iter().find(|event| event["type"] == "host").unwrap();
        assert_eq!(host["state"], "unknown", "{host}");
        let explanation = events[0]["explanation"].as_str().unwrap();
        assert!(explanation.contains("its hop limit of 1 reached zero"), "{explanation}");
    }
}

#[test]
fn hop_limit_of_zero_is_rejected() {
    for ttl in ["0", "256", "-1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(["udp", "127.0.0.1", "hello", &format!("--ttl={ttl}")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{ttl}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("from 1 to 255"), "{output:?}");
    }
}
