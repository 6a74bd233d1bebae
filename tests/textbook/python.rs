//! Runs the Python programs of the textbook. The tests of several crates use this file.
//!
//! Without Python 3, a test prints SKIPPED and passes. If `REQUIRE_PYTHON` is set, as in CI, the test fails instead.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Returns the command that runs a program of `tests/textbook`. Returns `None` if Python 3 is missing.
pub fn program(name: &str) -> Option<Command> {
    let python = ["python3", "python"].into_iter().find(|python| {
        let version = Command::new(python).arg("--version").output();
        version
            .is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"Python 3"))
    });
    let Some(python) = python else {
        let is_required = std::env::var_os("REQUIRE_PYTHON").is_some();
        assert!(!is_required, "REQUIRE_PYTHON is set, but this machine has no Python 3");
        eprintln!("SKIPPED: {name} needs Python 3");
        return None;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/textbook").join(name);
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::null());
    Some(command)
}

/// Runs a client program from the textbook. Returns the output of the program, which is the reply of the server.
#[allow(dead_code, reason = "the tests of rtt-client use only servers")]
pub fn client(name: &str, host: &str, port: u16, sentence: &str) -> Option<Vec<u8>> {
    let Output { status, stdout, stderr } =
        program(name)?.args([host, &port.to_string(), sentence]).output().unwrap();
    assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    Some(stdout)
}

/// A running server program from the textbook. Dropping this value kills the process.
#[allow(dead_code, reason = "the tests of the servers use only clients")]
pub struct Server {
    process: Child,
    /// The server listens on this port of 127.0.0.1.
    pub port: u16,
}

#[allow(dead_code, reason = "the tests of the servers use only clients")]
impl Server {
    /// Starts the server and waits until it listens. Returns `None` if Python 3 is missing.
    pub fn start(name: &str) -> Option<Self> {
        let mut process = program(name)?.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("{name} printed no port: {line}"));
        Some(Self { process, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ignores errors, because `drop` cannot return them.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
