//! Runs the textbook's programs, for the tests of every crate that talks to them.
//!
//! Where Python is missing, a test prints SKIPPED and passes, unless `REQUIRE_PYTHON` is set: then it
//! fails, so that CI can't pass without having run them.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// The command that runs one of the textbook's programs, if this machine can.
pub fn program(name: &str) -> Option<Command> {
    let found = ["python3", "python"].into_iter().find(|python| {
        let version = Command::new(python).arg("--version").output();
        version
            .is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"Python 3"))
    });
    let Some(python) = found else {
        let required = std::env::var_os("REQUIRE_PYTHON").is_some();
        assert!(!required, "REQUIRE_PYTHON is set, and there is no Python 3");
        eprintln!("SKIPPED: there is no Python 3 to run {name} with");
        return None;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/textbook").join(name);
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::null());
    Some(command)
}

/// What a client of the textbook's prints, run against a server.
#[allow(dead_code, reason = "the client's tests run servers alone")]
pub fn client(name: &str, host: &str, port: u16, sentence: &str) -> Option<Vec<u8>> {
    let Output { status, stdout, stderr } =
        program(name)?.args([host, &port.to_string(), sentence]).output().unwrap();
    assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    Some(stdout)
}

/// A server of the textbook's, ended when this is dropped.
#[allow(dead_code, reason = "the servers' tests run clients alone")]
pub struct Server {
    process: Child,
    /// The port that it listens on, on 127.0.0.1.
    pub port: u16,
}

#[allow(dead_code, reason = "the servers' tests run clients alone")]
impl Server {
    /// Starts the server and waits until it listens.
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
        // It may have ended by itself already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
