//! Tests of the client without standard streams, descriptors or threads, and of its end by SIGKILL. In each case, the
//! client ends with a documented status and leaves no process. It never panics.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;
#[path = "../../../tests/shell.rs"]
mod shell;

use shell::without_inherited_descriptors;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum time until an event. A loaded machine needs a small part of it.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The exit status of the dynamic loader if it cannot open a library (ld.so(8)). The program itself has not started.
const LOADER_FAILED: i32 = 127;

/// Starts a server that replies with the request in upper case. Returns its port.
fn udp_server() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut text = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut text) {
            // The client may have closed its socket.
            let _ = socket.send_to(&text[..length].to_ascii_uppercase(), client);
        }
    });
    port
}

/// The commands under test. Each of them ends by itself.
fn commands() -> Vec<String> {
    let port = udp_server();
    // Connections to this listener are accepted by the kernel and have no reply.
    let silent = Box::leak(Box::new(TcpListener::bind("127.0.0.1:0").unwrap()));
    let silent = silent.local_addr().unwrap();
    vec![
        format!("udp 127.0.0.1:{port} hello"),
        format!("udp localhost:{port} -c 2 -i 0 --format json"),
        format!("udp 127.0.0.1:{port} -q -c 2 -i 0 -vv"),
        format!("tcp {silent} hello -W 0.05"),
        format!("compare udp://localhost:{port} udp://127.0.0.1:{port} -c 20 -W 0.5"),
        format!("diagnose localhost:{port} -W 0.2"),
        format!("trace udp://127.0.0.1:{port} -W 0.5"),
        "trace --lab -W 0.5".to_owned(),
        "trace -r /dev/null".to_owned(),
        "protocols".to_owned(),
        "--help".to_owned(),
        "udp --no-such-option".to_owned(),
    ]
}

/// Runs a shell script. `$0` is the client.
fn run(script: &str, user: Option<u32>) -> Output {
    let mut command = Command::new("sh");
    let script = without_inherited_descriptors(script);
    command.args(["-c", &script, env!("CARGO_BIN_EXE_rtt-client")]).stdin(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.output().unwrap()
}

fn check(output: &Output, expected: &[i32], case: &str) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), None, "{case}: {err}");
    let status = output.status.code().unwrap();
    assert!(expected.contains(&status), "{case}: status {status}: {err}");
    assert!(!err.contains("panicked"), "{case}: {err}");
}

#[test]
fn full_or_closed_standard_streams_do_not_cause_a_panic() {
    for command in commands() {
        for streams in
            ["2>/dev/full", ">/dev/full", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"]
        {
            let case = format!("{command} {streams}");
            let output = run(&format!("exec \"$0\" {case}"), None);
            // A command with results cannot write them.
            let is_full = streams.starts_with(">/dev/full");
            let fails = is_full
                && ["trace --lab", "protocols", "--help"].iter().any(|c| command.starts_with(c));
            check(&output, if fails { &[2] } else { &[0, 1, 2] }, &case);
        }
    }
}

#[test]
fn client_without_free_descriptors_ends_with_a_documented_status() {
    for command in commands() {
        for (streams, most) in [("", 20), ("<&- >&- 2>&-", 8)] {
            for descriptors in 3..=most {
                let case = format!("ulimit -n {descriptors}; exec \"$0\" {command} {streams}");
                let mut expected = vec![0, 1, 2];
                if descriptors == 3 {
                    // The loader needs a fourth descriptor for the libraries.
                    expected.push(LOADER_FAILED);
                }
                let output = run(&case, None);
                check(&output, &expected, &case);
                if output.status.code() == Some(2) && streams.is_empty() {
                    assert!(!output.stderr.is_empty(), "{case}: the client prints the reason");
                }
            }
        }
    }
}

#[test]
fn client_without_threads_ends_with_a_documented_status() {
    use std::os::unix::fs::MetadataExt as _;
    // The kernel does not apply the limit to root. The number differs between test processes, because all processes of a
    // user share the limit.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let user = is_root.then(|| 200_000 + std::process::id() % 100_000);
    for command in commands() {
        for processes in 1..=6 {
            let case = format!("exec prlimit --nproc={processes} -- \"$0\" {command}");
            let output = run(&case, user);
            if String::from_utf8_lossy(&output.stderr).starts_with("prlimit: failed to execute") {
                eprintln!("SKIPPED: another user cannot run the client");
                return;
            }
            check(&output, &[0, 1, 2], &case);
        }
    }
}

#[test]
fn servers_of_a_lab_end_when_the_client_is_killed() {
    if !namespaces::is_possible("true") {
        return;
    }
    let mut client = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
        .args(["trace", "--lab", "-c", "1000", "-i", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = client.id();
    let children = || -> Vec<u32> {
        let path = format!("/proc/{id}/task/{id}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect()
    };
    // After `exec`, the name of a child is the name of the server.
    let is_server = |child: &u32| {
        fs::read_to_string(format!("/proc/{child}/comm"))
            .is_ok_and(|name| name.trim().ends_with("-echo"))
    };
    wait_until("the client starts both servers", || {
        children().iter().filter(|id| is_server(id)).count() == 2
    });
    let servers = children();
    client.kill().unwrap();
    client.wait().unwrap();
    wait_until("both servers end", || !servers.iter().any(|server| is_running(*server)));
}

/// Whether the process exists and is not a zombie. A zombie has ended, and waits for its new parent.
fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses (proc_pid_stat(5)).
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < MAX_WAIT, "not within {MAX_WAIT:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
