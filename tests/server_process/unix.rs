//! Tests of Unix features: SIGUSR1, SIGHUP, and a supervisor such as systemd.

use super::super::SERVER;
use super::process::{RunningServer, command, send_signal};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Maximum time until a server ends. A loaded machine needs a small part of it.
const MAX_WAIT: Duration = Duration::from_secs(20);

#[test]
fn sigusr1_logs_the_totals_and_sighup_and_sigpipe_do_not_stop_the_server() {
    let mut server = RunningServer::start(&["--listen", "127.0.0.1:0"]);
    (SERVER.exchange)(&server.address, "hello");
    let mut next_line = server.log_lines();
    assert!(next_line().contains("serving version="));
    server.signal("HUP");
    assert!(next_line().contains("SIGHUP"));
    server.signal("PIPE");
    server.signal("USR1");
    let totals = next_line();
    assert!(totals.contains("totals so far") && !totals.contains("answered=0"), "{totals}");
    (SERVER.exchange)(&server.address, "still there");
}

#[test]
fn passed_socket_is_served_and_stays_usable_for_the_next_process() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let is_udp = SERVER.name.starts_with("udp");
    let address = if is_udp { udp.local_addr() } else { tcp.local_addr() }.unwrap().to_string();
    // Two processes serve the socket one after the other. The end of the first process must not shut the socket down.
    for _ in 0..2 {
        let (mut server, line) = if is_udp {
            start_with_passed_socket(udp.try_clone().unwrap(), "1", "")
        } else {
            start_with_passed_socket(tcp.try_clone().unwrap(), "1", "")
        };
        assert_eq!(line, format!("{} listening on {address}\n", SERVER.name));
        (SERVER.exchange)(&address, "hello");
        send_signal(&server, "TERM");
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
    let (mut server, line) = if is_udp {
        start_with_passed_socket(tcp, "1", "")
    } else {
        start_with_passed_socket(udp, "1", "")
    };
    assert_eq!((line.as_str(), server.wait().unwrap().code()), ("", Some(2)));
    let mut error = String::new();
    server.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("supervisor") && error.lines().count() == 1, "{error}");
}

/// A socket that receives the notifications of a server, as systemd does.
struct Supervisor {
    socket: std::os::unix::net::UnixDatagram,
    directory: std::path::PathBuf,
}

impl Supervisor {
    /// `name` distinguishes the supervisors of one test process.
    fn new(name: &str) -> Self {
        let name = format!("{}-{}-{name}", SERVER.name, std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let socket = std::os::unix::net::UnixDatagram::bind(directory.join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket, directory }
    }

    fn start_server(&self, environment: &[(&str, &str)]) -> Child {
        command(&["--listen", "127.0.0.1:0"])
            .env("NOTIFY_SOCKET", self.directory.join("notify"))
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn receive(&self) -> String {
        let mut text = [0; 100];
        let length = self.socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap().trim().to_owned()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Ignores errors, because `drop` cannot return them.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn supervisor_is_notified_of_start_and_shutdown() {
    let supervisor = Supervisor::new("start");
    let mut server = supervisor.start_server(&[]);
    assert_eq!(supervisor.receive(), "READY=1");
    send_signal(&server, "TERM");
    assert_eq!(supervisor.receive(), "STOPPING=1");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn watchdog_receives_a_heartbeat_of_an_idle_server() {
    let supervisor = Supervisor::new("watchdog");
    // The timeout of the watchdog is half a second.
    let mut server = supervisor.start_server(&[("WATCHDOG_USEC", "500000")]);
    assert_eq!(supervisor.receive(), "READY=1");
    for _ in 0..5 {
        assert_eq!(supervisor.receive(), "WATCHDOG=1");
    }
    send_signal(&server, "TERM");
    while supervisor.receive() != "STOPPING=1" {}
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn watchdog_of_another_process_receives_no_heartbeat() {
    let supervisor = Supervisor::new("other-process");
    let mut server = supervisor.start_server(&[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    assert_eq!(supervisor.receive(), "READY=1");
    send_signal(&server, "TERM");
    assert_eq!(supervisor.receive(), "STOPPING=1");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

/// A socket for the server under test, and its address.
pub fn bound_socket() -> (socket2::Socket, String) {
    if SERVER.name.starts_with("udp") {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket.into(), address.to_string())
    } else {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener.into(), address.to_string())
    }
}

/// Causes a permanent error of a socket that the server also has. Each further call of the server fails, or returns
/// nothing.
pub fn shut_down(socket: &socket2::Socket) {
    // Linux shuts a socket without a peer down, and returns ENOTCONN.
    let _ = socket.shutdown(std::net::Shutdown::Both);
}

#[test]
fn permanent_error_of_a_socket_ends_the_server_with_status_1() {
    let (socket, address) = bound_socket();
    let (mut server, _) = start_with_passed_socket(socket.try_clone().unwrap(), "1", "");
    (SERVER.exchange)(&address, "hello");
    shut_down(&socket);
    assert_eq!(server.wait().unwrap().code(), Some(1));
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let error = log.lines().find(|line| line.contains(" ERROR ")).expect(&log);
    assert!(error.contains(&address), "{error}");
    let totals = log.lines().find(|line| line.contains("totals at the failure")).expect(&log);
    let counter =
        if SERVER.name.starts_with("udp") { "receive_errors=1" } else { "accept_errors=1" };
    assert!(totals.split_whitespace().any(|field| field == counter), "{counter}: {totals}");
    let last = log.lines().last().unwrap();
    assert!(last.starts_with(&format!("{}: worker 0 cannot continue", SERVER.name)), "{last}");
}

/// The log does not fit into the buffer of the pipe. So a write to stderr blocks, also the write of the last line.
#[test]
fn server_that_fails_ends_although_no_program_reads_its_log() {
    let (socket, address) = bound_socket();
    let arguments = "--show-messages";
    let (mut server, _) = start_with_passed_socket(socket.try_clone().unwrap(), "1", arguments);
    for number in 0..1500 {
        (SERVER.exchange)(&address, &format!("request {number} {}", "x".repeat(100)));
    }
    shut_down(&socket);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = server.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > MAX_WAIT {
            server.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(1));
}

/// Starts the server, and passes a socket to it as systemd does (`sd_listen_fds(3)`). Returns the process and its first
/// line on stdout.
pub fn start_with_passed_socket(
    socket: impl Into<std::os::fd::OwnedFd>,
    listen_fds: &str,
    arguments: &str,
) -> (Child, String) {
    let script = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS={listen_fds} exec \"$0\" {arguments}"
    );
    let mut server = Command::new("sh")
        .args(["-c", &script, SERVER.path])
        .stdin(Stdio::from(socket.into()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (server, line)
}
