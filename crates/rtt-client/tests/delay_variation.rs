//! Tests of the delay variation in each direction. The forwarder of the lab varies the delay in one direction by a known
//! distribution.
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

/// The direction without variation can still vary by this time, because the hosts of the lab share the processors.
const MAX_OTHER_VARIATION_NS: f64 = 1e6;

/// The variation that the forwarder adds: the 99th percentile minus the minimum, in nanoseconds.
fn injected_p99_ns() -> f64 {
    let mut delays: Vec<u64> = (1..=COUNT).map(|number| number * FACTOR % MODULUS).collect();
    delays.sort_unstable();
    let microseconds = u32::try_from(delays[989] - delays[0]).unwrap();
    f64::from(microseconds) * 1e3
}

/// Runs a series with the rule of the forwarder, and returns its output. Returns `None` if this machine does not allow the
/// lab.
fn run_series(rule: &str, address: &str, format: &str) -> Option<String> {
    let program = server("udp");
    let scenario = json!({
        rule: [FACTOR, MODULUS],
        "server": [program.to_str().unwrap(), "--listen", address],
    });
    let count = COUNT.to_string();
    // Kernel timestamps do not contain the time that the programs wait for a processor.
    let command = [CLIENT, "udp", address, "--rate", "200", "-c", &count, "-q", "--breakdown"];
    let command = [&command[..], &["--format", format]].concat();
    let result = network::run(&scenario, &command)?;
    assert_eq!(result["status"], 0, "{result}");
    assert_eq!(result["injected"]["overflowed"], 0, "the machine is too slow for the forwarder");
    result["out"].as_str().map(str::to_owned)
}

/// Runs two series with the rule of the forwarder, with output as JSON and as text. `varied` is the field of the summary and
/// the words of the text for the direction with the rule. `other` is the field for the other direction.
fn check(rule: &str, address: &str, varied: (&str, &str), other: &str) {
    let Some(output) = run_series(rule, address, "json") else { return };
    let summary: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let p99 = |field: &str| summary[field]["p99"].as_f64().unwrap_or_else(|| panic!("{summary}"));
    let (reported, injected) = (p99(varied.0), injected_p99_ns());
    let error = (reported - injected).abs() / injected;
    assert!(error < 0.05, "injected {injected} ns, reported {reported} ns: {summary}");
    // A program of another test run can delay single exchanges in both directions.
    let p90 = summary[other]["p90"].as_f64().unwrap_or_else(|| panic!("{summary}"));
    assert!(p90 < MAX_OTHER_VARIATION_NS, "{summary}");

    let Some(output) = run_series(rule, address, "text") else { return };
    // The text output breaks long lines.
    let text = output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(varied.1), "{output}");
}

const THERE: (&str, &str) = ("variation_there_ns", "on the way there");
const BACK: (&str, &str) = ("variation_back_ns", "on the way back");

#[test]
fn variation_on_the_way_back_is_reported_for_the_way_back_only() {
    check("vary_replies", "10.77.0.2:7777", BACK, THERE.0);
}

#[test]
fn variation_on_the_way_there_is_reported_for_the_way_there_only() {
    check("vary_requests", "10.77.0.2:7777", THERE, BACK.0);
}

#[test]
fn variation_over_ipv6_is_reported_for_its_direction_only() {
    check("vary_replies", "[fd77::2]:7777", BACK, THERE.0);
}
