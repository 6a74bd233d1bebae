//! Starts a server on 127.0.0.1, and runs the client.

use super::program::{self, Place, Ready, Server};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The longest time until a server works.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause between two attempts to contact a server.
const START_PAUSE: Duration = Duration::from_millis(5);

/// The number of ports that a test tries. Another process can use a port that was free.
const MAX_PORTS: u32 = 5;

/// A running server and its child processes. Dropping this value ends all of them.
pub struct Running {
    leader: Child,
    place: Place,
}

impl Running {
    /// Starts a server and waits until it works. Returns `None` if one of its programs is missing.
    pub fn start(server: &Server) -> Option<Self> {
        if !program::exist(&[server.programs, &["setpriv"]].concat()) {
            return None;
        }
        let mut attempts = (0..MAX_PORTS).filter_map(|_| Self::start_once(server));
        Some(attempts.next().expect("a port is free"))
    }

    /// Returns `None` if the server ends at once, for example because its port is not free any more.
    fn start_once(server: &Server) -> Option<Self> {
        let place = Place::new("127.0.0.1", free_port());
        let command = (server.command)(&place);
        // The server ends together with the thread of this test, also if a signal kills this process.
        let leader = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(&command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut running = Self { leader, place };
        let start = Instant::now();
        while !is_ready(server.ready, &running.address()) {
            if running.leader.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(start.elapsed() < START_TIMEOUT, "{command:?} does not start");
            thread::sleep(START_PAUSE);
        }
        // Another process can have taken the port, and answered.
        running.leader.try_wait().unwrap().is_none().then_some(running)
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.place.ip, self.place.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.leader.id().try_into().unwrap());
        // Ignores errors, because `drop` cannot return them.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.leader.wait();
    }
}

/// A port that is free for both protocols.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Tries once to contact a server.
fn is_ready(ready: Ready, address: &str) -> bool {
    match ready {
        Ready::Connect => TcpStream::connect(address).is_ok(),
        Ready::Reply(request) => {
            let contact = UdpSocket::bind("127.0.0.1:0").unwrap();
            contact.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            contact.connect(address).unwrap();
            contact.send(request).is_ok() && contact.recv(&mut [0; 2048]).is_ok()
        }
    }
}

/// Runs the client with these arguments. Returns its exit status and its JSON events.
pub fn client(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let Output { status, stdout, stderr } =
        Command::new(CLIENT).args(arguments).args(["--format", "json"]).output().unwrap();
    eprint!("{}", String::from_utf8_lossy(&stderr));
    let lines = String::from_utf8(stdout).unwrap();
    (status.code(), lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Runs a series in which the server answers each request. Returns its summary and the number of connections.
pub fn complete_series(arguments: &[&str], count: u64) -> (Value, usize) {
    let (status, events) = client(&[arguments, &["-c", &count.to_string()]].concat());
    let summary = events.last().unwrap();
    let counts = ["sent", "received", "lost", "corrupt", "unmatched"].map(|name| &summary[name]);
    assert_eq!(counts, [count, count, 0, 0, 0], "{arguments:?}: {summary}");
    assert_eq!(status, Some(0), "{summary}");
    let connections = events.iter().filter(|event| event["type"] == "connection").count();
    (summary.clone(), connections)
}

/// Checks that `diagnose` finds the server.
pub fn is_found(arguments: &[&str]) {
    let (status, events) = client(&[&["diagnose"], arguments].concat());
    assert_eq!(status, Some(0), "{events:?}");
    let finding = events.iter().find(|event| event["type"] == "finding").unwrap();
    assert_eq!(finding["condition"], "answering", "{finding}");
}
