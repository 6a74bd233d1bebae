//! The retransmission of a handshake, in a network that drops the first packet.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/dead_path.rs"]
mod dead_path;

use dead_path::{run, run_with_text};
use serde_json::{Value, json};

/// The server's host drops connection requests until this time after the start of the client, in seconds.
const DROP_UNTIL_S: f64 = 0.5;

/// Linux retransmits a SYN after one second. Its timers can be early by a few milliseconds.
const MIN_COST_NS: u64 = 990_000_000;

fn first_request_is_dropped() -> Value {
    json!({"before": "rules s 'tcp flags syn / syn,ack drop'", "at": [DROP_UNTIL_S, "rules s"]})
}

#[test]
fn retransmitted_handshake_is_reported_for_one_message_and_for_a_series() {
    for series in [&["hello"][..], &["-c", "20", "-i", "0"]] {
        let arguments = [&["10.9.0.2:7777", "-W", "5"], series].concat();
        let Some(run) = run(&first_request_is_dropped(), "tcp", &arguments) else { return };
        let connection = run.events("connection")[0];
        assert_eq!(connection["retransmitted"], 1, "{connection}");
        let cost = connection["retransmission_cost_ns"].as_u64().unwrap();
        let duration = connection["connect_ns"].as_u64().unwrap();
        assert!((MIN_COST_NS..=duration).contains(&cost), "{connection}");
        // The network has no delay, so the rest of the handshake takes a few milliseconds.
        assert!(duration - cost < 100_000_000, "{connection}");
        assert!(run.has_note("1 segment was sent again, which cost about "), "{}", run.summary());
    }
}

#[test]
fn text_of_one_message_contains_the_retransmission() {
    let arguments = ["10.9.0.2:7777", "-W", "5", "hello"];
    let Some(out) = run_with_text(&first_request_is_dropped(), "tcp", &arguments) else { return };
    assert!(out.contains("1 segment was sent again, which cost"), "{out}");
}

#[test]
fn handshake_without_a_retransmission_has_no_note() {
    let Some(run) = run(&json!({}), "tcp", &["10.9.0.2:7777", "hello"]) else { return };
    let connection = run.events("connection")[0];
    assert_eq!(connection["retransmitted"], 0, "{connection}");
    assert!(connection.get("retransmission_cost_ns").is_none(), "{connection}");
    assert!(!run.has_note("sent again"), "{}", run.summary());
}

#[test]
fn handshake_as_the_exchange_is_explained_by_its_retransmission() {
    let arguments = ["10.9.0.2:7777", "-W", "5", "--connect-only", "-c", "20", "-i", "0"];
    let Some(run) = run(&first_request_is_dropped(), "tcp", &arguments) else { return };
    assert_eq!((&run.summary()["received"], &run.summary()["lost"]), (&json!(20), &json!(0)));
    let exchanges = run.events("exchange");
    let rtt = exchanges[0]["rtt_ns"].as_u64().unwrap();
    let cost = exchanges[0]["retransmission_cost_ns"].as_u64().unwrap();
    assert_eq!(exchanges[0]["retransmitted"], 1, "{}", exchanges[0]);
    assert!((MIN_COST_NS..=rtt).contains(&cost), "{}", exchanges[0]);
    assert!(exchanges[1..].iter().all(|exchange| exchange["retransmitted"] == 0), "{exchanges:?}");
    let note = "In 1 of 20 handshakes, 1 segment was sent again, which cost about 1.";
    assert!(run.has_note(note), "{}", run.summary());
}

#[test]
fn lost_handshake_reports_its_connection_requests() {
    let all_are_dropped = json!({"before": "rules s 'tcp flags syn / syn,ack drop'"});
    let arguments = ["10.9.0.2:7777", "-W", "1500ms", "--connect-only"];
    let Some(run) = run(&all_are_dropped, "tcp", &arguments) else { return };
    let exchange = run.events("exchange")[0];
    assert_eq!((&exchange["outcome"], &exchange["condition"]), (&json!("lost"), &json!("silent")));
    assert_eq!(exchange["detail"], "2 connection requests (SYN)", "{exchange}");
}

#[test]
fn ports_in_time_wait_are_a_limit_of_this_host() {
    const PORTS: u64 = 100;
    const MAX_FREED: u64 = 5;
    let few_ports = json!({"before": "on c sysctl -qw net.ipv4.ip_local_port_range='40000 40099'"});
    let arguments = ["10.9.0.2:7777", "--connect-only", "-c", "120", "-i", "0"];
    let Some(run) = run(&few_ports, "tcp", &arguments) else { return };
    let summary = run.summary();
    let [received, lost] = ["received", "lost"].map(|name| summary[name].as_u64().unwrap());
    // On a loaded machine, single ports become free again during the run.
    assert!((PORTS..PORTS + MAX_FREED).contains(&received), "{summary}");
    assert_eq!(lost, 120 - received, "{summary}");
    assert_eq!(summary["lost_where"], json!({"send-queue": lost}));
    let exchanges = run.events("exchange");
    for exchange in exchanges.iter().filter(|exchange| exchange["outcome"] != "reply") {
        assert_eq!(exchange["condition"], "local-limit", "{exchange}");
        assert_eq!(exchange["origin"], "this-host", "{exchange}");
        assert!(exchange["detail"].as_str().unwrap().contains("TIME-WAIT"), "{exchange}");
    }
}
