//! The protocol ICMP: each kind of socket, ICMP errors, and forged messages.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/routed.rs"]
mod routed;

use routed::is_possible;
use serde_json::{Value, json};
use std::process::{Command, Output};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The privileges of the client in a new user namespace and network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    /// Root, with all capabilities. The group is not in `net.ipv4.ping_group_range`.
    Root,
    /// Root, with all capabilities. The group is in `net.ipv4.ping_group_range`.
    RootInGroup,
    /// No capabilities. The group is in `net.ipv4.ping_group_range`.
    InGroup,
    /// No capabilities. The group is not in `net.ipv4.ping_group_range`.
    OutsideGroup,
}

impl User {
    /// A shell script that sets the privileges and runs the command in its arguments.
    fn script(self) -> &'static str {
        match self {
            Self::Root => "ip link set lo up && exec \"$@\"",
            Self::RootInGroup => {
                "ip link set lo up && sysctl -qw net.ipv4.ping_group_range='0 0' && exec \"$@\""
            }
            Self::InGroup => {
                "ip link set lo up && sysctl -qw net.ipv4.ping_group_range='0 0' \
                 && exec setpriv --bounding-set=-all --inh-caps=-all \"$@\""
            }
            Self::OutsideGroup => {
                "ip link set lo up && exec setpriv --bounding-set=-all --inh-caps=-all \"$@\""
            }
        }
    }

    fn run(self, arguments: &[&str]) -> Output {
        self.run_program(&[&[CLIENT, "icmp"], arguments].concat())
    }

    fn run_program(self, command: &[&str]) -> Output {
        let mut unshare = Command::new("unshare");
        unshare.args(["-Urn", "sh", "-c", self.script(), "sh"]);
        unshare.args(command).output().unwrap()
    }
}

/// Whether this machine allows the namespaces and the privileges of the tests.
fn can_change_privileges() -> bool {
    is_possible("setpriv --bounding-set=-all --inh-caps=-all true")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The events in the client's output.
fn events(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    assert!(!lines.is_empty(), "{}", text(&output.stderr));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The only line of the client's output, after an error in the arguments or in the configuration of the system.
#[track_caller]
fn error_line(output: &Output) -> String {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty());
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

fn summary(output: &Output) -> Value {
    let summary = events(output).pop().unwrap();
    assert_eq!(summary["type"], "summary", "{summary}");
    summary
}

/// Checks the numbers of received, lost, corrupt and unusual replies.
#[track_caller]
fn assert_all_received(summary: &Value, count: u64) {
    for (name, expected) in [
        ("sent", count),
        ("received", count),
        ("lost", 0),
        ("corrupt", 0),
        ("duplicates", 0),
        ("out_of_order", 0),
        ("late", 0),
        ("unmatched", 0),
    ] {
        assert_eq!(summary[name], expected, "{name} in {summary}");
    }
}

#[test]
fn each_kind_of_socket_measures_every_request() {
    if !can_change_privileges() {
        return;
    }
    for (user, log) in [(User::Root, "style: SOCK_RAW"), (User::InGroup, "style: SOCK_DGRAM")] {
        for host in ["127.0.0.1", "::1"] {
            for options in [
                &["-c", "50", "-i", "0"][..],
                &["-c", "20", "-i", "0", "-s", "1400"],
                &["-c", "100", "--rate", "200"],
            ] {
                let more = ["--format", "json", "-v"];
                let output = user.run(&[&[host], options, &more[..]].concat());
                let count = options[1].parse().unwrap();
                let summary = summary(&output);
                assert_all_received(&summary, count);
                assert_eq!(summary["reply_ttl"], json!({"min": 64, "max": 64, "hops": 0}));
                for exchange in events(&output).iter().filter(|event| event["type"] == "exchange") {
                    assert_eq!(exchange["ttl"], 64, "{exchange}");
                }
                let created = text(&output.stderr);
                let created = created.lines().filter(|line| line.contains("socket created"));
                assert!(created.clone().count() > 0, "{user:?}");
                assert!(created.clone().all(|line| line.contains(log)), "{user:?}");
            }
        }
    }
}

#[test]
fn parts_of_the_breakdown_add_up_to_the_rtt() {
    if !can_change_privileges() {
        return;
    }
    for user in [User::Root, User::InGroup] {
        for host in ["127.0.0.1", "::1"] {
            let output =
                user.run(&[host, "-c", "20", "-i", "0", "--breakdown", "--format", "json"]);
            // Control exchanges use a second socket. Its replies do not count as unmatched.
            let summary = summary(&output);
            assert_all_received(&summary, 20);
            assert_eq!(summary["timestamp_cost"]["exchanges"], 20, "{summary}");
            // The kernel can interrupt the program between two clock readings. Then the exchange has no breakdown.
            let has_breakdown =
                |event: &&Value| event["type"] == "exchange" && event["breakdown"].is_object();
            let events = events(&output);
            let with_breakdown = events.iter().filter(has_breakdown).count();
            assert!((10..=20).contains(&with_breakdown), "{summary}");
            assert_eq!(summary["breakdown"]["kernel_replies"], with_breakdown, "{summary}");
            for exchange in events.iter().filter(has_breakdown) {
                let part = |name: &str| exchange["breakdown"][name].as_u64().unwrap();
                let parts = ["send_ns", "network_and_server_ns", "receive_ns"].map(part);
                assert_eq!(parts.iter().sum::<u64>(), exchange["rtt_ns"], "{exchange}");
                assert!(parts.iter().all(|part| *part > 0), "{exchange}");
                assert_eq!(exchange["combined_reason"], "kernel-reply");
            }
        }
    }
}

#[test]
fn missing_privileges_are_one_line_with_the_setting_and_the_capability() {
    if !can_change_privileges() {
        return;
    }
    for host in ["127.0.0.1", "::1"] {
        let output = User::OutsideGroup.run(&[host, "hello"]);
        let error = error_line(&output);
        let start = format!("rtt-client: cannot create a socket for ICMP {host}: ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains("net.ipv4.ping_group_range (now "), "{error}");
        // A new network namespace allows no group.
        assert!(error.contains(": no group)"), "{error}");
        assert!(error.contains("CAP_NET_RAW"), "{error}");
        assert!(error.contains("`sudo sysctl -w net.ipv4.ping_group_range="), "{error}");
        assert!(error.contains("`sudo setcap cap_net_raw+ep "), "{error}");
    }
}

#[test]
fn local_address_must_have_the_version_of_the_target() {
    if !can_change_privileges() {
        return;
    }
    let mapped = "::ffff:127.0.0.1";
    for user in [User::Root, User::RootInGroup] {
        let error = error_line(&user.run(&[mapped, "-B", "::1", "hello"]));
        assert!(error.contains("cannot bind to ::1 for ICMP 127.0.0.1: "), "{user:?}: {error}");
        let output = user.run(&[mapped, "-B", mapped, "hello"]);
        assert_eq!(output.status.code(), Some(0), "{user:?}: {output:?}");
    }
}

#[test]
fn targets_and_messages_that_icmp_cannot_carry_are_rejected() {
    for (arguments, error) in [
        (&["127.0.0.1:7", "hello"][..], "has a port, but ICMP has no ports"),
        (&["icmp://[::1]:7", "hello"], "has a port, but ICMP has no ports"),
        (&["127.0.0.1", "-B", "127.0.0.1:7", "hello"], "--bind selects port 7"),
        (&["127.0.0.1", "-c", "1", "-s", "65508"], "at most 65507 bytes"),
    ] {
        let output = Command::new(CLIENT).arg("icmp").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(error), "{output:?}");
    }
}

#[test]
fn longest_message_is_measured() {
    if !can_change_privileges() {
        return;
    }
    for user in [User::Root, User::InGroup] {
        for host in ["127.0.0.1", "::1"] {
            let output = user.run(&[host, "-c", "3", "-i", "0", "-s", "65507", "--format", "json"]);
            assert_all_received(&summary(&output), 3);
        }
    }
}

/// Runs a series to a host whose replies and errors come from `forged_icmp.py`.
fn run_with_forger(user: User, kind: &str, series: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/network/forged_icmp.py");
    let forger = ["python3", script, kind, CLIENT, "icmp", "127.0.0.1", "--format", "json"];
    user.run_program(&[&forger[..], series].concat())
}

#[test]
fn forged_messages_never_decide_the_outcome_of_a_request() {
    if !can_change_privileges() {
        return;
    }
    // The kernel drops some of the messages, so the two kinds of sockets receive different ones.
    for (kind, raw_socket, ping_socket) in [
        ("identifier", 20, 0),
        ("sequence", 20, 20),
        ("number", 20, 20),
        ("checksum", 20, 0),
        ("short", 0, 0),
        ("foreign quote", 20, 0),
        ("unsent sequence", 20, 20),
        ("wrong payload in the quote", 20, 20),
        ("wrong token in the quote", 20, 20),
        ("truncated quote", 0, 0),
    ] {
        for (user, unmatched) in [(User::Root, raw_socket), (User::RootInGroup, ping_socket)] {
            let series = ["-c", "20", "-i", "0", "-W", "5s", "-q"];
            let mut summary = summary(&run_with_forger(user, kind, &series));
            assert_eq!(summary["unmatched"], unmatched, "{kind}, {user:?}: {summary}");
            summary["unmatched"] = 0.into();
            assert_all_received(&summary, 20);
        }
    }
}

#[test]
fn echo_reply_with_a_wrong_token_never_counts() {
    if !can_change_privileges() {
        return;
    }
    for user in [User::Root, User::RootInGroup] {
        let summary = summary(&run_with_forger(user, "token", &["-c", "20", "-i", "0", "-q"]));
        assert_eq!(summary["wrong_token"], 20, "{user:?}: {summary}");
        assert_all_received(&summary, 20);
    }
}

#[test]
fn error_that_quotes_only_a_header_belongs_to_the_request_with_its_sequence_number() {
    if !can_change_privileges() {
        return;
    }
    for user in [User::Root, User::RootInGroup] {
        let series = ["-c", "40", "--rate", "100"];
        let output = run_with_forger(user, "errors about even requests", &series);
        let mut outcomes = Vec::new();
        for exchange in events(&output).iter().filter(|event| event["type"] == "exchange") {
            let seq = exchange["seq"].as_u64().unwrap();
            let expected = if seq % 2 == 0 { "error" } else { "reply" };
            assert_eq!(exchange["outcome"], expected, "{exchange}");
            outcomes.push(seq);
        }
        outcomes.sort_unstable();
        assert_eq!(outcomes, (1..=40).collect::<Vec<_>>(), "{user:?}");
        assert_eq!(summary(&output)["unmatched"], 0, "{user:?}");
    }
}

#[test]
fn router_on_the_path_reports_its_errors_and_decreases_the_ttl() {
    if !can_change_privileges() {
        return;
    }
    let ping_socket = "sysctl -qw net.ipv4.ping_group_range='0 0'; exec \"$@\"";
    for script in ["exec \"$@\"", ping_socket] {
        for ((server, router), icmp) in routed::ADDRESSES.into_iter().zip([(11, 0), (3, 0)]) {
            let run = |arguments: &[&str]| {
                let shell = ["sh", "-c", script, "sh", CLIENT, "icmp", server];
                routed::run(&[&shell[..], arguments, &["--format", "json"]].concat())
            };
            let answered = summary(&run(&["-c", "5", "-i", "0"]));
            assert_all_received(&answered, 5);
            assert_eq!(answered["reply_ttl"], json!({"min": 63, "max": 63, "hops": 1}));
            // Each error quotes the number of its request.
            let failed = run(&["-c", "3", "-i", "0", "--ttl", "1"]);
            let exchanges = events(&failed);
            let exchanges: Vec<&Value> =
                exchanges.iter().filter(|event| event["type"] == "exchange").collect();
            assert_eq!(exchanges.len(), 3, "{failed:?}");
            for (exchange, seq) in exchanges.into_iter().zip(1..) {
                assert_eq!(exchange["seq"], seq, "{exchange}");
                assert_eq!(exchange["outcome"], "error", "{exchange}");
                assert_eq!(exchange["condition"], "host-unreachable", "{exchange}");
                let expected = json!({"type": icmp.0, "code": icmp.1, "from": router});
                assert_eq!(exchange["icmp"], expected, "{exchange}");
            }
        }
    }
}
