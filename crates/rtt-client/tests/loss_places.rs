//! Tests of the places of losses. The lab loses a known number of exchanges in each place. The kernel, the forwarder and
//! the server count them.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use network::server;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// The size of a receive buffer for about 50 datagrams of 200 bytes, in bytes.
const SMALL_BUFFER: u32 = 32_768;

/// A smaller number of losses in a place would be no test of this place.
const MIN_LOSSES: u64 = 20;

/// The environment variable with the number of runs. Without it, the test runs once.
const RUNS: &str = "LOSS_PLACES_RUNS";

/// The result of a series in the lab.
struct LabResult {
    /// The summary of the client.
    summary: Value,
    /// The number of losses in each place, from the counters of the lab.
    known: BTreeMap<String, u64>,
    /// The number of requests that the server answered.
    answered: u64,
    /// The number of datagrams that each rule of the forwarder changed.
    injected: Value,
}

impl LabResult {
    /// The number of losses in each place, as the client reports it. Each place of `known` has an entry.
    fn reported(&self) -> BTreeMap<String, u64> {
        let mut reported: BTreeMap<String, u64> =
            self.known.keys().map(|place| (place.clone(), 0)).collect();
        let counts = self.summary["lost_where"].as_object();
        for (place, count) in counts.into_iter().flatten() {
            reported.insert(place.clone(), count.as_u64().unwrap());
        }
        reported
    }
}

/// Runs a series with 1000 requests per second. Returns `None` if this machine does not allow the lab.
fn run_series(
    mut scenario: Value,
    server_options: &[&str],
    arguments: &[&str],
) -> Option<LabResult> {
    let program = server("udp");
    let command = [program.to_str().unwrap(), "--listen", "10.77.0.2:7777", "--log-format", "json"];
    scenario["server"] = json!([&command, server_options].concat());
    let command = [CLIENT, "udp", "10.77.0.2:7777", "--rate", "1000", "-q", "--format", "json"];
    let result = network::run_with_losses(&scenario, &[&command, arguments].concat())?;
    assert_eq!(result["injected"]["overflowed"], 0, "the machine is too slow for the forwarder");
    let summary = result["out"].as_str().unwrap().lines().last();
    let summary = summary.unwrap_or_else(|| panic!("no output: {result}"));
    Some(LabResult {
        summary: serde_json::from_str(summary).unwrap(),
        known: serde_json::from_value(result["lost"].clone()).unwrap(),
        answered: result["server_totals"]["answered"].as_u64().unwrap(),
        injected: result["injected"].clone(),
    })
}

#[test]
fn losses_in_six_places_are_reported_at_their_places() {
    let runs = std::env::var(RUNS).map_or(1, |runs| runs.parse().unwrap());
    for _ in 0..runs {
        // Each place has its own range of requests. A range is at least 100 ms long.
        let scenario = json!({
            "delay_ms": 1,
            "drop": [3, 0, 1000, 1299],
            "drop_replies": [4, 1, 2300, 2599],
            // These replies arrive while the client is stopped.
            "delay_replies": [200, 2900, 3299],
            "actions": [
                ["full-send-queue", 500, 150, null],
                ["stop-server", 1600, 250, SMALL_BUFFER],
                ["stop-client", 3300, 150, SMALL_BUFFER],
                ["flood", 4000, 150, 4000],
            ],
        });
        let arguments = ["-c", "5200", "-W", "1s", "-s", "200"];
        let Some(lab) = run_series(scenario, &["--rate", "1500"], &arguments) else { return };
        eprintln!("known losses: {:?}", lab.known);
        assert_eq!(lab.known.len(), 6);
        for (place, losses) in &lab.known {
            assert!(*losses >= MIN_LOSSES, "only {losses} losses in {place}");
        }
        assert_eq!(lab.summary["lost"], lab.known.values().sum::<u64>(), "{}", lab.summary);
        assert_eq!(lab.reported(), lab.known, "{}", lab.summary);
    }
}

#[test]
fn replies_that_arrive_together_are_not_lost_in_the_network() {
    // The server receives the requests of one second while it is stopped, and then answers all of them at once.
    let scenario = json!({"actions": [["stop-server", 1500, 1000, null]]});
    let arguments = ["-c", "4000", "-W", "3s"];
    let Some(lab) = run_series(scenario, &[], &arguments) else { return };
    assert_eq!(lab.answered, 4000);
    // If the limit of this system is too small for the requested buffer, the client's kernel drops replies.
    eprintln!("known losses: {:?}", lab.known);
    assert_eq!(lab.summary["lost"], lab.known["receive-queue"], "{}", lab.summary);
    assert_eq!(lab.reported(), lab.known, "{}", lab.summary);
}

#[test]
fn requests_that_the_server_refuses_are_lost_at_its_limit() {
    let arguments = ["-c", "3000", "-W", "500ms"];
    let Some(lab) = run_series(json!({}), &["--rate", "400"], &arguments) else { return };
    let refused = lab.known["server-limit"];
    assert!(refused > 1000, "{:?}", lab.known);
    assert_eq!(lab.summary["lost"], refused, "{}", lab.summary);
    let reported = lab.reported();
    // After the last reply, there is no evidence. With this limit, the server answers two of five requests.
    let unknown = reported.get("unknown").copied().unwrap_or(0);
    assert!(unknown <= 3, "{}", lab.summary);
    assert_eq!(reported["server-limit"] + unknown, refused, "{}", lab.summary);
    assert_eq!(lab.summary["refused"]["rate"], reported["server-limit"], "{}", lab.summary);
}

#[test]
fn requests_that_the_network_duplicates_do_not_change_the_places() {
    let scenario = json!({
        "delay_ms": 1,
        "double_requests": [7, 3],
        "double": [11, 5],
        "drop": [5, 0, 300, 1200],
        "drop_replies": [4, 1, 800, 1700],
    });
    let arguments = ["-c", "2000", "-W", "500ms"];
    let Some(lab) = run_series(scenario, &[], &arguments) else { return };
    assert!(lab.injected["doubled_requests"].as_u64().unwrap() > 200, "{}", lab.injected);
    // The forwarder drops both replies to a request that it has duplicated. This is one lost exchange.
    let is_dropped = |number: u64| number.is_multiple_of(5) && (300..=1200).contains(&number);
    let is_lost_back =
        |number: u64| number % 4 == 1 && (800..=1700).contains(&number) && !is_dropped(number);
    let numbers = 1..=2000_u64;
    let there =
        u64::try_from(numbers.clone().filter(|number| is_dropped(*number)).count()).unwrap();
    let back = u64::try_from(numbers.filter(|number| is_lost_back(*number)).count()).unwrap();
    assert_eq!(lab.summary["lost_where"], json!({"there": there, "back": back}), "{}", lab.summary);
}

#[test]
fn server_that_starts_again_does_not_change_the_places() {
    let scenario = json!({
        "drop": [3, 0, 200, 499],
        "drop_replies": [4, 1, 1800, 2099],
        "actions": [["restart-server", 900, 200, null]],
    });
    let arguments = ["-c", "2500", "-W", "500ms"];
    let Some(lab) = run_series(scenario, &[], &arguments) else { return };
    let lost = lab.summary["lost"].as_u64().unwrap();
    let (there, back) = (lab.known["there"], lab.known["back"]);
    let unknown = lost - there - back;
    assert!(unknown > 50, "the server was not absent: {}", lab.summary);
    let expected = json!({"there": there, "back": back, "unknown": unknown});
    assert_eq!(lab.summary["lost_where"], expected, "{}", lab.summary);
}

#[test]
fn losses_over_ipv6_have_the_same_places() {
    let program = server("udp");
    let scenario = json!({
        "server": [program.to_str().unwrap(), "--listen", "[fd77::2]:7777"],
        "drop": [3, 0, 100, 399],
        "drop_replies": [4, 1, 500, 799],
    });
    let command = [CLIENT, "udp", "[fd77::2]:7777", "--rate", "1000", "-c", "1000", "-W", "500ms"];
    let command = [&command[..], &["-q", "--format", "json"]].concat();
    let Some(result) = network::run(&scenario, &command) else { return };
    let summary = result["out"].as_str().unwrap().lines().last().unwrap();
    let summary: Value = serde_json::from_str(summary).unwrap();
    let injected = &result["injected"];
    let expected = json!({"there": injected["dropped"], "back": injected["dropped_replies"]});
    assert_eq!(summary["lost_where"], expected, "{summary}");
    assert_eq!(expected, json!({"there": 100, "back": 75}));
}

/// Runs two clients at the same time, and stops the server meanwhile. Its receive queue drops requests of both clients.
/// Returns the number of dropped requests and both summaries.
fn run_two_series(mut scenario: Value, file: &str) -> Option<(u64, [Value; 2])> {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    let client =
        format!("{CLIENT} udp 10.77.0.2:7777 --rate 500 -c 1500 -W 1s -s 200 -q --format json");
    let command = format!("{client} > {} & {client}; wait", file.display());
    let program = server("udp");
    scenario["server"] =
        json!([program.to_str().unwrap(), "--listen", "10.77.0.2:7777", "--log-format", "json"]);
    scenario["actions"] = json!([["stop-server", 500, 250, SMALL_BUFFER]]);
    let result = network::run_with_losses(&scenario, &["sh", "-c", &command])?;
    let dropped = result["lost"]["server-queue"].as_u64().unwrap();
    assert!(dropped >= MIN_LOSSES, "{result}");
    let first = std::fs::read_to_string(file).unwrap();
    let summaries = [result["out"].as_str().unwrap(), &first]
        .map(|output| serde_json::from_str(output.lines().last().unwrap()).unwrap());
    Some((dropped, summaries))
}

#[test]
fn clients_that_share_the_queue_of_a_server_report_ranges() {
    let Some((dropped, summaries)) = run_two_series(json!({}), "shared.jsonl") else { return };
    let mut lost = 0;
    for summary in summaries {
        // Each client lost fewer requests than the queue dropped. So the others can be requests of the other client.
        let own = summary["lost"].as_u64().unwrap();
        assert!(own > 0 && own < dropped, "{dropped} dropped: {summary}");
        assert_eq!(summary["lost_where"], json!({"unknown": own}), "{summary}");
        let range = json!({"low": 0, "high": own});
        assert_eq!(summary["lost_where_range"], json!({"there": range, "server-queue": range}));
        lost += own;
    }
    assert_eq!(lost, dropped);
}

#[test]
fn drops_of_another_client_do_not_hide_losses_on_the_way() {
    // Each client loses 150 requests on the way there, and about half of those that the queue drops.
    let scenario = json!({"drop": [2, 0, 900, 1199]});
    let Some((dropped, summaries)) = run_two_series(scenario, "hidden.jsonl") else { return };
    for summary in summaries {
        let own = summary["lost"].as_u64().unwrap() - 150;
        assert!(own > 0 && own < dropped, "{dropped} dropped: {summary}");
        let count = |place: &str| summary["lost_where"][place].as_u64().unwrap_or(0);
        assert!(count("server-queue") <= own, "{own} in the queue: {summary}");
        assert!(count("there") <= 150, "{summary}");
        for (place, exact) in [("server-queue", own), ("there", 150)] {
            let range = &summary["lost_where_range"][place];
            let limit = |name: &str| range[name].as_u64().unwrap_or_else(|| panic!("{summary}"));
            assert!((limit("low")..=limit("high")).contains(&exact), "{place} {exact}: {summary}");
        }
    }
}

#[test]
fn reordered_requests_are_not_lost_on_the_way_there() {
    // Up to 150 requests overtake a request.
    let scenario = json!({"vary_requests": [7919, 150_001], "drop_replies": [4, 1]});
    let arguments = ["-c", "2000", "-W", "1s"];
    let Some(lab) = run_series(scenario, &[], &arguments) else { return };
    assert_eq!(lab.summary["lost"], 500, "{}", lab.summary);
    let places = lab.summary["lost_where"].as_object().unwrap();
    assert!(places.keys().all(|place| place == "back" || place == "unknown"), "{}", lab.summary);
}

#[test]
fn corrupted_datagrams_are_not_lost_in_a_receive_queue() {
    // The kernel counts a datagram with a wrong checksum as a drop of the socket.
    let scenario = json!({"corrupt_requests": [10, 3], "corrupt_replies": [10, 7]});
    let arguments = ["-c", "1000", "-W", "500ms"];
    let Some(lab) = run_series(scenario, &[], &arguments) else { return };
    assert_eq!(lab.summary["lost"], 200, "{}", lab.summary);
    let places = lab.summary["lost_where"].as_object().unwrap();
    let is_possible = |place: &String| ["there", "back", "unknown"].contains(&place.as_str());
    assert!(places.keys().all(is_possible), "{}", lab.summary);
}

#[test]
fn duplicate_of_a_refused_request_does_not_discard_the_evidence() {
    let scenario = json!({"double_requests": [2, 0]});
    let arguments = ["-c", "2000", "-W", "500ms"];
    let Some(lab) = run_series(scenario, &["--rate", "700"], &arguments) else { return };
    let lost = lab.summary["lost"].as_u64().unwrap();
    let reported = lab.reported();
    assert!(lost > 100, "{}", lab.summary);
    // After the last reply, there is no evidence.
    assert!(reported["server-limit"] + 3 >= lost, "{}", lab.summary);
}

#[test]
fn high_rate_on_one_host_loses_nothing_in_the_network() {
    let mut server = Command::new(server("udp"))
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().last().unwrap();
    let arguments =
        ["udp", address, "--rate", "100000", "--duration", "3", "-q", "--format", "json"];
    let output = Command::new(CLIENT).args(arguments).output();
    server.kill().unwrap();
    server.wait().unwrap();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let summary: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let places = summary["lost_where"].as_object().unwrap_or_else(|| panic!("{output}"));
    assert!(!places.contains_key("there") && !places.contains_key("back"), "{summary}");
    let sum: u64 = places.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(summary["lost"], sum, "{summary}");
}
