//! `echo-bench` as a process: exit status, the minimal echo programs (the floor), and load generators.

use child_process::{Server, output, output_with_status};
use std::process::{Command, Stdio};

fn echo_bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-bench"));
    command.args(arguments);
    command
}

fn floor(protocol: &str, waiting: &str) -> Server {
    Server::start(&mut echo_bench(&["floor", "server", protocol, waiting, "0"])).unwrap()
}

#[test]
fn unknown_arguments_end_with_status_2() {
    for arguments in [&[][..], &["benhc"], &["soak", "--duration", "0s"], &["bench", "now"]] {
        let mut command = echo_bench(arguments);
        let text = output_with_status(command.stderr(Stdio::null()), &[2]).unwrap();
        assert_eq!(text, "", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_or_closed_standard_streams_do_not_cause_a_panic() {
    for (arguments, expected) in [
        ("floor server udp block 0 >/dev/full", 1),
        ("floor server udp block 0 >/dev/full 2>/dev/full", 1),
        ("load 127.0.0.1:1 --duration 1ms nonsense 2>/dev/full", 2),
        ("load 127.0.0.1:1 --duration 1ms udp 32 2>/dev/full", 1),
    ] {
        let script = format!("exec \"$0\" {arguments}");
        let mut shell = Command::new("sh");
        let output =
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_echo-bench")]).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(expected), "{arguments}: {err}");
        assert!(!err.contains("panicked"), "{arguments}: {err}");
    }
}

#[test]
fn floor_client_prints_the_median_rtt_in_nanoseconds() {
    for protocol in ["udp", "tcp"] {
        let server = floor(protocol, "block");
        let client = ["floor", "client", protocol, "block", "0", &server.address, "100"];
        let median: u64 = output(&mut echo_bench(&client)).unwrap().trim().parse().unwrap();
        assert!(median > 0);
    }
}

#[test]
fn load_generators_count_correct_replies() {
    let mut loads = vec![("udp", "block", "udp 32")];
    if cfg!(target_os = "linux") {
        loads.push(("udp", "block", "bursts 32"));
        loads.push(("tcp", "epoll", "tcp 4 2"));
    }
    for (protocol, waiting, load) in loads {
        let server = floor(protocol, waiting);
        let mut command = echo_bench(&["load", &server.address, "--duration", "50ms"]);
        let text = output(command.args(load.split(' '))).unwrap();
        let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [replies, wrong, nanoseconds] = numbers[..] else { panic!("{text}") };
        assert!(replies > 0 && nanoseconds > 0, "{load}: {text}");
        assert_eq!(wrong, 0, "{load}");
    }
}
