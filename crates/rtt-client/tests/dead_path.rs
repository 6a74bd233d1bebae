//! A series on a path that dies: the address of this host changes, a firewall drops the packets of one connection, or
//! all packets are lost for some time.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/dead_path.rs"]
mod dead_path;

use chrono::{DateTime, Utc};
use dead_path::{Run, run};
use serde_json::{Value, json};
use std::time::Duration;

/// The number of requests in a row without a reply after which the client tries another channel.
const MIN_SILENT: u64 = 2;

/// The targets and the addresses of the client, before and after the change.
const V4: [&str; 3] = ["10.9.0.2:7777", "10.9.0.1", "10.9.0.3"];
const V6: [&str; 3] = ["[fd09::2]:7777", "fd09::3", "fd09::1"];

/// The client has two addresses. After ten exchanges, the system removes the one that the client uses: over IPv4 the
/// first one, over IPv6 the last one.
fn moved_address([_, old, new]: [&str; 3]) -> Value {
    let is_v6 = old.contains(':');
    let (length, second) = if is_v6 { (64, old) } else { (24, new) };
    let before = format!(
        "on c sysctl -qw net.ipv4.conf.c0.promote_secondaries=1; ip -n c address add {second}/{length} dev c0"
    );
    let remove = format!("ip -n c address del {old}/{length} dev c0");
    json!({"before": before, "after": [10, remove]})
}

/// After ten exchanges, the server's firewall drops all packets of the open connection.
fn half_open() -> Value {
    let command =
        "port=$(on c ss -tnH state established); port=${port%:7777*}; port=${port##*10.9.0.1:}
        port=${port%% *}; rules s \"tcp sport $port drop\"";
    json!({"after": [10, command]})
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap()
}

/// Checks the counts, and that the client has replaced its channel once.
fn check(run: &Run, sent: u64, max_lost: u64, [reason, evidence]: [&str; 2]) {
    let summary = run.summary();
    let lost = count(summary, "lost");
    assert_eq!(
        (count(summary, "sent"), count(summary, "received")),
        (sent, sent - lost),
        "{summary}"
    );
    assert!(lost <= max_lost, "{summary}");
    let replacements = summary["replacements"].as_array().unwrap();
    assert_eq!(replacements.len(), 1, "{summary}");
    assert_eq!(replacements[0]["reason"], reason, "{summary}");
    assert_eq!(replacements[0]["evidence"], evidence, "{summary}");
    assert!(run.has_note("The client opened a new "), "{summary}");
}

#[test]
fn socket_is_replaced_after_a_change_of_the_source_address() {
    for protocol in ["udp", "icmp"] {
        for family @ [target, old, new] in [V4, V6] {
            let arguments =
                [target.trim_end_matches(":7777"), "-c", "30", "-i", "50ms", "-W", "300ms"];
            let target = if protocol == "icmp" { arguments[0] } else { target };
            let arguments = [&[target], &arguments[1..]].concat();
            let Some(run) = run(&moved_address(family), protocol, &arguments) else { return };
            // Over IPv6, the kernel sends packets with an address that this host does not have any more.
            let reason = if old.contains(':') { "no-reply" } else { "not-sent" };
            check(&run, 30, MIN_SILENT, [reason, "other-source-address"]);
            let replacement = &run.summary()["replacements"][0];
            assert_eq!(replacement["old_source"], old, "{replacement}");
            assert_eq!(replacement["new_source"], new, "{replacement}");
        }
    }
}

#[test]
fn connection_is_replaced_after_a_change_of_the_source_address() {
    for family @ [target, old, new] in [V4, V6] {
        let arguments = [target, "-c", "30", "-i", "50ms", "-W", "300ms"];
        let Some(run) = run(&moved_address(family), "tcp", &arguments) else { return };
        check(&run, 30, MIN_SILENT, ["no-reply", "connection-established"]);
        let replacement = &run.summary()["replacements"][0];
        assert_eq!(replacement["old_source"], old, "{replacement}");
        assert_eq!(replacement["new_source"], new, "{replacement}");
    }
}

#[test]
fn address_that_the_user_has_chosen_is_not_replaced() {
    let arguments = [V4[0], "-c", "30", "-i", "20ms", "-B", V4[1]];
    let Some(run) = run(&moved_address(V4), "udp", &arguments) else { return };
    let summary = run.summary();
    assert_eq!(count(summary, "sent"), 30, "{summary}");
    assert!(count(summary, "lost") >= 15, "{summary}");
    assert!(summary.get("replacements").is_none(), "{summary}");
}

#[test]
fn half_open_connection_is_replaced() {
    let arguments = [V4[0], "-W", "300ms", "-c", "60", "-i", "20ms"];
    let Some(run) = run(&half_open(), "tcp", &arguments) else { return };
    check(&run, 60, MIN_SILENT, ["no-reply", "connection-established"]);
    assert_eq!(run.events("connection").len(), 2);
    // The request in flight is sent again, and its RTT contains the wait.
    assert!(count(run.summary(), "resent") <= 1, "{}", run.summary());
}

#[test]
fn half_open_connection_is_replaced_at_a_fixed_rate() {
    let arguments = [V4[0], "-W", "300ms", "-c", "100", "--rate", "50"];
    let Some(run) = run(&half_open(), "tcp", &arguments) else { return };
    // The timeouts of further requests expire while the client opens the new connection.
    check(&run, 100, MIN_SILENT + 3, ["no-reply", "connection-established"]);
    // Within the timeout, the client has sent about 15 requests.
    assert!((8..=16).contains(&count(run.summary(), "resent")), "{}", run.summary());
}

#[test]
fn client_recovers_soon_after_an_outage() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    const INTERVAL: Duration = Duration::from_millis(100);
    // TCP alone would try again 3.0 and 6.2 s after the start of the outage.
    let scenario = json!({"after": [5, "rules s 'tcp dport 7777 drop'; sleep 4; rules s"]});
    let arguments = [V4[0], "-W", "300ms", "-i", "100ms", "-c", "40"];
    let Some(run) = run(&scenario, "tcp", &arguments) else { return };
    let summary = run.summary();
    assert_eq!(summary["replacements"].as_array().unwrap().len(), 1, "{summary}");
    let time = |time: &Value| {
        std::time::SystemTime::from(time.as_str().unwrap().parse::<DateTime<Utc>>().unwrap())
    };
    let changed = run.changed.unwrap();
    let replies = run.events("exchange").into_iter().filter(|event| event["outcome"] == "reply");
    let first = replies.map(|event| time(&event["received"])).find(|received| *received > changed);
    let outage = first.unwrap().duration_since(changed).unwrap();
    assert!(outage <= TIMEOUT + INTERVAL + Duration::from_millis(100), "{outage:?} {summary}");
    // The firewall drops packets for 4 s, and no error is reported.
    let outages = summary["outages"].as_array().unwrap();
    assert_eq!(outages.len(), 1, "{summary}");
    assert_eq!(outages[0]["conditions"], json!(["silent"]));
    assert_eq!(outages[0]["requests"], summary["lost"]);
    let to = time(&outages[0]["to"]);
    assert!(to + INTERVAL >= changed && to <= changed + TIMEOUT + 2 * INTERVAL, "{summary}");
    let duration = Duration::from_nanos(count(&outages[0], "duration_ns"));
    let expected = Duration::from_secs(4);
    assert!(duration.abs_diff(expected) <= TIMEOUT + 2 * INTERVAL, "{duration:?} {summary}");
}

#[test]
fn series_with_keep_going_waits_for_a_host_that_drops_packets_at_the_start() {
    // The firewall is removed after ten exchanges. Until then, each attempt to connect lasts for the timeout.
    let rules = "rules s 'tcp dport 7777 drop'";
    let scenario = json!({"before": rules, "after": [10, "rules s"]});
    for pacing in [["-i", "100ms"], ["--rate", "10"]] {
        let arguments = [&[V4[0], "-W", "200ms", "-c", "40", "--keep-going"][..], &pacing].concat();
        let Some(run) = run(&scenario, "tcp", &arguments) else { return };
        let summary = run.summary();
        let lost = count(summary, "lost");
        assert_eq!((count(summary, "sent"), count(summary, "received")), (40, 40 - lost));
        assert!((10..=18).contains(&lost), "{summary}");
        let outages = summary["outages"].as_array().unwrap();
        assert_eq!(outages.len(), 1, "{summary}");
        assert_eq!(outages[0]["conditions"], json!(["silent"]), "{summary}");
        assert_eq!(count(&outages[0], "requests"), lost);
        if pacing[0] == "--rate" {
            // Only the first attempt could delay the schedule, and it is over when the schedule starts.
            assert!(count(&summary["lateness_ns"], "max") < 200_000_000, "{summary}");
        }
    }
}

#[test]
fn path_that_works_again_keeps_its_connection() {
    // During the attempts to open another connection, the server's host drops connection requests.
    let scenario = json!({"after": [5, "rules s 'tcp dport 7777 drop'; sleep 1; rules s 'tcp flags syn / syn,ack drop'"]});
    let arguments = [V4[0], "-W", "200ms", "-i", "50ms", "-c", "40"];
    let Some(run) = run(&scenario, "tcp", &arguments) else { return };
    let summary = run.summary();
    assert!(summary.get("replacements").is_none(), "{summary}");
    assert!(count(summary, "received") >= 20, "{summary}");
    assert_eq!(run.events("connection").len(), 1);
}
