//! Starts servers as processes, sends signals to them, and reads their output.

use super::super::SERVER;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// A server under test.
pub struct ServerBinary {
    pub name: &'static str,
    pub path: &'static str,
    pub default_port: u16,
    /// The options that set a limit.
    pub limit_options: &'static [&'static str],
    /// The fields of the start event that show the limits in force without any option: `name=value`.
    pub default_limits: &'static [&'static str],
    /// Sends a request to an address and asserts that the reply is the request in upper case.
    pub exchange: fn(address: &str, request: &str),
}

/// A running server. Dropping it ends the process.
pub struct RunningServer {
    pub process: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    pub address: String,
}

impl RunningServer {
    pub fn start(arguments: &[&str]) -> Self {
        let mut process =
            command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = process.stderr.take();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = announced_address(&line);
        Self { process, stdout, stderr, address }
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        send_signal(&self.process, name);
    }

    /// Waits for the end of the process. Returns its status, and the rest of stdout and stderr.
    pub fn wait_with_output(mut self) -> (Option<i32>, String, String) {
        let status = self.process.wait().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.code(), out, err)
    }

    /// A function that returns the next line of the log.
    pub fn log_lines(&mut self) -> impl FnMut() -> String + use<> {
        let mut log = BufReader::new(self.stderr.take().unwrap());
        move || {
            let mut line = String::new();
            log.read_line(&mut line).unwrap();
            line
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // Both calls fail if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address in a line `NAME listening on ADDRESS`.
pub fn announced_address(line: &str) -> String {
    let prefix = format!("{} listening on ", SERVER.name);
    line.strip_prefix(&prefix).unwrap_or_else(|| panic!("{line}")).trim().to_owned()
}

/// Sends a signal with the program `kill`.
#[cfg(unix)]
pub fn send_signal(process: &Child, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// The command that starts the server.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(SERVER.path);
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

/// Runs the server until it ends. Returns its status, stdout and stderr.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}
