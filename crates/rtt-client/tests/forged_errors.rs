//! Tests of forged ICMP errors about UDP requests. A forged error never decides the outcome of a request that has a reply,
//! and it never ends a series without further evidence. `tests/network/forged_errors.py` sends the errors.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;

use serde_json::Value;
use std::process::Command;

/// The events of a run and its exit status, over each version of IP. Empty if this machine does not allow namespaces.
fn runs(kind: &str, options: &[&str]) -> Vec<(Vec<Value>, Option<i32>)> {
    if !namespaces::is_possible("true") {
        return Vec::new();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/network/forged_errors.py");
    let run = |address: &str| {
        let output = Command::new("unshare")
            .args(["-Urn", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
            .args(["python3", script, kind, address, env!("CARGO_BIN_EXE_rtt-client")])
            .args(options)
            .args(["--format", "json"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (events.collect(), output.status.code())
    };
    ["127.0.0.1", "::1"].map(run).into()
}

/// The counts in the summary.
#[track_caller]
fn assert_counts(events: &[Value], expected: &[(&str, u64)]) {
    let summary = events.last().unwrap();
    for (name, count) in expected {
        assert_eq!(summary[name], *count, "{name} in {summary}");
    }
}

#[test]
fn reply_counts_after_a_forged_port_unreachable() {
    for (kind, refuted_errors, unmatched) in [("short", 20, 0), ("false", 0, 20)] {
        for (events, status) in runs(kind, &["-c", "20", "-i", "0"]) {
            let counts = [("sent", 20), ("received", 20), ("lost", 0)];
            assert_counts(&events, &counts);
            assert_counts(&events, &[("refuted_errors", refuted_errors), ("unmatched", unmatched)]);
            assert_eq!(status, Some(0), "{kind}");
        }
    }
}

#[test]
fn reply_counts_soon_after_an_error_that_quotes_the_token() {
    for (events, _) in runs("complete", &["-c", "20", "-i", "0"]) {
        let summary = events.last().unwrap();
        let [received, refuted] = ["received", "refuted_errors"].map(|name| summary[name].as_u64());
        assert_eq!(summary["sent"], 20, "{summary}");
        // The client waits for at least 10 ms after such an error. On a busy machine, a few replies can be later.
        assert!(received >= Some(10) && refuted >= Some(9), "{summary}");
    }
}

#[test]
fn many_forged_errors_do_not_prevent_the_requests() {
    for kind in ["short many", "false many"] {
        for options in [&["-c", "20", "-i", "0"][..], &["-c", "100", "--rate", "200"]] {
            for (events, status) in runs(kind, options) {
                let count = options[1].parse().unwrap();
                assert_counts(&events, &[("sent", count), ("received", count), ("lost", 0)]);
                assert_eq!(status, Some(0), "{kind}");
            }
        }
    }
}

#[test]
fn series_ends_after_two_requests_if_both_have_an_unverified_error_and_no_reply() {
    for (events, status) in runs("short silent", &["-c", "50", "-i", "0", "-W", "2s"]) {
        assert_counts(&events, &[("sent", 2), ("lost", 2), ("unmatched", 0)]);
        for exchange in events.iter().filter(|event| event["type"] == "exchange") {
            assert_eq!(exchange["outcome"], "error", "{exchange}");
            assert_eq!(exchange["condition"], "refused", "{exchange}");
        }
        assert_eq!(status, Some(1));
    }
}

#[test]
fn error_with_a_false_token_is_no_evidence() {
    for (events, status) in runs("false silent", &["-c", "3", "-i", "0", "-W", "1s"]) {
        assert_counts(&events, &[("sent", 3), ("lost", 3), ("unmatched", 3)]);
        for exchange in events.iter().filter(|event| event["type"] == "exchange") {
            assert_eq!(exchange["condition"], "silent", "{exchange}");
        }
        assert_eq!(status, Some(1));
    }
}

#[test]
fn error_that_quotes_the_token_ends_the_series_after_one_request() {
    for (events, status) in runs("complete silent", &["-c", "50", "-i", "0", "-W", "10s"]) {
        assert_counts(&events, &[("sent", 1), ("lost", 1)]);
        let duration = events.last().unwrap()["duration_ns"].as_u64().unwrap();
        // The wait after the error takes 10 ms. A busy machine can take longer, but it does not wait for the timeout.
        assert!(duration < 5_000_000_000, "{duration} ns");
        assert_eq!(status, Some(1));
    }
}

#[test]
fn diagnosis_uses_an_unverified_error_only_without_a_reply() {
    for (events, status) in runs("short diagnose", &["-W", "10s"]) {
        assert_eq!(events[0]["condition"], "answering", "{events:?}");
        assert_eq!(status, Some(0));
    }
    for (events, status) in runs("short silent diagnose", &["-W", "3s"]) {
        assert_eq!(events[0]["condition"], "refused", "{events:?}");
        assert_eq!(events[0]["sent"], 3, "the client sends further requests: {events:?}");
        assert_eq!(status, Some(1));
    }
}
