//! Tests of `rtt-client trace`. Most of them compare each packet with the output of `tshark`: role, size,
//! direction, time and comment.
//!
//! Most tests need network namespaces and `tshark`. If one is missing, such a test prints SKIPPED. If
//! `REQUIRE_NETNS` is set, the test fails instead.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;
#[path = "trace/tshark.rs"]
mod tshark;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tshark::{assert_tshark_agrees, time_ns};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The addresses of the server in the test network, one for each version of IP.
const SERVERS: [&str; 2] = ["10.77.0.2:7777", "[fd77::2]:7777"];

const HANDSHAKE: [&str; 3] = ["syn", "syn-ack", "ack"];

/// The minimum time inside this host, in nanoseconds. It can be negative, because the program and the capture
/// use different clocks.
const MIN_HOST_NS: i64 = -2000;

/// The JSON events of a trace, and the capture file that it wrote.
struct TraceRun {
    events: Vec<Value>,
    file: PathBuf,
}

impl TraceRun {
    fn events_of_type(&self, event_type: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == event_type).collect()
    }

    /// The roles of all packets of one protocol, in the order of the capture.
    fn roles(&self, protocol: &str) -> Vec<&str> {
        let packets = self.events_of_type("packet").into_iter();
        let packets = packets.filter(|packet| packet["protocol"] == protocol);
        packets.map(|packet| packet["role"].as_str().unwrap()).collect()
    }
}

fn file_path(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    directory.join(format!("{name}-{}.pcapng", std::process::id()))
}

fn parse_events(json_lines: &str) -> Vec<Value> {
    json_lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_possible() -> bool {
    network::is_possible("tshark --version")
}

/// Runs a shell script in a new network namespace with a loopback interface. `$CLIENT`, `$UDP` and `$TCP` are
/// the paths of the programs, and `$FILE` is the path of the capture file.
fn trace_in_namespace(name: &str, script: &str) -> TraceRun {
    let file = file_path(name);
    let script = format!("ip link set lo up\n{script}");
    let Output { stdout, stderr, .. } = Command::new("unshare")
        .args(["-Urn", "sh", "-c", &script])
        .env("CLIENT", CLIENT)
        .env("UDP", network::server("udp"))
        .env("TCP", network::server("tcp"))
        .env("FILE", &file)
        .output()
        .unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(!stdout.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    TraceRun { events: parse_events(&stdout), file }
}

/// Traces TCP exchanges with a server in another namespace. `scenario` selects delays and losses on the path.
fn trace_over_path(
    server: &str,
    name: &str,
    scenario: Value,
    arguments: &[&str],
) -> Option<TraceRun> {
    trace_target_over_path(&format!("tcp://{server}"), server, name, scenario, arguments)
}

/// Traces exchanges with `target` in another namespace. A TCP server with the address `server` runs there.
fn trace_target_over_path(
    target: &str,
    server: &str,
    name: &str,
    mut scenario: Value,
    arguments: &[&str],
) -> Option<TraceRun> {
    let file = file_path(name);
    scenario["server"] = json!([network::server("tcp"), "--listen", server]);
    let command = [CLIENT, "trace", target, "--format", "json", "-w", file.to_str().unwrap()];
    let result = network::run(&scenario, &[&command, arguments].concat())?;
    let stdout = result["out"].as_str().unwrap();
    assert!(!stdout.is_empty(), "{result}");
    Some(TraceRun { events: parse_events(stdout), file })
}

#[test]
fn lab_traces_one_exchange_for_each_protocol() {
    if !is_possible() {
        return;
    }
    let file = file_path("lab");
    let mut command = Command::new(CLIENT);
    let output =
        command.args(["trace", "--lab", "--format", "json", "-w"]).arg(&file).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
    let run = TraceRun { events: parse_events(&String::from_utf8(output.stdout).unwrap()), file };
    assert_eq!(run.roles("udp"), ["request", "reply"]);
    let tcp = run.roles("tcp");
    assert_eq!(tcp[..3], HANDSHAKE, "{tcp:?}");
    assert!(tcp.contains(&"request") && tcp.contains(&"reply"), "{tcp:?}");
    assert_eq!(tcp.iter().filter(|role| **role == "fin").count(), 2, "{tcp:?}");
    for timing in run.events_of_type("exchange-timing") {
        assert!(timing["host_ns"].as_i64().unwrap() > MIN_HOST_NS, "{timing}");
        assert_eq!(timing["disagreement"], Value::Null, "{timing}");
    }
    let summary = run.events.last().unwrap();
    let [udp, tcp] = &summary["protocols"].as_array().unwrap()[..] else { panic!("{summary}") };
    assert_eq!((&udp["packets"], &udp["round_trips_to_first_reply"]), (&json!(2), &json!(1)));
    assert_eq!(tcp["round_trips_to_first_reply"], 2);
    assert_eq!(udp["closed_by"], Value::Null);
    assert_eq!(tcp["closed_by"], json!({"connections": 1, "client": 1, "server": 0}));
    assert_eq!(udp["wire_bytes"], 2 * (14 + 20 + 8 + 12));
    assert_tshark_agrees(&run);
}

#[test]
fn refused_connection_is_not_a_closed_connection() {
    if !is_possible() {
        return;
    }
    // No server runs in the new namespace.
    let script = "$CLIENT trace tcp://127.0.0.1:7 --format json -w $FILE";
    let run = trace_in_namespace("refused", script);
    assert_eq!(run.roles("tcp"), ["syn", "rst"]);
    let closed_by = &run.events.last().unwrap()["protocols"][0]["closed_by"];
    let expected = json!({"connections": 1, "client": 0, "server": 0, "refused": 1});
    assert_eq!(*closed_by, expected);
    assert_tshark_agrees(&run);
}

#[test]
fn target_without_an_address_has_only_the_reason() {
    let output = Command::new(CLIENT).args(["trace", "no-such-host.invalid"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("name-not-found") || text.contains("name-lookup-failed"), "{text}");
    assert!(!text.contains("contains no packet"), "{text}");
}

#[test]
fn exchanges_over_ipv6_have_a_breakdown() {
    if !is_possible() {
        return;
    }
    let run = trace_in_namespace(
        "six",
        r#""$UDP" --listen '[::1]:7777' 2>/dev/null >udp.$$ & u=$!
           "$TCP" --listen '[::1]:7777' 2>/dev/null >tcp.$$ & t=$!
           until grep -q listening udp.$$ && grep -q listening tcp.$$; do :; done; rm udp.$$ tcp.$$
           "$CLIENT" trace '[::1]:7777' -c 3 --breakdown --format json -w "$FILE"
           kill $u $t"#,
    );
    assert_eq!(run.roles("udp"), ["request", "reply"].repeat(3));
    let timings = run.events_of_type("exchange-timing");
    assert_eq!(timings.len(), 6);
    assert!(timings.iter().any(|timing| timing["breakdown"].is_object()));
    assert_eq!(run.events_of_type("packet")[0]["ip_bytes"], 40);
    assert_tshark_agrees(&run);
}

#[test]
fn closed_port_gives_an_icmp_error_over_udp_and_a_reset_over_tcp() {
    if !is_possible() {
        return;
    }
    for (name, target) in [("refused", "127.0.0.1:9"), ("refused-six", "[::1]:9")] {
        let script = format!(r#""$CLIENT" trace '{target}' --format json -w "$FILE""#);
        let run = trace_in_namespace(name, &script);
        assert_eq!(run.roles("udp"), ["request", "icmp-error"]);
        assert_eq!(run.roles("tcp"), ["syn", "rst"]);
        let timings = run.events_of_type("exchange-timing");
        assert!(timings.iter().all(|timing| timing["condition"] == "refused"), "{timings:?}");
        assert_tshark_agrees(&run);
    }
}

#[test]
fn packets_of_every_failed_connection_are_shown() {
    if !is_possible() {
        return;
    }
    let script = r#""$CLIENT" trace 'tcp://127.0.0.1:9' -c 3 --format json"#;
    let run = trace_in_namespace("none", script);
    assert_eq!(run.roles("tcp"), ["syn", "rst"].repeat(3));
    let timings = run.events_of_type("exchange-timing");
    assert_eq!(timings.len(), 3, "{timings:?}");
    assert!(timings.iter().all(|timing| timing["wire_rtt_ns"].is_null()), "{timings:?}");
}

#[test]
fn trace_shows_the_retransmission_of_a_lost_segment() {
    if !is_possible() {
        return;
    }
    for server in SERVERS {
        let scenario = json!({"delay_ms": 2, "drop_segments": [2]});
        let Some(run) = trace_over_path(server, "lost", scenario, &["-c", "3"]) else { return };
        assert!(run.roles("tcp").contains(&"retransmission"), "{:?}", run.roles("tcp"));
        assert_tshark_agrees(&run);
    }
}

#[test]
fn trace_shows_a_delayed_segment_as_out_of_order() {
    if !is_possible() {
        return;
    }
    for server in SERVERS {
        let scenario = json!({"delay_ms": 5, "late_segment": [2, 2]});
        let Some(run) = trace_over_path(server, "late", scenario, &["-s", "6000"]) else { return };
        assert!(run.roles("tcp").contains(&"out-of-order"), "{:?}", run.roles("tcp"));
        assert_tshark_agrees(&run);
    }
}

#[test]
fn echo_messages_belong_to_the_exchanges_that_the_client_measured() {
    if !is_possible() {
        return;
    }
    for (server, target) in SERVERS.into_iter().zip(["icmp://10.77.0.2", "icmp://[fd77::2]"]) {
        // The path drops request 3, and sends the reply to request 5 twice.
        let scenario = json!({"delay_ms": 2, "drop": [8, 3], "double": [8, 5]});
        let arguments = ["-c", "6", "-W", "200ms"];
        let run = trace_target_over_path(target, server, "echo", scenario, &arguments);
        let Some(run) = run else { return };
        let packets_of = |exchange: u64| -> Vec<&Value> {
            let packets = run.events_of_type("packet").into_iter();
            packets.filter(|packet| packet["exchange"] == exchange).collect()
        };
        for exchange in 1..=6 {
            let roles: Vec<&str> = packets_of(exchange)
                .iter()
                .map(|packet| packet["role"].as_str().unwrap())
                .collect();
            let expected = match exchange {
                3 => &["request"][..],
                5 => &["request", "reply", "reply"],
                _ => &["request", "reply"],
            };
            assert_eq!(roles, expected, "exchange {exchange}");
        }
        let timings = run.events_of_type("exchange-timing");
        let lost = timings.iter().find(|timing| timing["exchange"] == 3).unwrap();
        assert_eq!((&lost["condition"], &lost["wire_rtt_ns"]), (&json!("silent"), &Value::Null));
        // The duplicate reply does not extend the exchange.
        let doubled = timings.iter().find(|timing| timing["exchange"] == 5).unwrap();
        let [request, reply, _] = &packets_of(5)[..] else { panic!("{doubled}") };
        let (request, reply) = (time_ns(request), time_ns(reply));
        assert_eq!(doubled["wire_rtt_ns"].as_i64(), Some(reply - request), "{doubled}");
        for (packet, tshark) in tshark::packets_with_tshark(&run) {
            tshark::assert_same_packet(packet, &tshark);
        }
        std::fs::remove_file(&run.file).unwrap();
    }
}

#[test]
fn exchange_can_have_many_segments() {
    if !is_possible() {
        return;
    }
    let run = trace_in_namespace(
        "long",
        r#""$TCP" --listen '127.0.0.1:7777' 2>/dev/null >tcp.$$ & t=$!
           until grep -q listening tcp.$$; do :; done; rm tcp.$$
           "$CLIENT" trace 'tcp://127.0.0.1:7777' -s 300000 -c 2 --format json -w "$FILE"
           kill $t"#,
    );
    let timings = run.events_of_type("exchange-timing");
    assert_eq!(timings.len(), 2, "{timings:?}");
    for timing in &timings {
        let packets = |direction: &str| -> Vec<&Value> {
            // Under load, the kernel also retransmits on the loopback interface.
            let is_new_data = |packet: &&Value| {
                packet["exchange"] == timing["exchange"]
                    && packet["direction"] == direction
                    && packet["payload_bytes"] != 0
                    && packet["role"] != "retransmission"
            };
            run.events_of_type("packet").into_iter().filter(is_new_data).collect()
        };
        let (requests, replies) = (packets("request"), packets("reply"));
        for packets in [&requests, &replies] {
            let bytes = packets.iter().map(|packet| packet["payload_bytes"].as_u64().unwrap());
            assert_eq!(bytes.sum::<u64>(), 300_000, "{packets:?}");
            assert!(packets.len() > 1, "{packets:?}");
        }
        // The RTT starts with the first segment of the request and ends with the last segment of the reply.
        let wire_rtt = time_ns(replies.last().unwrap()) - time_ns(requests[0]);
        assert_eq!(timing["wire_rtt_ns"].as_i64(), Some(wire_rtt), "{timing}");
        assert!(timing["host_ns"].as_i64().unwrap() > MIN_HOST_NS, "{timing}");
    }
    std::fs::remove_file(&run.file).unwrap();
}

#[test]
fn largest_packet_time_is_accepted() {
    // A packet with the largest time in microseconds: 2^64 - 1 µs after 1970.
    let mut file = Vec::new();
    for number in [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28, 1, 20, 101, 0, 20] {
        file.extend(number.to_le_bytes());
    }
    let mut packet = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend([0x15, 0xb3, 0x61, 0xa8, 0, 13, 0, 0]);
    packet.extend(b"hello\0\0\0");
    for number in [6, 68, 0, u32::MAX, u32::MAX, 33, 33] {
        file.extend(number.to_le_bytes());
    }
    file.extend(packet);
    file.extend(68_u32.to_le_bytes());
    let path = file_path("future");
    std::fs::write(&path, file).unwrap();
    for format in ["json", "text"] {
        let mut command = Command::new(CLIENT);
        let output = command.args(["trace", "--format", format, "-r"]).arg(&path).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && stdout.contains("request"), "{stdout}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn full_disk_error_is_one_line_with_one_reason() {
    if !is_possible() || !Path::new("/dev/full").exists() {
        return;
    }
    let mut command = Command::new(CLIENT);
    let output = command.args(["trace", "--lab", "-w", "/dev/full"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("/dev/full"), "{stderr}");
    assert_eq!(stderr.matches("No space left").count(), 1, "{stderr}");
}

#[test]
fn missing_capability_error_is_one_line_with_the_solution() {
    // `unshare -Ur` gives all capabilities in a new user namespace. The network namespace does not change, so
    // the program has no capabilities there.
    let mut command = Command::new("unshare");
    let Ok(output) = command.args(["-Ur", CLIENT, "trace", "127.0.0.1:9"]).output() else { return };
    let stderr = String::from_utf8(output.stderr).unwrap();
    if !network::is_possible("true") {
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("CAP_NET_RAW") && stderr.contains("setcap"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
