//! Tests of names with several addresses, of which many do not answer: the number of attempts, their schedule and the
//! total time. One test has a name look-up without an answer.
//!
//! `tests/network/many_addresses.py` creates the names and the network.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;
#[path = "../../../tests/network/script.rs"]
mod script;

use serde_json::{Value, json};

/// The documented limits (docs/output.md): the maximum number of addresses, and the time between the starts of two
/// attempts in seconds.
const MAX_ADDRESSES: u32 = 16;
const ATTEMPT_DELAY: f64 = 0.25;

/// The time that a slow machine takes in addition, in seconds. It is far below the time of one attempt after the other.
const SLACK: f64 = 4.0;

/// Addresses that do not answer.
const SILENT: &str = "10.9.0.7";
const SILENT6: &str = "2001:db8:9::7";

/// Addresses of the server.
const SERVER: &str = "10.8.0.5";
const SERVER6: &str = "2001:db8:8::5";

/// The result of the script.
struct Run(Value);

impl Run {
    fn events(&self) -> Vec<Value> {
        let lines = self.0["out"].as_str().unwrap().lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only event of this type.
    fn event(&self, kind: &str) -> Value {
        let mut events = self.events();
        events.retain(|event| event["type"] == kind);
        assert_eq!(events.len(), 1, "{kind}: {}", self.0);
        events.remove(0)
    }

    fn count(&self, kind: &str) -> u32 {
        let events = self.events();
        let count = events.iter().filter(|event| event["type"] == kind).count();
        u32::try_from(count).unwrap()
    }

    fn seconds(&self) -> f64 {
        self.0["seconds"].as_f64().unwrap()
    }
}

/// Runs the client with JSON output. `names` is an object with the addresses of each name.
fn run(names: &Value, arguments: &str) -> Option<Run> {
    run_scenario(&json!({ "names": names }), arguments)
}

/// Runs the client with JSON output in the network of `scenario`.
fn run_scenario(scenario: &Value, arguments: &str) -> Option<Run> {
    if !namespaces::is_possible("nft list ruleset") {
        return None;
    }
    let scenario = scenario.to_string();
    let client = env!("CARGO_BIN_EXE_rtt-client");
    let arguments = [&scenario, client].into_iter().chain(arguments.split_whitespace());
    let result = script::run_alone("many_addresses.py", arguments.chain(["--format", "json"]));
    Some(Run(result))
}

/// A name with 3,000 addresses that do not answer.
fn many() -> Value {
    let address = |number: usize| format!("10.9.{}.{}", 1 + number / 250, 1 + number % 250);
    json!({ "many.example": (0..3000).map(address).collect::<Vec<_>>() })
}

/// Checks the number of attempts and the total time.
fn check_limits(run: &Run, max_seconds: f64) {
    assert_eq!(run.0["destinations"], MAX_ADDRESSES, "{}", run.0);
    let addresses = run.event("addresses");
    assert_eq!(addresses["host"], "many.example");
    assert_eq!((&addresses["found"], &addresses["tried"]), (&json!(3000), &json!(MAX_ADDRESSES)));
    assert!(run.seconds() < max_seconds + SLACK, "{} s", run.seconds());
}

#[test]
fn name_with_thousands_of_silent_addresses_has_a_limited_number_of_attempts_and_a_limited_time() {
    // One after the other, 3,000 attempts would take almost an hour. 16 attempts would take 16 s.
    let search = 1.0 + ATTEMPT_DELAY * f64::from(MAX_ADDRESSES - 1);
    for protocol in ["udp", "tcp"] {
        let arguments = format!("{protocol} many.example:7777 hello -W 1");
        let Some(run) = run(&many(), &arguments) else { return };
        check_limits(&run, search);
        assert_eq!(run.count("attempt"), MAX_ADDRESSES - 1);
        assert_eq!(run.event("exchange")["condition"], "silent");
        assert_eq!(run.0["status"], 1);
    }
}

#[test]
fn diagnosis_of_a_name_with_thousands_of_addresses_is_limited() {
    let Some(run) = run(&many(), "diagnose many.example:7777 -W 1") else { return };
    // The timeout limits all probes together.
    check_limits(&run, 1.0);
    assert_eq!(run.count("finding"), 2 * MAX_ADDRESSES, "over UDP and over TCP");
    assert_eq!(run.count("host"), MAX_ADDRESSES);
}

#[test]
fn comparison_of_a_name_with_thousands_of_addresses_is_limited() {
    let targets = "udp://many.example:7777 tcp://many.example:7777";
    let Some(run) = run(&many(), &format!("compare {targets} -W 1 -c 1")) else { return };
    assert_eq!(run.0["destinations"], MAX_ADDRESSES, "{}", run.0);
    assert_eq!(run.count("addresses"), 2, "one for each side: {}", run.0);
    // The search for a common address, a search for each side, and the exchanges of the pairs.
    let search = 1.0 + ATTEMPT_DELAY * f64::from(MAX_ADDRESSES - 1);
    assert!(run.seconds() < 3.0 * search + 25.0 + SLACK, "{} s", run.seconds());
    assert_eq!(run.event("verdict")["pairs"], 0);
}

#[test]
fn second_address_is_used_if_the_first_one_is_silent() {
    for (addresses, used) in [([SILENT, SERVER], SERVER), ([SILENT6, SERVER], SERVER)] {
        for protocol in ["udp", "tcp"] {
            let names = json!({ "two.example": addresses });
            let arguments = format!("{protocol} two.example:7777 hello -W 20");
            let Some(run) = run(&names, &arguments) else { return };
            assert_eq!(run.0["status"], 0, "{}", run.0);
            // Far below the timeout of the first address.
            let seconds = run.seconds();
            assert!((ATTEMPT_DELAY..ATTEMPT_DELAY + SLACK).contains(&seconds), "{seconds} s");
            assert_eq!(run.event("start")["address"], format!("{used}:7777"));
            let attempt = run.event("attempt");
            assert_eq!(attempt["condition"], "silent");
            assert_eq!(attempt["detail"], "another address answered first");
            assert!(attempt["after_ns"].as_f64().unwrap() >= ATTEMPT_DELAY * 1e9, "{attempt}");
            assert_eq!(run.event("exchange")["outcome"], "reply");
        }
    }
}

#[test]
fn connection_that_wins_is_the_measured_one_and_its_duration_is_its_own_handshake() {
    for arguments in ["hello", "-c 5 -i 0"] {
        let names = json!({ "two.example": [SILENT, SERVER] });
        let Some(run) = run(&names, &format!("tcp two.example:7777 {arguments} -W 20")) else {
            return;
        };
        assert_eq!(run.0["connections"], 1, "{}", run.0);
        let connection = run.event("connection");
        let duration = connection["connect_ns"].as_f64().unwrap();
        assert!(duration < ATTEMPT_DELAY * 1e9, "the duration contains the delay: {connection}");
    }
}

#[test]
fn first_address_that_answers_is_the_only_one_that_gets_packets() {
    for (protocol, requests) in [("udp", 1), ("tcp", 1)] {
        let names = json!({ "two.example": [SERVER6, SERVER] });
        let Some(run) = run(&names, &format!("{protocol} two.example:7777 hello -W 20")) else {
            return;
        };
        assert_eq!(run.0["destinations"], 1, "{}", run.0);
        assert_eq!(run.0["requests"], requests, "{}", run.0);
        assert_eq!((run.count("attempt"), run.count("addresses")), (0, 0));
        assert_eq!(run.event("start")["address"], format!("[{SERVER6}]:7777"));
    }
}

#[test]
fn attempts_from_one_local_port_follow_each_other() {
    for protocol in ["udp", "tcp"] {
        let names = json!({ "three.example": ["10.9.0.7", "10.9.0.8", SERVER] });
        let arguments = format!("{protocol} three.example:7777 hello -B 0.0.0.0:5999 -W 2");
        let Some(run) = run(&names, &arguments) else { return };
        assert_eq!(run.0["status"], 0, "{}", run.0);
        assert_eq!(run.event("start")["address"], format!("{SERVER}:7777"));
        assert!(run.event("start")["local"].as_str().unwrap().ends_with(":5999"));
        let search = 2.0 + ATTEMPT_DELAY * 2.0;
        assert!(run.seconds() < search + SLACK, "{} s", run.seconds());
    }
}

#[test]
fn look_up_without_an_answer_ends_after_the_timeout() {
    // The resolver of the system waits longer: by default 5 s for each of two attempts.
    let scenario = json!({ "names": {}, "silent_resolver": true });
    for (arguments, kind) in [
        ("udp silent.example x", "exchange"),
        ("tcp silent.example -c 3", "exchange"),
        ("diagnose udp://silent.example", "finding"),
    ] {
        let Some(run) = run_scenario(&scenario, &format!("{arguments} -W 1")) else { return };
        let event = run.event(kind);
        assert_eq!(event["condition"], "name-lookup-failed", "{}", run.0);
        assert!(event["after_ns"].as_f64().unwrap() >= 1e9, "{event}");
        assert!(run.seconds() < 1.0 + SLACK, "{} s", run.seconds());
        assert_eq!(run.0["status"], 1);
    }
}
