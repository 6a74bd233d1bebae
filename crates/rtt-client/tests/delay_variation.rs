//! Tests of the delay variation in each direction. The forwarder of the lab varies the delay in one direction, and measures
//! the time that each datagram spends in it. On a loaded machine, the forwarder also delays the other direction.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use network::server;
use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The number of exchanges.
const COUNT: u64 = 1000;

/// The forwarder delays the datagram with the number n by `n * FACTOR % MODULUS` microseconds.
const FACTOR: u64 = 7919;
const MODULUS: u64 = 20_001;

/// The time of a datagram outside the forwarder varies by at most this time, in nanoseconds. The kernel records when a datagram
/// leaves the client, and when it arrives at the server. The forwarder and the server read the clock before they send. On a loaded
/// machine, each of them can lose its processor between the reading and the sending, but rarely.
const TOLERANCE_NS: f64 = 1e6;

/// The 90th percentile of the delays minus their minimum, in nanoseconds. `name` is the field with the delays that the
/// forwarder measured.
fn injected_p90_ns(injected: &Value, name: &str) -> f64 {
    let mut delays: Vec<f64> =
        injected[name].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    delays.sort_unstable_by(f64::total_cmp);
    assert_eq!(u64::try_from(delays.len()).unwrap(), COUNT, "{name}");
    delays[delays.len() * 9 / 10 - 1] - delays[0]
}

/// Runs a series with the rule of the forwarder. Returns its summary, and what the forwarder injected. Returns `None` if this
/// machine does not allow the lab.
fn run_series(rule: &str, address: &str) -> Option<(Value, Value)> {
    let program = server("udp");
    let scenario = json!({
        rule: [FACTOR, MODULUS],
        "measure": true,
        "server": [program.to_str().unwrap(), "--listen", address],
    });
    let count = COUNT.to_string();
    // Kernel timestamps do not contain the time that the programs wait for a processor.
    let command = [CLIENT, "udp", address, "--rate", "200", "-c", &count, "-q", "--breakdown"];
    let command = [&command[..], &["--format", "json"]].concat();
    let result = network::run(&scenario, &command)?;
    assert_eq!(result["status"], 0, "{result}");
    assert_eq!(result["injected"]["overflowed"], 0, "the machine is too slow for the forwarder");
    let summary = result["out"].as_str().unwrap().lines().last().unwrap();
    Some((serde_json::from_str(summary).unwrap(), result["injected"].clone()))
}

/// A direction: its field of the summary, and the field of the forwarder.
struct Direction {
    field: &'static str,
    injected: &'static str,
}

const THERE: Direction = Direction { field: "variation_there_ns", injected: "request_delays_ns" };
const BACK: Direction = Direction { field: "variation_back_ns", injected: "reply_delays_ns" };

/// Checks the variation in both directions. `varied` is the direction with the rule.
fn check(rule: &str, address: &str, varied: &Direction) {
    let Some((summary, injected)) = run_series(rule, address) else { return };
    for direction in [THERE, BACK] {
        let reported =
            summary[direction.field]["p90"].as_f64().unwrap_or_else(|| panic!("{summary}"));
        let injected = injected_p90_ns(&injected, direction.injected);
        assert!(
            (reported - injected).abs() < TOLERANCE_NS,
            "{}: injected {injected} ns, reported {reported} ns: {summary}",
            direction.field
        );
    }
    // The rule itself gives a 90th percentile of 18 ms.
    assert!(injected_p90_ns(&injected, varied.injected) > 17e6);
}

#[test]
fn variation_on_the_way_back_is_reported_for_the_way_back_only() {
    check("vary_replies", "10.77.0.2:7777", &BACK);
}

#[test]
fn variation_on_the_way_there_is_reported_for_the_way_there_only() {
    check("vary_requests", "10.77.0.2:7777", &THERE);
}

#[test]
fn variation_over_ipv6_is_reported_for_its_direction_only() {
    check("vary_replies", "[fd77::2]:7777", &BACK);
}
