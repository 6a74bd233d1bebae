//! The first packet waits for the address resolution, because the server's host answers it late.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/dead_path.rs"]
mod dead_path;

use dead_path::{Run, run, run_with_text};
use serde_json::{Value, json};

const V4: &str = "10.9.0.2";
const V6: &str = "fd09::2";

/// The server's host answers the address resolution from this time on, in seconds after the start of the client.
const ANSWERED_AFTER_S: f64 = 0.4;

/// The client needs a part of this time to start.
const MIN_WAIT_NS: u64 = 200_000_000;

/// The client's host does not have the server's link address, and requests it every 50 ms.
fn late_answer(target: &str) -> Value {
    let (version, ignore, answer) = if target == V6 {
        (6, "rules s 'icmpv6 type nd-neighbor-solicit drop'", "rules s")
    } else {
        let [ignore, answer] = [
            "on s sysctl -qw net.ipv4.conf.s0.arp_ignore=8",
            "on s sysctl -qw net.ipv4.conf.s0.arp_ignore=0",
        ];
        (4, ignore, answer)
    };
    let before = format!(
        "on c sysctl -qw net.ipv{version}.neigh.c0.retrans_time_ms=50 net.ipv{version}.neigh.c0.mcast_solicit=100
         {ignore}
         ip -{version} -n c neigh flush dev c0"
    );
    json!({"before": before, "at": [ANSWERED_AFTER_S, answer]})
}

fn nanoseconds(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

fn check_next_hop(run: &Run, next_hop: &str) {
    let summary = run.summary();
    assert_eq!(summary["lost"], 0, "{summary}");
    assert_eq!(summary["address_resolution"]["next_hop"], next_hop, "{summary}");
    let text = format!("for the address resolution of the next hop {next_hop} (");
    assert!(run.has_note(&text), "{summary}");
}

#[test]
fn wait_for_the_address_resolution_is_measured_with_kernel_timestamps() {
    for next_hop in [V4, V6] {
        for (protocol, target) in
            [("udp", format!("[{next_hop}]:7777")), ("icmp", next_hop.to_owned())]
        {
            let target = if next_hop == V4 { target.replace(['[', ']'], "") } else { target };
            let arguments = [&target, "-c", "10", "-i", "10ms", "-W", "5", "--breakdown"];
            let Some(run) = run(&late_answer(next_hop), protocol, &arguments) else { return };
            check_next_hop(&run, next_hop);
            let first = run.events("exchange")[0];
            let wait = nanoseconds(&run.summary()["address_resolution"]["wait_ns"]);
            let rtt = nanoseconds(&first["rtt_ns"]);
            assert!((MIN_WAIT_NS..=rtt).contains(&wait), "{first}");
            // The kernel can interrupt the program between two clock readings. Then the exchange has no breakdown.
            assert!(first.get("breakdown").is_none_or(|parts| parts["send_ns"] == wait), "{first}");
            // The path has no delay.
            assert!(rtt - wait < 100_000_000, "{first}");
        }
    }
}

#[test]
fn wait_for_the_address_resolution_is_reported_without_a_number_if_it_was_not_measured() {
    for next_hop in [V4, V6] {
        let target = if next_hop == V4 { format!("{V4}:7777") } else { format!("[{V6}]:7777") };
        for protocol in ["udp", "tcp"] {
            let arguments = [&target, "-c", "10", "-i", "10ms", "-W", "5"];
            let Some(run) = run(&late_answer(next_hop), protocol, &arguments) else { return };
            check_next_hop(&run, next_hop);
            assert!(run.summary()["address_resolution"].get("wait_ns").is_none());
            assert!(run.has_note("contains this time (median RTT: "), "{}", run.summary());
        }
    }
}

#[test]
fn text_of_one_message_contains_the_address_resolution() {
    let arguments = ["10.9.0.2:7777", "-W", "5", "hello"];
    let Some(out) = run_with_text(&late_answer(V4), "udp", &arguments) else { return };
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let note =
        "The first request waited for the address resolution of the next hop 10.9.0.2 (ARP).";
    assert!(out.contains(note), "{out}");
}

#[test]
fn known_address_has_no_note() {
    for (target, protocol) in
        [("10.9.0.2:7777", "udp"), ("[fd09::2]:7777", "tcp"), ("10.9.0.1", "icmp")]
    {
        let Some(run) = run(&json!({}), protocol, &[target, "-c", "3", "-i", "0"]) else { return };
        let summary = run.summary();
        assert_eq!(summary["received"], 3, "{summary}");
        assert!(summary.get("address_resolution").is_none(), "{summary}");
    }
}
