//! Runs commands in the test network of `lab.py` and `loss_places.py`.
//!
//! The network needs `unshare` (with user namespaces, or as root), `ip` and Python 3. Without them, a test prints
//! SKIPPED and passes. If `REQUIRE_NETNS` is set, as in CI, the test fails instead.
#![allow(dead_code, reason = "each test file uses only a part of this module")]

#[path = "namespaces.rs"]
mod namespaces;
#[path = "script.rs"]
pub mod script;

pub use namespaces::is_possible;

use serde_json::Value;
use std::path::PathBuf;

/// Runs `command` on the client's host with the rules of `scenario`. Returns the output of `lab.py`. Returns `None` if
/// network namespaces are not available.
pub fn run(scenario: &Value, command: &[&str]) -> Option<Value> {
    is_possible("true").then(|| run_script("lab.py", scenario, command))
}

/// Runs `command` on the client's host, and loses exchanges in the places of `scenario`. Returns the output of
/// `loss_places.py`. Returns `None` if network namespaces or the queueing discipline are not available.
pub fn run_with_losses(scenario: &Value, command: &[&str]) -> Option<Value> {
    is_possible("tc qdisc add dev lo root bfifo limit 1")
        .then(|| run_script("loss_places.py", scenario, command))
}

fn run_script(script: &str, scenario: &Value, command: &[&str]) -> Value {
    script::run_alone(script, [&[&*scenario.to_string()], command].concat())
}

/// Returns the path of a server's binary. `cargo test --workspace` builds it into the directory of the client's binary.
pub fn server(protocol: &str) -> PathBuf {
    let client = PathBuf::from(env!("CARGO_BIN_EXE_rtt-client"));
    let server = client.with_file_name(format!("{protocol}-echo"));
    assert!(server.exists(), "{} is missing: build the workspace first", server.display());
    server
}
