//! Runs `rtt-client trace` with a server that attacks the capture. The trace must end normally, with bounded memory, and
//! must show the client's own exchange.
//!
//! The tests need network namespaces and Python 3. If one is missing, a test prints SKIPPED. If `REQUIRE_NETNS` is set,
//! the test fails instead.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The limit of the address space of the client, in KiB.
const MEMORY_KIB: u64 = 512 * 1024;

/// Traces one exchange with the server of `hostile_peer.py`. Returns the JSON events.
fn trace(kind: &str) -> Vec<Value> {
    let client = format!(
        "ulimit -v {MEMORY_KIB} && exec {} trace {kind}://127.0.0.1:7777 -W 60s --format json",
        env!("CARGO_BIN_EXE_rtt-client")
    );
    let script =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/network/hostile_peer.py");
    let Output { status, stdout, stderr } = Command::new("unshare")
        .args(["-Urn", "python3"])
        .arg(script)
        .args([kind, "sh", "-c", &client])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!((status.code(), &*stderr), (Some(0), ""));
    let stdout = String::from_utf8(stdout).unwrap();
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn forged_segments_do_not_change_the_exchange_of_a_trace() {
    if !network::is_possible("true") {
        return;
    }
    let events = trace("tcp");
    let events_of_type = |event_type: &str| {
        events.iter().filter(|event| event["type"] == event_type).collect::<Vec<_>>()
    };
    let [timing] = events_of_type("exchange-timing")[..] else { panic!("{events:?}") };
    assert!(timing["rtt_ns"].is_u64() && timing["wire_rtt_ns"].is_u64(), "{timing}");
    let packets = events_of_type("packet");
    let client = &packets[0]["client"];
    for packet in &packets {
        assert_eq!(&packet["client"], client, "{packet}");
        assert_eq!(packet["server"], "127.0.0.1:7777", "{packet}");
        if packet["role"] == "request" {
            assert_eq!(packet["direction"], "request", "{packet}");
        }
    }
    let totals = &events_of_type("trace")[0]["protocols"][0];
    assert_eq!((&totals["exchanges"], &totals["closed_by"]["connections"]), (&1.into(), &1.into()));
}

#[test]
fn trace_shows_its_exchange_during_a_flood_of_packets() {
    if !network::is_possible("true") {
        return;
    }
    let events = trace("udp");
    let timing = events.iter().find(|event| event["type"] == "exchange-timing").unwrap();
    assert!(timing["rtt_ns"].is_u64(), "{timing}");
    let totals = events.last().unwrap();
    // The server sends 150,000 datagrams. The capture stores at most 100,000 packets. The kernel can drop more packets
    // before that, because its buffer is full. So the capture does not always reach its limit.
    let dropped = totals["dropped"].as_u64().unwrap();
    assert!((50_000..=150_002).contains(&dropped), "{totals}");
}
