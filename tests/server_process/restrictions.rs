//! Tests of a server without standard streams, descriptors or threads. In each case, it runs, or it ends with a line
//! and a documented status. It never panics.

use super::super::SERVER;
use super::shell::without_inherited_descriptors;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Maximum time until a server runs or ends. A loaded machine needs a small part of it.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The number of SIGTERM in the masks of `/proc/PID/status`. Bit 0 is signal 1.
const SIGTERM_BIT: u64 = 1 << 14;

/// The exit status of the dynamic loader if it cannot open a library (ld.so(8)). The program itself has not started.
const LOADER_FAILED: i32 = 127;

/// The result of a server under a restriction.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stderr: String,
}

/// Runs a shell script that replaces itself by the server (`$0`). Sends SIGTERM as soon as the server catches it.
pub fn run(script: &str, user: Option<u32>) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", &without_inherited_descriptors(script), SERVER.path]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut server = command.spawn().unwrap();
    let status = stop(&mut server);
    let mut stderr = String::new();
    server.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    Outcome { status, stderr }
}

fn stop(server: &mut Child) -> ExitStatus {
    let start = Instant::now();
    let mut is_signalled = false;
    loop {
        if let Some(status) = server.try_wait().unwrap() {
            return status;
        }
        if !is_signalled && catches_sigterm(server.id()) {
            super::process::send_signal(server, "TERM");
            is_signalled = true;
        }
        if start.elapsed() > MAX_WAIT {
            server.kill().unwrap();
            return server.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the process has a handler for SIGTERM. A server installs it shortly before it starts its workers.
fn catches_sigterm(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & SIGTERM_BIT != 0)
}

/// Asserts that the status is one of `expected`, that no signal ended the server, and that a server that cannot start
/// prints the reason.
fn check(outcome: &Outcome, expected: &[i32], case: &str) {
    assert_eq!(outcome.status.signal(), None, "{case}: {outcome:?}");
    let status = outcome.status.code().unwrap();
    assert!(expected.contains(&status), "{case}: {outcome:?}");
    assert!(!outcome.stderr.contains("panicked"), "{case}: {outcome:?}");
    if status == 2 && !case.contains("2>") {
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("{}: ", SERVER.name)), "{case}: {outcome:?}");
    }
}

#[test]
fn full_or_closed_standard_streams_do_not_change_the_exit_status() {
    for (arguments, expected) in [
        ("--listen 127.0.0.1:0", 0),
        // 192.0.2.1 is an address for documentation (RFC 5737), so no host has it.
        ("--listen 192.0.2.1:0", 2),
        ("--listen nonsense", 2),
    ] {
        for streams in
            ["2>/dev/full", ">/dev/full", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"]
        {
            let case = format!("{arguments} {streams}");
            let outcome = run(&format!("exec \"$0\" {case}"), None);
            assert_eq!(outcome.status.signal(), None, "{case}: {outcome:?}");
            assert_eq!(outcome.status.code(), Some(expected), "{case}: {outcome:?}");
            assert!(!outcome.stderr.contains("panicked"), "{case}: {outcome:?}");
        }
    }
}

#[test]
fn help_for_a_full_stdout_ends_with_status_2() {
    for option in ["--help", "-h", "--version"] {
        let outcome = run(&format!("exec \"$0\" {option} >/dev/full"), None);
        assert_eq!(outcome.status.code(), Some(2), "{option}: {outcome:?}");
        assert!(outcome.stderr.contains("cannot write to stdout"), "{option}: {outcome:?}");
    }
}

#[test]
fn server_without_free_descriptors_runs_or_ends_with_status_2() {
    for streams in ["", "<&- >&- 2>&-"] {
        for descriptors in 3..=20 {
            let case =
                format!("ulimit -n {descriptors}; exec \"$0\" --listen 127.0.0.1:0 {streams}");
            let mut expected = vec![0, 2];
            if descriptors == 3 {
                // The loader needs a fourth descriptor for the libraries.
                expected.push(LOADER_FAILED);
            }
            let outcome = run(&case, None);
            check(&outcome, &expected, &case);
        }
    }
    let four = run("ulimit -n 4; exec \"$0\" --listen 127.0.0.1:0", None);
    assert_eq!(four.status.code(), Some(2), "{four:?}");
    let twenty = run("ulimit -n 20; exec \"$0\" --listen 127.0.0.1:0", None);
    assert_eq!(twenty.status.code(), Some(0), "{twenty:?}");
}

#[test]
fn server_without_threads_runs_or_ends_with_status_2() {
    // The kernel does not apply the limit to root. Each test process has its own user, because all processes of a user
    // share the limit.
    let has_root = is_root();
    let user = has_root.then(|| 100_000 + std::process::id() % 100_000);
    let run = |processes: u32| {
        let script = format!("exec prlimit --nproc={processes} -- \"$0\" --listen 127.0.0.1:0");
        run(&script, user)
    };
    let one = run(1);
    if one.stderr.contains("Permission denied") {
        eprintln!("SKIPPED: another user cannot run {}", SERVER.path);
        return;
    }
    assert_eq!(one.status.code(), Some(2), "{one:?}");
    // A server has four threads: main, log, signals, one worker. Without root, the limit includes the other processes
    // of the user, so the server cannot start.
    for processes in 1..=5 {
        check(&run(processes), &[0, 2], &format!("{processes} processes"));
    }
    if has_root {
        assert_eq!(run(5).status.code(), Some(0));
    }
}

/// Whether this process belongs to root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
