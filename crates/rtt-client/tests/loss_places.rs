//! Tests of the places of losses. The lab loses a known number of exchanges in each place. The kernel, the forwarder and
//! the server count them.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use network::server;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The size of a receive buffer for about 50 datagrams of 200 bytes, in bytes.
const SMALL_BUFFER: u32 = 32_768;

/// A smaller number of losses in a place would be no test of this place.
const MIN_LOSSES: u64 = 20;

/// The environment variable with the number of runs. Without it, the test runs once.
const RUNS: &str = "LOSS_PLACES_RUNS";

/// The result of a series in the lab.
struct LabResult {
    /// The summary of the client.
    summary: Value,
    /// The number of losses in each place, from the counters of the lab.
    known: BTreeMap<String, u64>,
    /// The number of requests that the server answered.
    answered: u64,
}

impl LabResult {
    /// The number of losses in each place, as the client reports it. Each place of `known` has an entry.
    fn reported(&self) -> BTreeMap<String, u64> {
        let mut reported: BTreeMap<String, u64> =
            self.known.keys().map(|place| (place.clone(), 0)).collect();
        let counts = self.summary["lost_where"].as_object();
        for (place, count) in counts.into_iter().flatten() {
            reported.insert(place.clone(), count.as_u64().unwrap());
        }
        reported
    }
}

/// Runs a series with 1000 requests per second. Returns `None` if this machine does not allow the lab.
fn run_series(
    mut scenario: Value,
    server_options: &[&str],
    arguments: &[&str],
) -> Option<LabResult> {
    let program = server("udp");
    let command = [program.to_str().unwrap(), "--listen", "10.77.0.2:7777", "--log-format", "json"];
    scenario["server"] = json!([&command, server_options].concat());
    let command = [CLIENT, "udp", "10.77.0.2:7777", "--rate", "1000", "-q", "--format", "json"];
    let result = network::run_with_losses(&scenario, &[&command, arguments].concat())?;
    assert_eq!(result["injected"]["overflowed"], 0, "the machine is too slow for the forwarder");
    let summary = result["out"].as_str().unwrap().lines().last();
    let summary = summary.unwrap_or_else(|| panic!("no output: {result}"));
    Some(LabResult {
        summary: serde_json::from_str(summary).unwrap(),
        known: serde_json::from_value(result["lost"].clone()).unwrap(),
        answered: result["server_totals"]["answered"].as_u64().unwrap(),
    })
}

#[test]
fn losses_in_six_places_are_reported_at_their_places() {
    let runs = std::env::var(RUNS).map_or(1, |runs| runs.parse().unwrap());
    for _ in 0..runs {
        // Each place has its own range of requests. A range is at least 100 ms long.
        let scenario = json!({
            "delay_ms": 1,
            "drop": [3, 0, 1000, 1299],
            "drop_replies": [4, 1, 2300, 2599],
            // These replies arrive while the client is stopped.
            "delay_replies": [200, 2900, 3299],
            "actions": [
                ["full-send-queue", 500, 150, null],
                ["stop-server", 1600, 250, SMALL_BUFFER],
                ["stop-client", 3300, 150, SMALL_BUFFER],
                ["flood", 4000, 150, 4000],
            ],
        });
        let arguments = ["-c", "5200", "-W", "1s", "-s", "200"];
        let Some(lab) = run_series(scenario, &["--rate", "1500"], &arguments) else { return };
        eprintln!("known losses: {:?}", lab.known);
        assert_eq!(lab.known.len(), 6);
        for (place, losses) in &lab.known {
            assert!(*losses >= MIN_LOSSES, "only {losses} losses in {place}");
        }
        assert_eq!(lab.summary["lost"], lab.known.values().sum::<u64>(), "{}", lab.summary);
        assert_eq!(lab.reported(), lab.known, "{}", lab.summary);
    }
}

#[test]
fn replies_that_arrive_together_are_not_lost_in_the_network() {
    // The server receives the requests of one second while it is stopped, and then answers all of them at once.
    let scenario = json!({"actions": [["stop-server", 1500, 1000, null]]});
    let arguments = ["-c", "4000", "-W", "3s"];
    let Some(lab) = run_series(scenario, &[], &arguments) else { return };
    assert_eq!(lab.answered, 4000);
    // If the limit of this system is too small for the requested buffer, the client's kernel drops replies.
    eprintln!("known losses: {:?}", lab.known);
    assert_eq!(lab.summary["lost"], lab.known["receive-queue"], "{}", lab.summary);
    assert_eq!(lab.reported(), lab.known, "{}", lab.summary);
}
