//! Child processes: output, exit status and end.
#![cfg(unix)]

use child_process::{Child, Error, Server, output, output_with_status, run, status};
use std::process::Command;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn output_returns_the_standard_output_of_the_command() {
    assert_eq!(output(&mut shell("echo hello")).unwrap(), "hello\n");
}

#[test]
fn unexpected_exit_status_is_an_error_with_the_command() {
    let error = run(&mut shell("exit 3")).unwrap_err();
    assert!(matches!(error, Error::Status { .. }));
    assert_eq!(error.to_string(), "`sh -c 'exit 3'` ended with exit status: 3");
    assert_eq!(output_with_status(&mut shell("echo a; exit 3"), &[0, 3]).unwrap(), "a\n");
    assert_eq!(status(&mut shell("exit 3")).unwrap().code(), Some(3));
}

#[test]
fn missing_program_is_an_error_with_its_source() {
    let error = run(&mut Command::new("no-such-program")).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `no-such-program`");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn dropping_a_child_ends_its_process() {
    let child = Child::start(&mut shell("exec sleep 60")).unwrap();
    let id = child.id().to_string();
    let is_running = || run(&mut shell(&format!("kill -0 {id} 2>/dev/null"))).is_ok();
    assert!(is_running());
    drop(child);
    assert!(!is_running());
}

#[test]
fn server_is_ready_after_it_has_printed_its_address() {
    let script = "echo some-echo listening on 127.0.0.1:7; while :; do sleep 0.05; done";
    let server = Server::start(&mut shell(script)).unwrap();
    assert_eq!(server.address, "127.0.0.1:7");
}

#[test]
fn server_without_an_address_is_an_error_with_its_first_line() {
    let Err(error) = Server::start(&mut shell("echo hello")) else { panic!("no error") };
    assert!(error.to_string().ends_with(r#"its first line is "hello\n""#), "{error}");
}

#[test]
fn terminate_waits_for_the_server_and_checks_its_exit_status() {
    let script = "trap 'exit 0' TERM; echo x listening on y; while :; do sleep 0.05; done";
    Server::start(&mut shell(script)).unwrap().terminate().unwrap();
    let script = "trap 'exit 4' TERM; echo x listening on y; while :; do sleep 0.05; done";
    let error = Server::start(&mut shell(script)).unwrap().terminate().unwrap_err();
    assert!(matches!(error, Error::Status { .. }));
}

/// The test below runs this function in a separate process, and kills the process.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "the next test runs it in a separate process"]
fn process_with_a_child_that_runs_for_a_minute() {
    let child = Child::start(&mut shell("exec sleep 60")).unwrap();
    println!("child {}", child.id());
    child.wait().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn child_ends_when_sigkill_ends_its_parent() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    use std::time::{Duration, Instant};
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "process_with_a_child_that_runs_for_a_minute",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let id = loop {
        let line = lines.next().expect("the process prints the number of its child").unwrap();
        if let Some((_, id)) = line.rsplit_once("child ")
            && id.parse::<u32>().is_ok()
        {
            break id.to_owned();
        }
    };
    // A zombie has ended, and waits for its new parent. The state follows the name (proc_pid_stat(5)).
    let is_running = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
    };
    assert!(is_running());
    parent.kill().unwrap();
    parent.wait().unwrap();
    let start = Instant::now();
    while is_running() {
        assert!(start.elapsed() < Duration::from_secs(20), "the child still runs");
        std::thread::sleep(Duration::from_millis(2));
    }
}
