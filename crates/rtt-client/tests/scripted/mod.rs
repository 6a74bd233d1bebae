//! Common code of the tests with scripted servers: runs the client and parses its JSON output.
#![allow(dead_code, reason = "each test program uses a part of this module")]

use rtt_client::report::{Json, JsonConfig};
use rtt_client::{Plan, Settings, protocol_named, run};
use serde_json::Value;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Runs the client and returns its JSON events.
pub fn events(protocol: &str, address: &str, settings: Settings) -> Vec<Value> {
    let protocol = protocol_named(protocol).unwrap();
    let plan = Plan::new(protocol, address.parse().unwrap(), settings).unwrap();
    let mut lines = Vec::new();
    run(&plan, &mut Json::new(&mut lines, JsonConfig::default()), &AtomicBool::new(false)).unwrap();
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Runs a series. Returns its summary and the events before the summary.
pub fn series(protocol: &str, address: &str, settings: Settings) -> (Value, Vec<Value>) {
    let mut events = events(protocol, address, settings);
    let summary = events.pop().unwrap();
    assert_eq!(summary["type"], "summary");
    let [sent, received, lost, corrupt] = counts(&summary, ["sent", "received", "lost", "corrupt"]);
    assert_eq!(sent, received + lost + corrupt);
    (summary, events)
}

/// The counts with these names in a summary.
pub fn counts<const N: usize>(summary: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}")))
}

/// `count` exchanges, one at a time, without pauses. The timeout is longer than a pause of a busy machine. It is short
/// enough for tests in which it expires.
pub fn back_to_back(count: u64) -> Settings {
    Settings { timeout: Duration::from_millis(250), ..Settings::series(count) }
}

/// `count` exchanges at a fixed rate.
pub fn at_rate(count: u64, rate: f64) -> Settings {
    Settings { rate: Some(rate), ..back_to_back(count) }
}
