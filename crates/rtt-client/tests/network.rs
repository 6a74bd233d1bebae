//! Tests of the client on a path with known delay, loss, duplication and reordering. The path consists of three network
//! namespaces and a forwarder. A packet capture provides the reference values.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use network::server;
use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The result of a series in the lab.
struct LabResult {
    /// The summary of the client.
    summary: Value,
    /// The counts of the forwarder.
    injected: Value,
    /// The RTTs in a capture on the client's interface, in nanoseconds.
    captured_rtts: Vec<u64>,
    /// The `exchange` events, in the order of the exchanges.
    exchanges: Vec<Value>,
}

/// Runs a series with a server of this project at the other end of the path. Returns `None` if this machine does not
/// allow the lab.
fn run_series(protocol: &str, mut scenario: Value, arguments: &[&str]) -> Option<LabResult> {
    scenario["server"] = json!([server(protocol), "--listen", "10.77.0.2:7777"]);
    let command = [CLIENT, protocol, "10.77.0.2:7777", "--format", "json"];
    let result = network::run(&scenario, &[&command, arguments].concat())?;
    let lines = result["out"].as_str().unwrap().lines();
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = events.last().unwrap_or_else(|| panic!("no output: {result}")).clone();
    let captured_rtts = result["captured_rtts_ns"].as_array().unwrap();
    Some(LabResult {
        summary,
        exchanges: events.into_iter().filter(|event| event["type"] == "exchange").collect(),
        injected: result["injected"].clone(),
        captured_rtts: captured_rtts.iter().map(|rtt| rtt.as_u64().unwrap()).collect(),
    })
}

#[test]
fn rtt_is_the_captured_rtt_plus_the_time_in_this_host() {
    let arguments = ["-c", "300", "-i", "0", "--spin", "--breakdown"];
    let Some(lab) = run_series("udp", json!({"delay_ms": 5}), &arguments) else { return };
    assert_eq!((lab.captured_rtts.len(), &lab.summary["received"]), (300, &json!(300)));
    let mut differences = Vec::new();
    for (exchange, captured) in lab.exchanges.iter().zip(lab.captured_rtts) {
        assert!(captured >= 10_000_000, "5 ms in each direction: {captured} ns");
        let breakdown = &exchange["breakdown"];
        // The kernel can interrupt the program between two clock readings. Then the exchange has no breakdown.
        let Some(breakdown) = breakdown.as_object() else { continue };
        let part = |name: &str| breakdown.get(name).and_then(Value::as_u64).unwrap_or(0);
        // The capture measures the time between the two kernel timestamps.
        let outside = part("network_ns") + part("server_ns") + part("network_and_server_ns");
        differences.push(outside.abs_diff(captured));
        let sum = part("send_ns") + outside + part("receive_ns");
        assert_eq!(exchange["rtt_ns"], sum, "{exchange}");
    }
    assert!(differences.len() >= 150, "{} exchanges have a breakdown", differences.len());
    differences.sort_unstable();
    let median = differences[differences.len() / 2];
    eprintln!("median difference to the capture: {median} ns");
    assert!(median <= 100_000, "{median} ns, which is more than 1 % of 10 ms");
}

#[test]
fn client_and_forwarder_have_the_same_counts() {
    const COUNT: u64 = 200;
    let is_dropped = |number| number % 10 == 0;
    let is_duplicated = |number| number % 7 == 0;
    let is_held = |number| number % 50 == 25;
    let is_overtaken = |number| number % 11 == 0 && !is_held(number);
    let scenario = json!({
        "delay_ms": 5,
        "drop": [10, 0],
        "double": [7, 0],
        // The client sends a request every 20 ms, so the next four requests overtake this one. A short pause of the
        // machine does not change this order.
        "overtake": [11, 0, 90],
        // The forwarder delays these requests for longer than the timeout.
        "hold": [50, 25, 600],
    });
    let arguments = ["-c", "200", "--rate", "50", "-W", "400ms"];
    let Some(lab) = run_series("udp", scenario, &arguments) else { return };
    let count = |rule: &dyn Fn(u64) -> bool| (1..=COUNT).filter(|number| rule(*number)).count();
    let lost = count(&|number| is_dropped(number) || is_held(number));
    assert_eq!(lab.injected["dropped"], count(&is_dropped));
    for (name, expected) in [
        ("sent", 200),
        ("received", 200 - lost),
        ("lost", lost),
        ("late", count(&|number| is_held(number) && !is_dropped(number))),
        ("duplicates", count(&|number| is_duplicated(number) && !is_dropped(number))),
        ("out_of_order", count(&|number| is_overtaken(number) && !is_dropped(number))),
        ("corrupt", 0),
        ("unmatched", 0),
    ] {
        assert_eq!(lab.summary[name], expected, "{name} in {}", lab.summary);
    }
}

#[test]
fn dropped_segments_are_counted_as_retransmissions() {
    let scenario = json!({"delay_ms": 5, "drop_segments": [5, 20, 33]});
    let Some(lab) = run_series("tcp", scenario, &["-c", "50", "-i", "0"]) else { return };
    let count = |name: &str| lab.summary[name].as_u64().unwrap();
    assert_eq!((count("sent"), count("received"), count("lost")), (50, 50, 0));
    assert_eq!(lab.injected["dropped"], 3);
    let retransmitted = &lab.summary["tcp_info"]["retransmissions"];
    assert_eq!(retransmitted, &lab.injected["retransmitted"], "{}", lab.summary);
    assert!(retransmitted.as_u64().unwrap() >= 3);
    // After each dropped segment, TCP waits for a retransmission timeout or a tail loss probe. Other exchanges are not
    // slower.
    assert!(lab.summary["rtt_ns"]["max"].as_u64().unwrap() > 15_000_000);
    assert!(lab.summary["rtt_ns"]["p50"].as_u64().unwrap() < 15_000_000);
}

#[test]
fn breakdown_separates_the_network_from_the_server() {
    let arguments = ["-c", "100", "-i", "0", "--breakdown"];
    for protocol in ["udp", "tcp"] {
        let Some(lab) = run_series(protocol, json!({"delay_ms": 5}), &arguments) else { return };
        let part = |name: &str| lab.summary["breakdown"][name].as_u64().unwrap_or(0);
        assert!(part("network_ns") >= 10_000_000, "{}", lab.summary);
        // The server has no injected delay. An idle server replies within microseconds. A busy server needs longer.
        assert!((1..5_000_000).contains(&part("server_ns")), "{}", lab.summary);
    }
}

#[test]
fn comparison_detects_a_difference_of_100_microseconds() {
    const RUNS: usize = 10;
    let both = ["--listen", "10.77.0.2:7777", "--listen", "10.77.0.2:7778"];
    let server = [server("udp").to_str().unwrap(), &both.join(" ")].join(" ");
    let scenario = json!({
        "server": server.split(' ').collect::<Vec<_>>(),
        "delay_ms": 0.3,
        "slower": [7778, 100],
        "punctual": true,
    });
    let runs = format!(
        "for run in $(seq {RUNS}); do {CLIENT} compare udp://10.77.0.2:7777 udp://10.77.0.2:7778 \
         -c 200 -q --format json | tail -n 1; done"
    );
    let Some(result) = network::run(&scenario, &["sh", "-c", &runs]) else { return };
    let verdicts: Vec<Value> = result["out"]
        .as_str()
        .unwrap()
        .lines()
        .map(|verdict| serde_json::from_str(verdict).unwrap())
        .collect();
    assert_eq!(verdicts.len(), RUNS, "{result}");
    let differences: Vec<String> =
        verdicts.iter().map(|verdict| verdict["difference_ns"].to_string()).collect();
    // On a loaded machine, single runs have a wide interval that contains zero.
    let higher = |side: &str| verdicts.iter().filter(|verdict| verdict["higher"] == side).count();
    assert!(higher("b") >= 7 && higher("a") == 0, "{differences:?}");
    let contains_100_us = |verdict: &&Value| {
        let bound = |name: &str| verdict["difference_ns"][name].as_i64().unwrap();
        (bound("low")..=bound("high")).contains(&100_000)
    };
    let covering = verdicts.iter().filter(contains_100_us).count();
    eprintln!("{covering} of {RUNS} confidence intervals contain the 100 µs");
    // On average, 95 % of the intervals contain the real difference. The test requires seven of ten intervals. By
    // the binomial distribution, the probability of fewer is 0.1 %.
    assert!(covering >= 7, "{differences:?}");
}
