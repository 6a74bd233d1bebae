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
    /// The names of fields of the start event that depend on the limits of this machine.
    pub limits_of_this_machine: &'static [&'static str],
    /// The fields of the start event without options, in their order: `name=value`. The list does not contain `version`
    /// and `limits_of_this_machine`.
    pub default_limits: &'static [&'static str],
    /// Sends a request to an address, and asserts that the reply is the request in upper case.
    pub exchange: fn(address: &str, request: &str),
}

/// A running server. Dropping this value kills the process.
pub struct RunningServer {
    pub process: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    /// The address in the first line on stdout.
    pub address: String,
}

impl RunningServer {
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(arguments))
    }

    /// Runs a command that starts the server, and waits for the first line on stdout.
    pub fn spawn(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = process.stderr.take();
        let mut server = Self { process, stdout, stderr, address: String::new() };
        server.address = server.read_address();
        server
    }

    /// Waits for the next line on stdout, and returns the address in this line.
    pub fn read_address(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let prefix = format!("{} listening on ", SERVER.name);
        let address = line.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix('\n'));
        address.unwrap_or_else(|| panic!("not an address: {line:?}")).to_owned()
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        send_signal(&self.process, name);
    }

    /// Waits for the end of the process. Returns the exit status, and the rest of stdout and stderr.
    pub fn wait_with_output(mut self) -> (Option<i32>, String, String) {
        let status = self.process.wait().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.code(), out, err)
    }

    /// Returns a function that waits for the next line of the log.
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
        // Ignores errors, because `drop` cannot return them.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a signal with the program `kill`.
#[cfg(unix)]
pub fn send_signal(process: &Child, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// Returns the command that starts the server.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(SERVER.path);
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

/// Runs the server until it ends. Returns the exit status, stdout and stderr.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Whether this machine has IPv6. If the result is false, prints SKIPPED. If `REQUIRE_IPV6` is set, as in CI, the test
/// fails instead.
pub fn has_ipv6() -> bool {
    let has_ipv6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        let is_required = std::env::var_os("REQUIRE_IPV6").is_some();
        assert!(!is_required, "REQUIRE_IPV6 is set, but this machine has no IPv6");
        eprintln!("SKIPPED: this machine has no IPv6");
    }
    has_ipv6
}
