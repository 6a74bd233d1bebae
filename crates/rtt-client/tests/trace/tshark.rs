//! Compares the packets of a trace with the output of `tshark` for the capture file of the trace.

use super::{CLIENT, TraceRun, parse_events};
use chrono::DateTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// The fields of a packet according to tshark: name -> value.
pub type TsharkPacket = BTreeMap<&'static str, String>;

/// The packets of a file according to tshark: number -> packet.
fn tshark_packets(file: &Path) -> BTreeMap<u64, TsharkPacket> {
    const FIELDS: [&str; 19] = [
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
        "data.len",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields", "-E", "occurrence=f", "-E", "separator=|"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let stdout = String::from_utf8(stdout).unwrap();
    let packets = stdout.lines().map(|line| {
        let fields = FIELDS.into_iter().zip(line.split('|').map(str::to_owned));
        let fields: TsharkPacket = fields.collect();
        (fields["frame.number"].parse().unwrap(), fields)
    });
    packets.collect()
}

/// Checks that the trace and tshark show the same packets and RTTs. Also checks that `trace -r` can read the capture
/// file. Deletes the file.
pub fn assert_tshark_agrees(run: &TraceRun) {
    let tshark = tshark_packets(&run.file);
    let packets = run.events_of_type("packet");
    assert!(!packets.is_empty());
    for packet in &packets {
        assert_same_packet(packet, &tshark[&packet["number"].as_u64().unwrap()]);
    }
    for timing in run.events_of_type("exchange-timing") {
        assert_eq!(
            timing["wire_rtt_ns"].as_i64(),
            wire_rtt_ns(timing, &packets, &tshark),
            "{timing}"
        );
    }
    let summary = run.events.last().unwrap();
    assert_eq!((&summary["type"], &summary["dropped"]), (&json!("trace"), &json!(0)), "{summary}");
    assert_file_is_read_back(run, &packets);
    std::fs::remove_file(&run.file).unwrap();
}

/// The packets of a trace, each with its fields according to tshark.
pub fn packets_with_tshark(run: &TraceRun) -> Vec<(&Value, TsharkPacket)> {
    let mut tshark = tshark_packets(&run.file);
    let packets = run.events_of_type("packet").into_iter();
    packets
        .map(|packet| (packet, tshark.remove(&packet["number"].as_u64().unwrap()).unwrap()))
        .collect()
}

/// Checks that tshark shows the same packet.
pub fn assert_same_packet(packet: &Value, tshark: &TsharkPacket) {
    let both = format!("{packet}\n{tshark:?}");
    assert_eq!(packet["wire_bytes"].to_string(), tshark["frame.len"], "{both}");
    let (seconds, fraction) = tshark["frame.time_epoch"].split_once('.').unwrap();
    let tshark_time: i64 = format!("{seconds}{fraction}").parse().unwrap();
    assert_eq!(time_ns(packet), tshark_time, "{both}");
    let role = packet["role"].as_str().unwrap();
    assert_eq!(role, tshark_role(packet, tshark), "{both}");
    if role != "icmp-error" {
        let lengths = [("udp.length", 8), ("tcp.len", 0), ("data.len", 0)];
        let payload = lengths
            .iter()
            .find_map(|(field, header)| Some(tshark[field].parse::<u64>().ok()? - header));
        assert_eq!(packet["payload_bytes"].as_u64(), payload, "{both}");
        let port = [&tshark["udp.srcport"][..], &tshark["tcp.srcport"]].concat();
        let address = [&tshark["ip.src"][..], &tshark["ipv6.src"]].concat();
        let sender = if packet["direction"] == "request" { "client" } else { "server" };
        let sender = packet[sender].as_str().unwrap();
        // ICMP has no ports.
        let end = if port.is_empty() { address.clone() } else { format!(":{port}") };
        assert!(sender.ends_with(&end) && sender.contains(&address), "{both}");
    }
    let layers = ["link_bytes", "ip_bytes", "transport_bytes", "payload_bytes"];
    let sum: u64 = layers.iter().map(|layer| packet[layer].as_u64().unwrap()).sum();
    assert_eq!(packet["wire_bytes"], sum, "{both}");
    let title = packet["protocol"].as_str().unwrap().to_uppercase();
    let comment = format!("{title} {}", comment_label(role));
    assert!(tshark["frame.comment"].starts_with(&comment), "{both}");
}

/// The role of a packet according to tshark.
fn tshark_role(packet: &Value, tshark: &TsharkPacket) -> &'static str {
    let is_set = |field: &str| matches!(tshark[field].as_str(), "1" | "True");
    let exists = |field: &str| !tshark[field].is_empty();
    let data = if packet["direction"] == "request" { "request" } else { "reply" };
    let icmp_type = [&tshark["icmp.type"][..], &tshark["icmpv6.type"]].concat();
    if let "8" | "128" = &icmp_type[..] {
        "request"
    } else if let "0" | "129" = &icmp_type[..] {
        "reply"
    } else if !icmp_type.is_empty() {
        "icmp-error"
    } else if exists("udp.srcport") {
        data
    } else if is_set("tcp.flags.reset") {
        "rst"
    } else if exists("tcp.analysis.retransmission") {
        "retransmission"
    } else if exists("tcp.analysis.out_of_order") {
        "out-of-order"
    } else if is_set("tcp.flags.syn") && is_set("tcp.flags.ack") {
        "syn-ack"
    } else if is_set("tcp.flags.syn") {
        "syn"
    } else if tshark["tcp.len"] != "0" {
        data
    } else if is_set("tcp.flags.fin") {
        "fin"
    } else {
        "ack"
    }
}

/// The text for a role in the comments of a capture file.
fn comment_label(role: &str) -> &str {
    match role {
        "syn" => "SYN:",
        "syn-ack" => "SYN, ACK:",
        "ack" => "ACK",
        "fin" => "FIN:",
        "rst" => "RST",
        "icmp-error" => "ICMP error",
        "out-of-order" => "out of order",
        other => other,
    }
}

/// The time from the first request packet to the last reply packet of an exchange. Reply packets that tshark
/// marks as retransmissions are ignored.
fn wire_rtt_ns(
    timing: &Value,
    packets: &[&Value],
    tshark: &BTreeMap<u64, TsharkPacket>,
) -> Option<i64> {
    let times = |direction: &str| -> Vec<i64> {
        let packets = packets.iter().filter(|packet| {
            let number = packet["number"].as_u64().unwrap();
            packet["exchange"] == timing["exchange"]
                && packet["protocol"] == timing["protocol"]
                && packet["direction"] == direction
                && packet["payload_bytes"].as_u64().unwrap() > 0
                && packet["role"] != "icmp-error"
                && (direction == "request"
                    || tshark[&number]["tcp.analysis.retransmission"].is_empty())
        });
        packets.map(|packet| time_ns(packet)).collect()
    };
    Some(times("reply").last()? - times("request").first()?)
}

/// The time of a packet in nanoseconds since 1970.
pub fn time_ns(packet: &Value) -> i64 {
    let time = DateTime::parse_from_rfc3339(packet["time"].as_str().unwrap()).unwrap();
    time.timestamp_nanos_opt().unwrap()
}

fn assert_file_is_read_back(run: &TraceRun, packets: &[&Value]) {
    let mut command = Command::new(CLIENT);
    command.args(["trace", "--format", "json", "-r"]).arg(&run.file);
    let events = parse_events(&String::from_utf8(command.output().unwrap().stdout).unwrap());
    let read: Vec<&Value> = events.iter().filter(|event| event["type"] == "packet").collect();
    assert_eq!(read.len(), packets.len());
    for (read, packet) in read.iter().zip(packets) {
        for field in ["number", "time", "role", "wire_bytes", "direction", "client", "server"] {
            assert_eq!(read[field], packet[field], "{field} of {packet}");
        }
    }
}
