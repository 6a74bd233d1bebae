//! The directories of this workspace, `cargo`, and the programs that it builds.
//!
//! ```
//! use child_process::workspace;
//!
//! assert!(workspace::root().join("Cargo.lock").exists());
//! ```

use crate::{Result, child};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that users install. A tool needs this list before the client exists. When the client is built,
/// `rtt-client protocols --format json` lists the servers with their protocols.
pub const PROGRAMS: [&str; 3] = ["udp-echo", "tcp-echo", "rtt-client"];

/// The root directory of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

/// The directory to which cargo writes its results.
#[must_use]
pub fn target_directory() -> PathBuf {
    // A relative path is relative to the root, because `cargo` below runs there. `join` does not change an absolute
    // path.
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The directory of the programs that [`build_programs`] builds.
#[must_use]
pub fn program_directory() -> PathBuf {
    target_directory().join("release")
}

/// The command that runs one of [`PROGRAMS`]. Call [`build_programs`] first.
#[must_use]
pub fn program(name: &str) -> Command {
    Command::new(program_directory().join(name).with_extension(env::consts::EXE_EXTENSION))
}

/// Builds only [`PROGRAMS`], with optimization. Cargo shows its progress on stderr.
///
/// # Errors
///
/// The errors of [`child::run`].
pub fn build_programs() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--release"]);
    for package in PROGRAMS {
        build.args(["--package", package]);
    }
    child::run(&mut build)
}

/// The command that builds `echo-bench` with optimization and runs it.
#[must_use]
pub fn echo_bench(arguments: &[&str]) -> Command {
    let mut run = cargo();
    run.args(["run", "--release", "--package", "echo-bench", "--"]).args(arguments);
    run
}

/// A `cargo` command that runs in the root directory. If cargo started this program, the command runs the same cargo.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}
