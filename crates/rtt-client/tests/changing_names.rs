//! Names whose addresses change during a run. `tests/network/changing_names.py` changes the names, and starts and stops the
//! servers.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;
#[path = "../../../tests/network/script.rs"]
mod script;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::SystemTime;

/// The addresses of the servers.
const A: &str = "10.8.0.2";
const B: &str = "10.8.0.3";

/// The time that a slow machine takes in addition, in seconds.
const SLACK: f64 = 1.0;

/// The interval of the tests in seconds.
const INTERVAL: f64 = 0.05;

/// The series of most tests: 40 requests, and a timeout that expires only if there is no reply.
const SERIES: &str = "-c 40 -i 50ms -W 500ms";
const FIXED_RATE: &str = "-c 40 --rate 20 -W 500ms";

/// The result of the script.
struct Run {
    result: Value,
    events: Vec<Value>,
}

impl Run {
    fn events(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    fn summary(&self) -> &Value {
        let last = self.events.last().unwrap();
        assert_eq!(last["type"], "summary", "{}", self.result);
        last
    }

    fn counts<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        names.map(|name| self.summary()[name].as_u64().unwrap())
    }

    /// The number of requests that the server at this address received.
    fn requests(&self, address: &str) -> u64 {
        self.result["requests"][address].as_u64().unwrap_or(0)
    }

    /// Checks that the time is at the change with this index, or at most one interval later.
    fn check_time(&self, time: &Value, change: usize) {
        let time = SystemTime::from(time.as_str().unwrap().parse::<DateTime<Utc>>().unwrap());
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let [before, after] =
            [0, 1].map(|index| self.result["changed"][change][index].as_f64().unwrap());
        let allowed = before - SLACK..after + INTERVAL + SLACK;
        assert!(allowed.contains(&seconds), "{seconds} is not in {allowed:?}: {}", self.summary());
    }

    /// The notes of the summary, as one text.
    fn notes(&self) -> String {
        let notes = self.summary()["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().map(|note| note.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

/// Runs the client with JSON output. Returns `None` if this machine does not allow namespaces.
fn run(scenario: &Value, arguments: &str) -> Option<Run> {
    if !namespaces::is_possible("true") {
        return None;
    }
    let scenario = scenario.to_string();
    let client = env!("CARGO_BIN_EXE_rtt-client");
    let arguments = [&scenario, client].into_iter().chain(arguments.split_whitespace());
    let result = script::run_alone("changing_names.py", arguments.chain(["--format", "json"]));
    let lines = result["out"].as_str().unwrap().lines();
    let events = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    Some(Run { result, events })
}

fn name(addresses: &[&str]) -> Value {
    json!({ "moving.example": addresses })
}

/// The server moves from A to B after exchange 10, and the name changes at the same time.
fn move_server() -> Value {
    let change = json!({ "after": 10, "stop": [A], "start": [B], "names": name(&[B]) });
    json!({ "names": name(&[A]), "servers": [A], "changes": [change] })
}

/// Checks the only change of the address, from A to B.
fn check_change(run: &Run) {
    let changes = run.events("address");
    assert_eq!(changes.len(), 1, "{changes:?} {}", run.result);
    let change = changes[0];
    let port = |address: &str| format!("{address}:7777");
    assert_eq!((&change["old"], &change["new"]), (&json!(port(A)), &json!(port(B))));
    assert_eq!(
        (&change["host"], &change["reason"]),
        (&json!("moving.example"), &json!("name-changed"))
    );
    assert_eq!(run.summary()["address_changes"], 1);
    let note = format!("The address of moving.example changed from {A} to {B} at ");
    assert!(run.notes().contains(&note), "{}", run.notes());
}

#[test]
fn each_new_connection_uses_the_current_address_of_the_name() {
    let scenario = json!({
        "names": name(&[A]), "servers": [A, B], "changes": [{ "after": 10, "names": name(&[B]) }],
    });
    let arguments = format!("tcp moving.example:7777 --connection each {SERIES}");
    let Some(run) = run(&scenario, &arguments) else { return };
    assert_eq!(run.counts(["sent", "received"]), [40, 40], "{}", run.summary());
    check_change(&run);
    run.check_time(&run.events("address")[0]["time"], 0);
    assert_eq!(run.requests(A) + run.requests(B), 40);
    assert!((10..=14).contains(&run.requests(A)), "{}", run.result["requests"]);
    assert!(run.summary().get("outages").is_none(), "{}", run.summary());
}

#[test]
fn handshakes_use_the_current_address_of_the_name_although_the_old_one_answers() {
    let scenario = json!({
        "names": name(&[A]), "servers": [A, B], "changes": [{ "after": 10, "names": name(&[B]) }],
    });
    for pacing in [SERIES, FIXED_RATE] {
        let arguments = format!("tcp moving.example:7777 --connect-only {pacing}");
        let Some(run) = run(&scenario, &arguments) else { return };
        assert_eq!(run.counts(["sent", "received"]), [40, 40], "{}", run.summary());
        check_change(&run);
        run.check_time(&run.events("address")[0]["time"], 0);
    }
}

#[test]
fn connection_that_works_is_kept_although_the_name_changes() {
    let scenario = json!({
        "names": name(&[A]), "servers": [A, B], "changes": [{ "after": 10, "names": name(&[B]) }],
    });
    for protocol in ["udp", "tcp"] {
        let arguments = format!("{protocol} moving.example:7777 {SERIES}");
        let Some(run) = run(&scenario, &arguments) else { return };
        assert_eq!((run.requests(A), run.requests(B)), (40, 0), "{}", run.result["requests"]);
        assert!(run.events("address").is_empty());
    }
}

#[test]
fn series_follows_a_server_that_moves_to_another_address() {
    for (protocol, max_lost) in [("tcp", 3), ("udp", 14)] {
        for pacing in [SERIES, FIXED_RATE] {
            let arguments = format!("{protocol} moving.example:7777 {pacing}");
            let Some(run) = run(&move_server(), &arguments) else { return };
            let [sent, received, lost] = run.counts(["sent", "received", "lost"]);
            assert_eq!((sent, received), (40, 40 - lost), "{}", run.summary());
            // A UDP client notices the move only by missing replies, after the timeout of 500 ms.
            assert!(lost <= max_lost, "{protocol} {pacing}: {}", run.summary());
            check_change(&run);
            // A server over TCP can read several requests at once.
            let counted = run.requests(A) + run.requests(B);
            assert!(counted <= received && run.requests(B) >= 20, "{}", run.result["requests"]);
            for outage in run.summary()["outages"].as_array().unwrap_or(&Vec::new()) {
                run.check_time(&outage["from"], 0);
                assert!(outage["to"].is_string(), "{outage}");
            }
        }
    }
}

#[test]
fn series_of_handshakes_follows_a_server_that_moves_to_another_address() {
    for pacing in [SERIES, FIXED_RATE] {
        let arguments = format!("tcp moving.example:7777 --connect-only {pacing}");
        let Some(run) = run(&move_server(), &arguments) else { return };
        let [sent, received, lost] = run.counts(["sent", "received", "lost"]);
        assert_eq!((sent, received), (40, 40 - lost), "{}", run.summary());
        // The old address refuses handshakes. After two of them and the timeout of 500 ms, the client looks up the name.
        assert!(lost <= 14, "{pacing}: {}", run.summary());
        check_change(&run);
    }
}

#[test]
fn series_starts_before_the_name_has_an_address() {
    let change = json!({ "after": 10, "start": [A], "names": name(&[A]) });
    let scenario = json!({ "names": {}, "changes": [change] });
    for protocol in ["udp", "tcp"] {
        for pacing in [SERIES, FIXED_RATE] {
            let arguments = format!("{protocol} moving.example:7777 --keep-going {pacing}");
            let Some(run) = run(&scenario, &arguments) else { return };
            let [sent, received, lost] = run.counts(["sent", "received", "lost"]);
            assert_eq!((sent, received), (40, 40 - lost), "{}", run.summary());
            assert_eq!(run.requests(A), received);
            let change = run.events("address")[0];
            assert!(change.get("old").is_none(), "{change}");
            assert_eq!(change["new"], format!("{A}:7777"));
            assert!(run.notes().contains("moving.example had no address until"), "{}", run.notes());
            let outages = run.summary()["outages"].as_array().unwrap();
            assert_eq!(outages.len(), 1, "{}", run.summary());
            assert_eq!(outages[0]["conditions"], json!(["name-not-found"]));
            assert_eq!(outages[0]["requests"], lost);
            run.check_time(&outages[0]["to"], 0);
            assert!(run.events("start")[0].get("address").is_none());
        }
    }
}

#[test]
fn name_without_an_address_ends_a_run_without_keep_going() {
    let Some(run) = run(&json!({ "names": {} }), &format!("tcp moving.example:7777 {SERIES}"))
    else {
        return;
    };
    assert_eq!(run.counts(["sent", "lost"]), [1, 1]);
}

#[test]
fn other_address_of_the_name_is_tried_if_the_first_ones_do_not_answer() {
    // The run starts with one of the addresses, because none of them answers. Then the server starts at the other one.
    for protocol in ["udp", "tcp"] {
        for server in [A, B] {
            let change = json!({ "after": 5, "start": [server] });
            let scenario = json!({ "names": name(&[A, B]), "changes": [change] });
            let arguments =
                format!("{protocol} moving.example:7777 --keep-going -c 40 -i 50ms -W 200ms");
            let Some(run) = run(&scenario, &arguments) else { return };
            let [received] = run.counts(["received"]);
            assert!(received >= 15, "{protocol} {server}: {}", run.summary());
            assert_eq!(run.requests(server), received);
            let changes = run.events("address");
            assert!(changes.iter().all(|change| change["reason"] == "no-reply"), "{changes:?}");
        }
    }
}

#[test]
fn look_up_that_never_ends_keeps_the_address_and_does_not_change_the_rtt() {
    // After exchange 5, each look-up causes a query to a DNS server that never answers.
    let scenario = json!({
        "names": name(&[A]), "servers": [A], "dns": true, "changes": [{ "after": 5, "names": {} }],
    });
    let arguments = "tcp moving.example:7777 --connection each -c 40 -i 20ms -W 300ms";
    let Some(run) = run(&scenario, arguments) else { return };
    assert_eq!(run.counts(["sent", "received"]), [40, 40], "{}", run.summary());
    assert_eq!(run.requests(A), 40);
    assert!(run.events("address").is_empty());
    for figure in ["rtt_ns", "connect_ns"] {
        let max = run.summary()[figure]["max"].as_u64().unwrap();
        assert!(max < 300_000_000, "the {figure} contains a look-up: {}", run.summary());
    }
    // The system's resolver gives up after 10 s. Until then, there is only one look-up, so only one wait for the timeout.
    let queries = run.result["queries"].as_u64().unwrap();
    assert!((1..=4).contains(&queries), "{queries} queries");
    let seconds = run.result["seconds"].as_f64().unwrap();
    assert!(seconds < 40.0 * 0.02 + 0.3 + 3.0 * SLACK, "{seconds} s");
}

#[test]
fn look_up_that_never_ends_does_not_delay_a_fixed_schedule() {
    let scenario = json!({
        "names": name(&[A]), "servers": [A], "dns": true,
        "changes": [{ "after": 5, "names": {}, "stop": [A] }, { "after": 25, "start": [A] }],
    });
    let arguments = "tcp moving.example:7777 -c 60 --rate 20 -W 5s";
    let Some(run) = run(&scenario, arguments) else { return };
    let [sent, received, lost] = run.counts(["sent", "received", "lost"]);
    assert_eq!((sent, received), (60, 60 - lost), "{}", run.summary());
    // The look-up takes 5 s, and the schedule 3 s.
    let delay = run.summary()["lateness_ns"]["max"].as_u64().unwrap();
    assert!(delay < 1_000_000_000, "{}", run.summary());
    // The server is absent for about 20 requests. An attempt does not wait for the whole look-up.
    assert!((15..=35).contains(&lost), "{}", run.summary());
    let outage = &run.summary()["outages"][0];
    run.check_time(&outage["from"], 0);
    run.check_time(&outage["to"], 1);
}

#[test]
fn name_with_thousands_of_addresses_keeps_the_current_one() {
    let address = |number: usize| format!("10.8.{}.{}", 10 + number / 250, 1 + number % 250);
    let mut many: Vec<String> = (0..2999).map(address).collect();
    many.push(A.to_owned());
    let all: Vec<&str> = many.iter().map(String::as_str).collect();
    let scenario = json!({
        "names": name(&[A]), "servers": ["0.0.0.0"],
        "changes": [{ "after": 5, "names": name(&all) }, { "after": 20, "names": name(&all[..2999]) }],
    });
    let arguments = "tcp moving.example:7777 --connection each -c 40 -i 50ms -W 2s";
    let Some(run) = run(&scenario, arguments) else { return };
    assert_eq!(run.counts(["sent", "received"]), [40, 40], "{}", run.summary());
    // After exchange 20, the name does not have the address any more.
    let changes = run.events("address");
    assert_eq!(changes.len(), 1, "{changes:?}");
    run.check_time(&changes[0]["time"], 1);
    assert!((20..=24).contains(&run.requests(A)), "{}", run.result["requests"]);
    let new = changes[0]["new"].as_str().unwrap().trim_end_matches(":7777").to_owned();
    assert!(many.contains(&new), "{new}");
    assert_eq!(run.requests(&new), 40 - run.requests(A));
}

#[test]
fn flapping_name_has_a_limited_number_of_notes_and_loses_no_request() {
    let scenario = json!({
        "names": name(&[A]), "servers": [A, B], "flapping": [name(&[A]), name(&[B])],
    });
    let arguments = "tcp moving.example:7777 --connection each -c 800 -i 10ms -W 2s";
    let Some(run) = run(&scenario, arguments) else { return };
    assert_eq!(run.counts(["sent", "received"]), [800, 800], "{}", run.summary());
    assert_eq!(run.requests(A) + run.requests(B), 800);
    let changes = run.events("address");
    // There is at most one look-up each 100 ms.
    let number = u32::try_from(changes.len()).unwrap();
    let most = run.result["seconds"].as_f64().unwrap() / 0.1;
    assert!(number >= 20 && f64::from(number) <= most, "{number}");
    assert_eq!(run.summary()["address_changes"], changes.len());
    for pair in changes.windows(2) {
        assert_eq!(pair[0]["new"], pair[1]["old"]);
    }
    let notes = run.notes();
    assert_eq!(notes.matches("The address of moving.example changed from").count(), 20, "{notes}");
    let more = format!("The address changed {} more time", changes.len() - 20);
    assert!(notes.contains(&more) || changes.len() == 20, "{notes}");
}
