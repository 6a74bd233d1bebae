//! What the tests of series share: running one, and reading its figures.

use rtt_client::report::{Json, JsonConfig};
use rtt_client::{Plan, Settings, protocol_named, run};
use serde_json::Value;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The summary of a series, and all events before it.
pub fn series(protocol: &str, address: &str, settings: Settings) -> (Value, Vec<Value>) {
    let protocol = protocol_named(protocol).unwrap();
    let plan = Plan::new(protocol, address.parse().unwrap(), settings).unwrap();
    let mut lines = Vec::new();
    run(&plan, &mut Json::new(&mut lines, JsonConfig::default()), &AtomicBool::new(false)).unwrap();
    let mut events: Vec<Value> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let summary = events.pop().unwrap();
    assert_eq!(summary["type"], "summary");
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(count("sent"), count("received") + count("lost") + count("corrupt"));
    (summary, events)
}

/// The counts of a summary with those names.
pub fn counts<const N: usize>(summary: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}")))
}

/// So many exchanges, each as soon as the one before is over. The time-out is long against a machine that
/// stands still for a while, and short enough to be waited for.
pub fn quickly(count: u64) -> Settings {
    Settings { timeout: Duration::from_millis(250), ..Settings::series(count) }
}

/// The same on a schedule.
pub fn at_rate(count: u64, rate: f64) -> Settings {
    Settings { rate: Some(rate), ..quickly(count) }
}
