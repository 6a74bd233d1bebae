//! What both servers promise as processes, tested with the same words. The crate that includes this
//! says which server it is: `SERVER`, its name and its binary.

#[path = "textbook/python.rs"]
mod python;

use super::SERVER;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// A server and the path of its binary.
pub struct ServerBinary {
    pub name: &'static str,
    pub path: &'static str,
    pub default_port: u16,
    /// Its limits' options.
    pub limits: &'static [&'static str],
    /// Sends a request to the address and asserts that its upper case comes back.
    pub ask: fn(address: &str, request: &str),
}

/// A running server, ended when this is dropped.
pub struct Running {
    pub process: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    pub address: String,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut process =
            command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = process.stderr.take();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let prefix = format!("{} listening on ", SERVER.name);
        let address = line.strip_prefix(&prefix).unwrap_or_else(|| panic!("{line}")).trim();
        let address = address.to_owned();
        Self { process, stdout, stderr, address }
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        // By the process's own id, with the system's own program.
        let kill = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// What is left of both outputs, after the end.
    pub fn rest(mut self) -> (Option<i32>, String, String) {
        let status = self.process.wait().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status.code(), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(SERVER.path);
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

/// Runs the server to its end; returns status, stdout and stderr.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_totals_and_status_0() {
    let signals: &[&str] = if cfg!(portable) { &["INT"] } else { &["INT", "TERM"] };
    for signal in signals {
        let server = Running::start(&["--listen", "127.0.0.1:0"]);
        server.signal(signal);
        let (status, out, err) = server.rest();
        assert_eq!(status, Some(0), "{signal}: {err}");
        assert_eq!(out, "", "stdout has a line a socket and nothing else");
        assert!(err.contains("answered=0"), "totals on stderr: {err}");
        assert!(!err.contains('\x1b'), "no colours where there is no terminal: {err:?}");
    }
}

#[cfg(all(unix, not(portable)))]
#[test]
fn it_tells_its_totals_when_asked_and_a_closed_terminal_does_not_end_it() {
    let mut server = Running::start(&["--listen", "127.0.0.1:0"]);
    (SERVER.ask)(&server.address, "hello");
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut next_line = || {
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        line
    };
    let limits = next_line();
    assert!(limits.contains("serving version=") && limits.contains("rate: None"), "{limits}");
    server.signal("HUP");
    assert!(next_line().contains("SIGHUP"));
    server.signal("USR1");
    let totals = next_line();
    assert!(totals.contains("so far") && !totals.contains("answered=0"), "{totals}");
    (SERVER.ask)(&server.address, "still there");
}

#[test]
fn the_log_can_be_read_by_programs() {
    let mut server =
        Running::start(&["--listen", "127.0.0.1:0", "--log-format", "json", "--show-messages"]);
    (SERVER.ask)(&server.address, "say \"hello\"\n");
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("peer") {
        line.clear();
        log.read_line(&mut line).unwrap();
    }
    for part in [
        r#"{"timestamp":""#,
        r#""level":"INFO""#,
        r#""fields":{"message":""#,
        r#""peer":"127.0.0.1:"#,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(line.ends_with("}\n"), "{line}");
}

/// Starts the server with `socket` passed by a supervisor's protocol; returns it with what it says first.
#[cfg(all(unix, not(portable)))]
pub fn with_passed(socket: impl Into<std::os::fd::OwnedFd>, listen_fds: &str) -> (Child, String) {
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

#[cfg(all(unix, not(portable)))]
#[test]
fn a_supervisors_socket_is_served_and_left_usable_for_the_next_one() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let is_udp = SERVER.name.starts_with("udp");
    let address = if is_udp { udp.local_addr() } else { tcp.local_addr() }.unwrap().to_string();
    // Twice: the first one's end must not close what the supervisor still has.
    for _ in 0..2 {
        let (mut server, line) = if is_udp {
            with_passed(udp.try_clone().unwrap(), "1")
        } else {
            with_passed(tcp.try_clone().unwrap(), "1")
        };
        assert_eq!(line, format!("{} listening on {address}\n", SERVER.name));
        (SERVER.ask)(&address, "hello");
        let id = server.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
    let (mut server, line) = if is_udp { with_passed(tcp, "1") } else { with_passed(udp, "1") };
    assert_eq!((line.as_str(), server.wait().unwrap().code()), ("", Some(2)));
    let mut error = String::new();
    server.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("supervisor") && error.lines().count() == 1, "{error}");
}

#[cfg(all(unix, not(portable)))]
#[test]
fn a_supervisor_is_told_that_it_is_ready() {
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
    let told = || {
        let mut text = [0; 100];
        let length = supervisor.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let ready = told();
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let ending = told();
    let status = server.wait().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    assert_eq!((ready.trim(), ending.trim(), status.code()), ("READY=1", "STOPPING=1", Some(0)));
}

#[test]
fn every_limit_is_explained() {
    let (_, help, _) = run(&["--help"]);
    let (_, limits) = help.split_once("\nLimits:\n").expect("a heading");
    for limit in SERVER.limits {
        let (_, explained) = limits.split_once(&format!("{limit} <")).expect(limit);
        assert!(explained.split("\n\n").next().unwrap().len() > 40, "{limit}: {explained}");
    }
}

#[cfg(unix)]
#[test]
fn a_log_that_nobody_reads_does_not_matter() {
    for closed in [true, false] {
        let mut server = Running::start(&["--listen", "127.0.0.1:0", "--show-messages"]);
        if closed {
            server.stderr = None;
        }
        // More lines than a pipe that nobody reads has room for.
        for number in 0..1500 {
            (SERVER.ask)(&server.address, &format!("request {number} {}", "x".repeat(100)));
        }
        server.signal("INT");
        assert_eq!(server.process.wait().unwrap().code(), Some(0), "closed: {closed}");
    }
}

#[test]
fn an_address_in_use_is_one_line_and_status_2() {
    let first = Running::start(&["--listen", "127.0.0.1:0"]);
    let (status, out, err) = run(&["--listen", &first.address]);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&first.address) && err.contains("in use"), "{err}");
}

#[test]
fn a_bad_argument_is_one_line_and_status_2() {
    for arguments in [&["--listen", "nonsense"][..], &["--listen"], &["--frobnicate"], &["x"]] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with(SERVER.name) && err.contains(arguments[0]), "{err}");
    }
}

#[test]
fn an_address_that_others_can_reach_is_told_of() {
    let mut server = Running::start(&["--listen", "0.0.0.0:0"]);
    assert!(server.address.starts_with("0.0.0.0:"));
    let mut log = BufReader::new(server.stderr.as_mut().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("other hosts can reach"), "{line}");
}

#[test]
fn help_names_the_default_and_fits_80_columns() {
    let (status, out, _) = run(&["--help"]);
    assert_eq!(status, Some(0));
    assert!(out.contains(&format!("127.0.0.1:{}", SERVER.default_port)), "{out}");
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_textbooks_client_is_answered() {
    let script = format!("{}_client.py", SERVER.name.trim_end_matches("-echo"));
    for host in ["127.0.0.1", "::1"] {
        if host == "::1" && std::net::UdpSocket::bind((host, 0)).is_err() {
            let required = std::env::var_os("REQUIRE_IPV6").is_some();
            assert!(!required, "REQUIRE_IPV6 is set, and this machine has no IPv6");
            eprintln!("SKIPPED: this machine has no IPv6");
            continue;
        }
        let listen = std::net::SocketAddr::new(host.parse().unwrap(), 0).to_string();
        let server = Running::start(&["--listen", &listen, "--show-messages"]);
        let port = server.address.rsplit(':').next().unwrap().parse().unwrap();
        for (sentence, upper) in [
            ("hello, world", "HELLO, WORLD"),
            ("straße und ŉ", "STRASSE UND ʼN"),
            ("\x1b[31mred", "\x1b[31MRED"),
        ] {
            if let Some(reply) = python::client(&script, host, port, sentence) {
                assert_eq!(String::from_utf8(reply).unwrap(), upper);
            }
        }
        #[cfg(unix)]
        {
            server.signal("INT");
            let (status, _, log) = server.rest();
            assert_eq!(status, Some(0));
            assert!(!log.contains('\x1b'), "what peers send is escaped: {log:?}");
        }
    }
}
