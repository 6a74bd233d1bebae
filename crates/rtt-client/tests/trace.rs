//! `rtt-client trace` against `tshark`: packet by packet the same roles, sizes, directions, times and comments.
//!
//! Needs what the other network tests need, and `tshark`. Where one is missing a test prints SKIPPED; with
//! `REQUIRE_NETNS` set it fails.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use chrono::DateTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// A trace: its events, and the file that it wrote.
struct Run {
    events: Vec<Value>,
    file: PathBuf,
}

impl Run {
    fn of(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    fn roles(&self, protocol: &str) -> Vec<&str> {
        let packets = self.of("packet").into_iter();
        let packets = packets.filter(|packet| packet["protocol"] == protocol);
        packets.map(|packet| packet["role"].as_str().unwrap()).collect()
    }
}

fn file(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    directory.join(format!("{name}-{}.pcapng", std::process::id()))
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_possible() -> bool {
    network::is_possible("tshark --version")
}

/// Runs `script` in a namespace with a loopback interface; `$CLIENT` is ours, `$FILE` the file to write.
fn alone(name: &str, script: &str) -> Run {
    let file = file(name);
    let script = format!("ip link set lo up\n{script}");
    let Output { stdout, stderr, .. } = Command::new("unshare")
        .args(["-Urn", "sh", "-c", &script])
        .env("CLIENT", CLIENT)
        .env("UDP", network::server("udp"))
        .env("TCP", network::server("tcp"))
        .env("FILE", &file)
        .output()
        .unwrap();
    let out = String::from_utf8(stdout).unwrap();
    assert!(!out.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    Run { events: events(&out), file }
}

/// Runs a trace of TCP across the lab's path.
fn across(server: &str, name: &str, mut scenario: Value, arguments: &[&str]) -> Option<Run> {
    let file = file(name);
    scenario["server"] = json!([network::server("tcp"), "--listen", server]);
    let target = format!("tcp://{server}");
    let command = [CLIENT, "trace", &target, "--format", "json", "-w", file.to_str().unwrap()];
    let result = network::run(&scenario, &[&command, arguments].concat())?;
    let out = result["out"].as_str().unwrap();
    assert!(!out.is_empty(), "{result}");
    Some(Run { events: events(out), file })
}

/// What tshark says of each packet, by its number.
fn tshark(file: &Path) -> BTreeMap<u64, BTreeMap<&'static str, String>> {
    const FIELDS: [&str; 18] = [
        "frame.number",
        "frame.time_epoch",
        "frame.len",
        "frame.comment",
        "ip.src",
        "ipv6.src",
        "udp.srcport",
        "tcp.srcport",
        "udp.length",
        "tcp.len",
        "tcp.flags.syn",
        "tcp.flags.ack",
        "tcp.flags.fin",
        "tcp.flags.reset",
        "tcp.analysis.retransmission",
        "tcp.analysis.out_of_order",
        "icmp.type",
        "icmpv6.type",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields", "-E", "occurrence=f", "-E", "separator=|"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = String::from_utf8(stdout).unwrap();
    text.lines()
        .map(|line| {
            let fields = FIELDS.into_iter().zip(line.split('|').map(str::to_owned));
            let fields: BTreeMap<_, _> = fields.collect();
            (fields["frame.number"].parse().unwrap(), fields)
        })
        .collect()
}

/// Every packet of ours is tshark's, and every exchange's RTT.
fn agree(run: &Run) {
    let theirs = tshark(&run.file);
    let ours = run.of("packet");
    assert!(!ours.is_empty());
    let mut times = BTreeMap::new();
    for packet in &ours {
        let number = packet["number"].as_u64().unwrap();
        let their = &theirs[&number];
        let whom = format!("{packet}\n{their:?}");
        let is = |field: &str| matches!(their[field].as_str(), "1" | "True");
        assert_eq!(packet["wire_bytes"].to_string(), their["frame.len"], "{whom}");
        let time = DateTime::parse_from_rfc3339(packet["time"].as_str().unwrap()).unwrap();
        let nanoseconds = time.timestamp_nanos_opt().unwrap();
        let (seconds, fraction) = their["frame.time_epoch"].split_once('.').unwrap();
        let told: i64 = format!("{seconds}{fraction}").parse().unwrap();
        assert_eq!(nanoseconds, told, "{whom}");
        times.insert(number, nanoseconds);
        let role = packet["role"].as_str().unwrap();
        let expected_role = match () {
            () if !their["icmp.type"].is_empty() || !their["icmpv6.type"].is_empty() => {
                "icmp-error"
            }
            () if !their["udp.srcport"].is_empty() => {
                if packet["direction"] == "request" {
                    "request"
                } else {
                    "reply"
                }
            }
            () if is("tcp.flags.reset") => "rst",
            () if !their["tcp.analysis.retransmission"].is_empty() => "retransmission",
            () if !their["tcp.analysis.out_of_order"].is_empty() => "out-of-order",
            () if is("tcp.flags.syn") && is("tcp.flags.ack") => "syn-ack",
            () if is("tcp.flags.syn") => "syn",
            () if their["tcp.len"] != "0" => {
                if packet["direction"] == "request" {
                    "request"
                } else {
                    "reply"
                }
            }
            () if is("tcp.flags.fin") => "fin",
            () => "ack",
        };
        assert_eq!(role, expected_role, "{whom}");
        let payload = packet["payload_bytes"].as_u64().unwrap();
        if role != "icmp-error" {
            let theirs = match their["udp.length"].parse::<u64>() {
                Ok(length) => length - 8,
                Err(_) => their["tcp.len"].parse().unwrap(),
            };
            assert_eq!(payload, theirs, "{whom}");
            let port = [&their["udp.srcport"][..], &their["tcp.srcport"]].concat();
            let source = [&their["ip.src"][..], &their["ipv6.src"]].concat();
            let from = if packet["direction"] == "request" { "client" } else { "server" };
            let from = packet[from].as_str().unwrap();
            assert!(from.ends_with(&format!(":{port}")) && from.contains(&source), "{whom}");
        }
        let parts = ["link_bytes", "ip_bytes", "transport_bytes", "payload_bytes"];
        let sum: u64 = parts.iter().map(|part| packet[part].as_u64().unwrap()).sum();
        assert_eq!(packet["wire_bytes"], sum, "{whom}");
        let title = packet["protocol"].as_str().unwrap().to_uppercase();
        let label = match role {
            "syn" => "SYN",
            "syn-ack" => "SYN, ACK",
            "ack" => "ACK",
            "fin" => "FIN",
            "rst" => "RST",
            "icmp-error" => "ICMP error",
            "out-of-order" => "out of order",
            other => other,
        };
        assert!(their["frame.comment"].starts_with(&format!("{title} {label}")), "{whom}");
    }
    for joined in run.of("exchange-timing") {
        let of = |direction: &str| {
            let in_it = ours.iter().filter(|packet| {
                packet["exchange"] == joined["exchange"]
                    && packet["protocol"] == joined["protocol"]
                    && packet["direction"] == direction
                    && packet["payload_bytes"].as_u64().unwrap() > 0
                    && packet["role"] != "icmp-error"
            });
            // What tshark has seen before answers nothing.
            let in_it = in_it.filter(|packet| {
                let their = &theirs[&packet["number"].as_u64().unwrap()];
                direction == "request" || their["tcp.analysis.retransmission"].is_empty()
            });
            in_it.map(|packet| times[&packet["number"].as_u64().unwrap()]).collect::<Vec<_>>()
        };
        let (asked, answered) = (of("request"), of("reply"));
        let expected = asked.first().zip(answered.last()).map(|(asked, answered)| answered - asked);
        assert_eq!(joined["wire_rtt_ns"].as_i64(), expected, "{joined}");
    }
    let sums = run.events.last().unwrap();
    assert_eq!((&sums["type"], &sums["dropped"]), (&json!("trace"), &json!(0)), "{sums}");
    // And we read our own file as we wrote it.
    let mut again = Command::new(CLIENT);
    again.args(["trace", "--format", "json", "-r"]).arg(&run.file);
    let again = events(&String::from_utf8(again.output().unwrap().stdout).unwrap());
    let read: Vec<&Value> = again.iter().filter(|event| event["type"] == "packet").collect();
    for (read, packet) in read.iter().zip(&ours) {
        for field in ["number", "time", "role", "wire_bytes", "direction", "client", "server"] {
            assert_eq!(read[field], packet[field], "{field} of {packet}");
        }
    }
    assert_eq!(read.len(), ours.len());
    std::fs::remove_file(&run.file).unwrap();
}

/// The lab's server, over both versions of IP.
const SERVERS: [&str; 2] = ["10.77.0.2:7777", "[fd77::2]:7777"];

const HANDSHAKE: [&str; 3] = ["syn", "syn-ack", "ack"];

#[test]
fn one_exchange_each_in_a_network_of_its_own() {
    if !is_possible() {
        return;
    }
    let file = file("lab");
    let mut command = Command::new(CLIENT);
    let output =
        command.args(["trace", "--lab", "--format", "json", "-w"]).arg(&file).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*err), (Some(0), ""));
    let run = Run { events: events(&String::from_utf8(output.stdout).unwrap()), file };
    assert_eq!(run.roles("udp"), ["request", "reply"]);
    let tcp = run.roles("tcp");
    assert_eq!(tcp[..3], HANDSHAKE, "{tcp:?}");
    assert!(tcp.contains(&"request") && tcp.contains(&"reply"), "{tcp:?}");
    assert_eq!(tcp.iter().filter(|role| **role == "fin").count(), 2, "{tcp:?}");
    for joined in run.of("exchange-timing") {
        // The application sees what the wire has, and its own waking up.
        assert!(joined["host_ns"].as_i64().unwrap() > -2000, "{joined}");
        assert_eq!(joined["disagreement"], Value::Null, "{joined}");
    }
    let sums = run.events.last().unwrap();
    let [udp, tcp] = &sums["protocols"].as_array().unwrap()[..] else { panic!("{sums}") };
    assert_eq!((&udp["packets"], &udp["round_trips_to_first_reply"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&tcp["closed_by"], &tcp["round_trips_to_first_reply"]),
        (&json!({"connections": 1, "client": 1, "server": 0}), &json!(2))
    );
    assert_eq!(udp["wire_bytes"], 2 * (14 + 20 + 8 + 12));
    agree(&run);
}

#[test]
fn several_exchanges_over_ipv6_with_their_breakdown() {
    if !is_possible() {
        return;
    }
    let run = alone(
        "six",
        r#""$UDP" --listen '[::1]:7777' 2>/dev/null >udp.$$ & u=$!
           "$TCP" --listen '[::1]:7777' 2>/dev/null >tcp.$$ & t=$!
           until grep -q listening udp.$$ && grep -q listening tcp.$$; do :; done; rm udp.$$ tcp.$$
           "$CLIENT" trace '[::1]:7777' -c 3 --breakdown --format json -w "$FILE"
           kill $u $t"#,
    );
    assert_eq!(run.roles("udp"), ["request", "reply"].repeat(3));
    assert_eq!(run.of("exchange-timing").len(), 6);
    assert!(run.of("exchange-timing").iter().any(|joined| joined["breakdown"].is_object()));
    assert_eq!(run.of("packet")[0]["ip_bytes"], 40);
    agree(&run);
}

#[test]
fn refusals_and_resets() {
    if !is_possible() {
        return;
    }
    for (name, target) in [("refused", "127.0.0.1:9"), ("refused-six", "[::1]:9")] {
        let run = alone(name, &format!(r#""$CLIENT" trace '{target}' --format json -w "$FILE""#));
        assert_eq!(run.roles("udp"), ["request", "icmp-error"]);
        assert_eq!(run.roles("tcp"), ["syn", "rst"]);
        let joined = run.of("exchange-timing");
        assert!(joined.iter().all(|joined| joined["condition"] == "refused"), "{joined:?}");
        agree(&run);
    }
}

#[test]
fn a_lost_segment_is_sent_again() {
    if !is_possible() {
        return;
    }
    for server in SERVERS {
        let scenario = json!({"delay_ms": 2, "drop_segments": [2]});
        let Some(run) = across(server, "lost", scenario, &["-c", "3"]) else { return };
        let again = run.roles("tcp").iter().filter(|role| **role == "retransmission").count();
        assert!(again >= 1, "{:?}", run.roles("tcp"));
        agree(&run);
    }
}

#[test]
fn segments_that_overtake_each_other() {
    if !is_possible() {
        return;
    }
    for server in SERVERS {
        let scenario = json!({"delay_ms": 5, "late_segment": [2, 2]});
        let Some(run) = across(server, "late", scenario, &["-s", "6000"]) else { return };
        assert!(run.roles("tcp").contains(&"out-of-order"), "{:?}", run.roles("tcp"));
        agree(&run);
    }
}

#[test]
fn one_exchange_in_many_segments_is_one_and_connections_that_fail_are_shown() {
    if !is_possible() {
        return;
    }
    let run = alone(
        "long",
        r#""$TCP" --listen '127.0.0.1:7777' 2>/dev/null >tcp.$$ & t=$!
           until grep -q listening tcp.$$; do :; done; rm tcp.$$
           "$CLIENT" trace 'tcp://127.0.0.1:7777' -s 300000 -c 2 --format json -w "$FILE"
           kill $t"#,
    );
    let joined = run.of("exchange-timing");
    assert_eq!(joined.len(), 2, "{joined:?}");
    for one in &joined {
        // The request's writing is in both, and the reply's last byte is the end of both.
        assert!(one["host_ns"].as_i64().unwrap() > -2000, "{one}");
        let (wire, application) = (one["wire_rtt_ns"].as_u64(), one["rtt_ns"].as_u64());
        assert!(wire.unwrap() * 4 > application.unwrap(), "{one}");
    }
    std::fs::remove_file(&run.file).unwrap();
    let run = alone("none", r#""$CLIENT" trace 'tcp://127.0.0.1:9' -c 3 --format json"#);
    assert_eq!(run.roles("tcp"), ["syn", "rst"].repeat(3));
    let joined = run.of("exchange-timing");
    assert!(
        joined.len() == 3 && joined.iter().all(|one| one["wire_rtt_ns"].is_null()),
        "{joined:?}"
    );
}

#[test]
fn a_strangers_file_may_claim_any_time() {
    // A packet at the end of all time: 2^64 - 1 microseconds.
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
    let path = self::file("future");
    std::fs::write(&path, file).unwrap();
    for format in ["json", "text"] {
        let mut command = Command::new(CLIENT);
        let output = command.args(["trace", "--format", format, "-r"]).arg(&path).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && out.contains("request"), "{out}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn without_the_capability_it_says_what_it_takes() {
    // Whoever has no privileges here gets them only in a namespace; one that keeps this network gives none.
    let mut command = Command::new("unshare");
    let Ok(output) = command.args(["-Ur", CLIENT, "trace", "127.0.0.1:9"]).output() else { return };
    let err = String::from_utf8(output.stderr).unwrap();
    if !network::is_possible("true") {
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("CAP_NET_RAW") && err.contains("setcap"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
