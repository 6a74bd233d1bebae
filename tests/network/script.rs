//! Runs the Python scripts of this directory in new namespaces.
#![allow(dead_code, reason = "each test file uses only a part of this module")]

use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// See [`run_alone`].
static NETWORK: Mutex<()> = Mutex::new(());

/// Runs a script with these arguments. Returns the JSON value that it prints.
pub fn run(script: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Value {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/network");
    let Output { status, stdout, stderr } = Command::new("unshare")
        .args(["-Urnm", "python3"])
        .arg(directory.join(script))
        .args(arguments)
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

/// Like [`run`], but only one of these scripts runs at a time. Use it for tests that measure times: each script starts
/// several processes.
pub fn run_alone(script: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Value {
    let _guard = NETWORK.lock().unwrap_or_else(PoisonError::into_inner);
    run(script, arguments)
}
