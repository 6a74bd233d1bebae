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
fn hop_limit_of_zero_is_rejected() {
    for ttl in ["0", "256", "-1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(["udp", "127.0.0.1", "hello", &format!("--ttl={ttl}")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{ttl}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("1..=255"), "{output:?}");
    }
}
