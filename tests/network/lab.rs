//! Runs commands in the network of `lab.py`, for tests.
//!
//! Needs `unshare` (user namespaces, or root), `ip` and Python 3. Where one is missing a test prints
//! SKIPPED; with `REQUIRE_NETNS` set it fails.
#![allow(dead_code, reason = "every test uses a part of it")]

#[path = "namespaces.rs"]
mod namespaces;

pub use namespaces::is_possible;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// One lab at a time: each has five processes, and what is measured is time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the lab prints of `command`, run on the client's host under `scenario`; nothing, if there can be
/// no lab.
pub fn run(scenario: &Value, command: &[&str]) -> Option<Value> {
    if !is_possible("true") {
        return None;
    }
    let _this_one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/network/lab.py");
    let Output { status, stdout, stderr } = Command::new("unshare")
        .args(["-Urnm", "python3"])
        .arg(script)
        .arg(scenario.to_string())
        .args(command)
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    Some(serde_json::from_slice(&stdout).unwrap())
}

/// One of our servers, built beside the client: cargo builds them for the workspace's tests.
pub fn server(protocol: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_BIN_EXE_rtt-client"));
    let server = directory.with_file_name(format!("{protocol}-echo"));
    assert!(server.exists(), "{} is missing: build the workspace first", server.display());
    server
}
