//! The directories of this workspace, `cargo`, and the programs that it builds.
//!
//! ```
//! use child_process::workspace;
//!
//! assert!(workspace::root().join("Cargo.lock").exists());
//! ```

use crate::{child, error::Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that users install.
pub const PROGRAMS: [&str; 3] = ["udp-echo", "tcp-echo", "rtt-client"];

/// The root directory of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

/// The directory in which cargo builds.
#[must_use]
pub fn target_directory() -> PathBuf {
    // `join` keeps an absolute path. A relative path starts at the root, where `cargo` (below) runs.
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The directory of the programs that [`build_programs`] builds.
#[must_use]
pub fn program_directory() -> PathBuf {
    target_directory().join("release")
}

/// One of [`PROGRAMS`], as [`build_programs`] has built it.
#[must_use]
pub fn program(name: &str) -> Command {
    Command::new(program_directory().join(name).with_extension(env::consts::EXE_EXTENSION))
}

/// Builds [`PROGRAMS`], optimized, and nothing else. Cargo shows its progress on stderr.
///
/// # Errors
///
/// See [`child::run`].
pub fn build_programs() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--release"]);
    for package in PROGRAMS {
        build.args(["--package", package]);
    }
    child::run(&mut build)
}

/// The same `cargo` that runs this program, in the root directory.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}
