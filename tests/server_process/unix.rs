//! Tests of Unix features: SIGUSR1, SIGHUP, and a supervisor such as systemd.

use super::super::SERVER;
use super::process::{RunningServer, command, send_signal};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

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
            start_with_passed_socket(udp.try_clone().unwrap(), "1")
        } else {
            start_with_passed_socket(tcp.try_clone().unwrap(), "1")
        };
        assert_eq!(line, format!("{} listening on {address}\n", SERVER.name));
        (SERVER.exchange)(&address, "hello");
        send_signal(&server, "TERM");
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
    let (mut server, line) = if is_udp {
        start_with_passed_socket(tcp, "1")
    } else {
        start_with_passed_socket(udp, "1")
    };
    assert_eq!((line.as_str(), server.wait().unwrap().code()), ("", Some(2)));
    let mut error = String::new();
    server.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("supervisor") && error.lines().count() == 1, "{error}");
}

#[test]
fn supervisor_is_notified_of_start_and_shutdown() {
    let directory = std::env::temp_dir().join(format!("{}-{}", SERVER.name, std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("notify");
    let supervisor = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let mut server = command(&["--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let receive = || {
        let mut text = [0; 100];
        let length = supervisor.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let ready = receive();
    send_signal(&server, "TERM");
    let stopping = receive();
    let status = server.wait().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    assert_eq!((ready.trim(), stopping.trim(), status.code()), ("READY=1", "STOPPING=1", Some(0)));
}

/// Starts the server, and passes a socket to it as systemd does (`sd_listen_fds(3)`). Returns the process and its first
/// line on stdout.
pub fn start_with_passed_socket(
    socket: impl Into<std::os::fd::OwnedFd>,
    listen_fds: &str,
) -> (Child, String) {
    let script =
        format!("exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS={listen_fds} exec \"$0\"");
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
