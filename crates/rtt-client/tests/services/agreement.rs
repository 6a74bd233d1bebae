//! The durations that the client and other tools measure, and the comparison of their medians.

use super::median::Median;
use serde_json::Value;
use std::time::Duration;

/// The difference that is always allowed, in nanoseconds. A system needs about this time to wake a process on another CPU.
const MIN_TOLERANCE_NS: f64 = 20_000.0;

/// The allowed difference, as a part of the tool's median: 5 %.
const TOLERANCE: f64 = 0.05;

/// Checks that the medians of the client's and the tool's durations agree.
pub fn assert_agree(what: &str, client: Vec<Duration>, tool: Vec<Duration>) {
    let counts = (client.len(), tool.len());
    let [client, tool] = [client, tool].map(|durations| {
        Median::of(durations.iter().map(|duration| duration.as_secs_f64() * 1e9).collect())
            .unwrap_or_else(|| panic!("{what}: no values"))
    });
    eprintln!("{what}: client {client:.0?}, tool {tool:.0?} (medians of {counts:?} values)");
    let tolerance = MIN_TOLERANCE_NS.max(tool.value * TOLERANCE);
    assert!(client.distance(&tool) <= tolerance, "{what}: {client:.0?} and {tool:.0?}");
}

/// The RTTs in the outputs of the client.
pub fn rtts(outputs: &[String]) -> Vec<Duration> {
    field_of_events(outputs, "exchange", "rtt_ns")
}

/// The durations of the handshakes in the outputs of the client.
pub fn handshakes(outputs: &[String]) -> Vec<Duration> {
    field_of_events(outputs, "connection", "connect_ns")
}

/// A field of all events of this type.
pub fn field_of_events(outputs: &[String], kind: &str, field: &str) -> Vec<Duration> {
    let lines = outputs.iter().flat_map(|output| output.lines());
    let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["type"] == kind).map(|event| nanoseconds(&event[field])).collect()
}

/// A field in the outputs of `plain_client.py`.
pub fn plain_client(outputs: &[String], field: &str) -> Vec<Duration> {
    let values = outputs.iter().map(|output| serde_json::from_str::<Value>(output).unwrap());
    values
        .flat_map(|value| {
            value[field].as_array().unwrap().iter().map(nanoseconds).collect::<Vec<_>>()
        })
        .collect()
}

fn nanoseconds(value: &Value) -> Duration {
    Duration::from_nanos(value.as_u64().unwrap_or_else(|| panic!("{value}")))
}

/// Parses a number of seconds.
pub fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text}")))
}

/// The values of a field that `tshark` computes from a capture file.
pub fn tshark_times(capture: &str, protocol: &str, field: &str) -> Vec<Duration> {
    let output = std::process::Command::new("tshark")
        .args(["-r", capture, "-d", protocol, "-Y", field, "-T", "fields", "-e", field])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(seconds).collect()
}
