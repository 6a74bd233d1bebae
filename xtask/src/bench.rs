//! `cargo xtask bench`: the ratios, each against a floor that is measured in the same run.
//!
//! A figure that falls short of its bound is marked. Nothing fails for it: a busy machine is no fault
//! of the code, and a benchmark is not a test.

use crate::process::{self, cargo};
use anyhow::Result;

/// Runs every benchmark.
pub(crate) fn run() -> Result<()> {
    println!("echo-core: the transform\n");
    process::run(cargo().args([
        "bench",
        "--quiet",
        "--package",
        "echo-core",
        "--bench",
        "transform",
    ]))
}
