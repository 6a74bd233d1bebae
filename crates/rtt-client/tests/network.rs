//! The client across a path that delays, loses, doubles and reorders: namespaces, a forwarder, and a
//! capture to hold the figures against.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use network::server;
use serde_json::{Value, json};

const CLIENT: &str = env!("CARGO_BIN_EXE_rtt-client");

/// What a run in the lab came to.
struct Lab {
    summary: Value,
    injected: Value,
    captured: Vec<u64>,
}

/// Runs a series against one of our servers across the lab's path; nothing, if there can be no lab.
fn lab(protocol: &str, mut scenario: Value, arguments: &[&str]) -> Option<Lab> {
    scenario["server"] = json!([server(protocol), "--listen", "10.77.0.2:7777"]);
    let command = [CLIENT, protocol, "10.77.0.2:7777", "-q", "--format", "json"];
    let result = network::run(&scenario, &[&command, arguments].concat())?;
    let summary = result["out"].as_str().unwrap().lines().last();
    let summary = summary.unwrap_or_else(|| panic!("no output: {result}"));
    let captured = result["captured_rtts_ns"].as_array().unwrap();
    Some(Lab {
        summary: serde_json::from_str(summary).unwrap(),
        injected: result["injected"].clone(),
        captured: captured.iter().map(|rtt| rtt.as_u64().unwrap()).collect(),
    })
}

#[test]
fn the_median_is_that_of_a_capture_and_the_rest_is_explained() {
    let arguments = ["-c", "300", "-i", "0", "--spin", "--breakdown"];
    let Some(lab) = lab("udp", json!({"delay_ms": 5}), &arguments) else { return };
    let mut captured = lab.captured;
    captured.sort_unstable();
    assert_eq!((captured.len(), &lab.summary["received"]), (300, &json!(300)));
    let of_capture = captured[captured.len() / 2];
    assert!(of_capture >= 10_000_000, "5 ms each way: {of_capture}");
    let of_client = lab.summary["rtt_ns"]["p50"].as_u64().unwrap();
    let part = |name: &str| lab.summary["breakdown"][name].as_u64().unwrap_or(0);
    let between = part("network_ns") + part("server_ns") + part("network_and_server_ns");
    let own = part("send_ns") + part("receive_ns");
    eprintln!(
        "p50 of {} exchanges: capture {of_capture} ns, client {of_client} ns, of which its own \
         sending and waking up {own} ns",
        captured.len()
    );
    // Between the two stamps of this host's kernel lies what a capture here sees.
    assert!(between.abs_diff(of_capture) <= of_capture / 100, "{between} against {of_capture}");
    // What an application sees beyond that is its own host's work, and the breakdown names it: on an
    // idle machine less than 1 %, on a busy one what it takes.
    assert!(of_client >= of_capture, "{of_client} < {of_capture}");
    assert!(of_client - of_capture <= own + of_capture / 100, "{of_client} against {of_capture}");
}

#[test]
fn what_was_injected_is_what_is_counted() {
    const COUNT: u64 = 200;
    let drops = |number| number % 10 == 0;
    let doubles = |number| number % 7 == 0;
    let holds = |number| number % 50 == 25;
    let overtaken = |number| number % 11 == 0 && !holds(number);
    let scenario = json!({
        "delay_ms": 5,
        "drop": [10, 0],
        "double": [7, 0],
        // Past four successors, at 20 ms from one to the next: a machine that stands still for a while
        // does not change their order.
        "overtake": [11, 0, 90],
        // Past the time-out.
        "hold": [50, 25, 600],
    });
    let arguments = ["-c", "200", "--rate", "50", "-W", "400ms"];
    let Some(lab) = lab("udp", scenario, &arguments) else { return };
    let count = |rule: &dyn Fn(u64) -> bool| (1..=COUNT).filter(|number| rule(*number)).count();
    let lost = count(&|number| drops(number) || holds(number));
    assert_eq!(lab.injected["dropped"], count(&drops));
    for (name, expected) in [
        ("sent", 200),
        ("received", 200 - lost),
        ("lost", lost),
        ("late", count(&|number| holds(number) && !drops(number))),
        ("duplicates", count(&|number| doubles(number) && !drops(number))),
        ("out_of_order", count(&|number| overtaken(number) && !drops(number))),
        ("corrupt", 0),
        ("unmatched", 0),
    ] {
        assert_eq!(lab.summary[name], expected, "{name} in {}", lab.summary);
    }
}

#[test]
fn lost_segments_show_up_as_retransmissions() {
    let scenario = json!({"delay_ms": 5, "drop_segments": [5, 20, 33]});
    let Some(lab) = lab("tcp", scenario, &["-c", "50", "-i", "0"]) else { return };
    let count = |name: &str| lab.summary[name].as_u64().unwrap();
    assert_eq!((count("sent"), count("received"), count("lost")), (50, 50, 0));
    assert_eq!(lab.injected["dropped"], 3);
    let retransmitted = &lab.summary["tcp_info"]["retransmissions"];
    assert_eq!(retransmitted, &lab.injected["retransmitted"], "{}", lab.summary);
    assert!(retransmitted.as_u64().unwrap() >= 3);
    // Each cost a retransmission time-out or a probe; the others did not.
    assert!(lab.summary["rtt_ns"]["max"].as_u64().unwrap() > 15_000_000);
    assert!(lab.summary["rtt_ns"]["p50"].as_u64().unwrap() < 15_000_000);
}

#[test]
fn the_network_and_the_server_are_told_apart() {
    let arguments = ["-c", "100", "-i", "0", "--breakdown"];
    for protocol in ["udp", "tcp"] {
        let Some(lab) = lab(protocol, json!({"delay_ms": 5}), &arguments) else { return };
        let part = |name: &str| lab.summary["breakdown"][name].as_u64().unwrap_or(0);
        assert!(part("network_ns") >= 10_000_000, "{}", lab.summary);
        // Nothing was injected there: an idle server's answer takes microseconds, under load more.
        assert!((1..5_000_000).contains(&part("server_ns")), "{}", lab.summary);
    }
}

#[test]
fn a_tenth_of_a_millisecond_more_on_one_path_is_found() {
    const RUNS: usize = 10;
    let both = ["--listen", "10.77.0.2:7777", "--listen", "10.77.0.2:7778"];
    let server = [server("udp").to_str().unwrap(), &both.join(" ")].join(" ");
    let scenario = json!({
        "server": server.split(' ').collect::<Vec<_>>(),
        "delay_ms": 0.3,
        "slower": [7778, 100],
        "punctual": true,
    });
    let runs = format!(
        "for run in $(seq {RUNS}); do {CLIENT} compare udp://10.77.0.2:7777 udp://10.77.0.2:7778 \
         -c 200 -q --format json | tail -n 1; done"
    );
    let Some(result) = network::run(&scenario, &["sh", "-c", &runs]) else { return };
    let verdicts: Vec<Value> = result["out"]
        .as_str()
        .unwrap()
        .lines()
        .map(|verdict| serde_json::from_str(verdict).unwrap())
        .collect();
    assert_eq!(verdicts.len(), RUNS, "{result}");
    let differences: Vec<String> =
        verdicts.iter().map(|verdict| verdict["difference_ns"].to_string()).collect();
    assert!(verdicts.iter().all(|verdict| verdict["higher"] == "b"), "{differences:?}");
    let covers = |verdict: &&Value| {
        let bound = |name: &str| verdict["difference_ns"][name].as_i64().unwrap();
        (bound("low")..=bound("high")).contains(&100_000)
    };
    let covered = verdicts.iter().filter(covers).count();
    eprintln!("{covered} of {RUNS} intervals have the 100 µs in them");
    // 95 of 100 in the long run; two of ten fewer than 8 times in a hundred, three fewer than twice.
    assert!(covered >= 7, "{differences:?}");
}
