//! Runs the client in the network of `dead_path.py`, which changes during the run.
#![allow(dead_code, reason = "each test file uses only a part of this module")]

#[path = "namespaces.rs"]
mod namespaces;
#[path = "script.rs"]
mod script;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The output of a run with JSON events.
pub struct Run {
    pub events: Vec<Value>,
    /// The time at which the command of the key "after" ended.
    pub changed: Option<SystemTime>,
}

impl Run {
    /// The last event.
    pub fn summary(&self) -> &Value {
        self.events.last().unwrap()
    }

    /// The events of this type.
    pub fn events(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// Whether one of the notes contains `text`.
    pub fn has_note(&self, text: &str) -> bool {
        let notes = self.summary()["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().any(|note| note.as_str().unwrap().contains(text))
    }
}

/// Runs the client with the rules of `scenario`. `protocol` is the protocol of the server, and the client's command.
/// Returns `None` if network namespaces are not available.
pub fn run(scenario: &Value, protocol: &str, arguments: &[&str]) -> Option<Run> {
    let arguments = [arguments, &["--format", "json"]].concat();
    let result = result(scenario, protocol, &arguments)?;
    let lines = result["out"].as_str().unwrap().lines();
    let events = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let changed = result["changed"].as_f64();
    let changed = changed.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds));
    Some(Run { events, changed })
}

/// Like [`run`]. Returns the text output of the client.
pub fn run_with_text(scenario: &Value, protocol: &str, arguments: &[&str]) -> Option<String> {
    let result = result(scenario, protocol, arguments)?;
    Some(result["out"].as_str().unwrap().to_owned())
}

/// The output of `dead_path.py`.
fn result(scenario: &Value, protocol: &str, arguments: &[&str]) -> Option<Value> {
    // `dead_path.py` removes packets with firewall rules.
    if !namespaces::is_possible("nft list ruleset") {
        return None;
    }
    let mut scenario = scenario.clone();
    if protocol == "icmp" {
        scenario["server"] = json!(["sh", "-c", "echo ready; exec sleep 60"]);
    } else {
        let server = PathBuf::from(CLIENT).with_file_name(format!("{protocol}-echo"));
        assert!(server.exists(), "{} is missing: build the workspace first", server.display());
        let listen = ["--listen", "0.0.0.0:7777", "--listen", "[::]:7777"].map(Value::from);
        scenario["server"] = [&[json!(server)], &listen[..]].concat().into();
    }
    let scenario = scenario.to_string();
    let result =
        script::run_alone("dead_path.py", [&[&*scenario, CLIENT, protocol], arguments].concat());
    eprintln!("{}", result["err"].as_str().unwrap());
    Some(result)
}
