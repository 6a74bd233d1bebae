//! Errors of this host: full queues, exhausted ports, refused options, a small MTU, a wrong peer. A run that has measured
//! always prints its summary, and each exchange has the right condition and the right place of its loss.
//!
//! The scenarios are in `tests/network/local_limits.py`.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/lab.rs"]
mod network;

use serde_json::{Value, json};

/// Runs a scenario. Returns the runs of the client, or `None` if this machine does not allow namespaces.
fn runs(scenario: &str) -> Option<Vec<Value>> {
    if !network::is_possible("tc -V") {
        return None;
    }
    let [udp, tcp] = ["udp", "tcp"].map(network::server);
    let client = env!("CARGO_BIN_EXE_rtt-client");
    let results =
        network::script::run("local_limits.py", [scenario.into(), udp, tcp, client.into()]);
    Some(serde_json::from_value(results).unwrap())
}

/// The last event of a run.
fn last(run: &Value) -> &Value {
    run["events"].as_array().unwrap().last().unwrap_or_else(|| panic!("{run}"))
}

fn exchanges(run: &Value) -> Vec<&Value> {
    let events = run["events"].as_array().unwrap().iter();
    events.filter(|event| event["type"] == "exchange").collect()
}

/// Checks that the run has a summary, and that each lost exchange has these fields. Returns the number of lost exchanges.
fn check_losses(run: &Value, fields: &Value) -> u64 {
    let summary = last(run);
    assert_eq!(summary["type"], "summary", "{run}");
    let exchanges = exchanges(run);
    let lost: Vec<_> = exchanges.iter().filter(|event| event["outcome"] != "reply").collect();
    for exchange in &lost {
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(&exchange[name], value, "{name} in {exchange}");
        }
    }
    assert_eq!(summary["lost"], lost.len());
    assert_eq!(summary["sent"], exchanges.len());
    assert_eq!(run["status"], i32::from(!lost.is_empty()), "{run}");
    lost.len() as u64
}

#[test]
fn full_send_queue_loses_requests_and_does_not_end_the_run() {
    let Some(runs) = runs("send_queue") else { return };
    let fields = json!({
        "condition": "local-limit", "errno": 105, "origin": "this-host", "lost_where": "send-queue",
        "sent": null, "error": "No buffer space available (os error 105)",
    });
    let lost = check_losses(&runs[0], &fields);
    assert_eq!(last(&runs[0])["sent"], 3000);
    assert!(lost > 300, "the queue drops most requests: {lost}");
    // The queue also drops a few packets of the kernel. The client does not send a request again that the queue dropped.
    let dropped = runs[0]["dropped"].as_u64().unwrap();
    assert!((lost..lost + 20).contains(&dropped), "{dropped} dropped, {lost} lost");
    let text = runs[1]["out"].as_str().unwrap();
    assert!(text.contains("300 requests, ") && text.contains("std. deviation"), "{text}");
    assert!(runs[1]["err"].as_str().unwrap().contains("No buffer space available"));
    assert_eq!(runs[1]["status"], 1);
}

#[test]
fn exhausted_ports_are_a_limit_of_this_host() {
    for (scenario, errno) in [("few_ports", 99), ("few_ports_of_an_address", 98)] {
        let Some(runs) = runs(scenario) else { return };
        let fields = json!({
            "condition": "local-limit", "errno": errno, "origin": "this-host", "lost_where": "send-queue",
        });
        assert_eq!(check_losses(&runs[0], &fields), 200, "there are 100 ports");
        assert_eq!(last(&runs[0])["received"], 100);
    }
}

#[test]
fn comparison_that_has_measured_prints_its_verdict() {
    let Some(runs) = runs("few_ports_for_a_comparison") else { return };
    let verdict = last(&runs[0]);
    assert_eq!(verdict["type"], "verdict", "{}", runs[0]);
    assert_eq!(verdict["pairs"], 20, "{verdict}");
    assert!(verdict["notes"].to_string().contains("lack a reply"), "{verdict}");
}

#[test]
fn local_address_that_disappears_does_not_end_the_run() {
    let Some(runs) = runs("removed_address") else { return };
    let events = exchanges(&runs[0]);
    assert_eq!((events.len(), events[0]["outcome"].as_str()), (20, Some("reply")), "{}", runs[0]);
    let end = events.last().unwrap();
    assert_eq!((&end["condition"], &end["errno"]), (&json!("no-route"), &json!(99)), "{end}");
    assert_eq!(end["lost_where"], "send-queue", "{end}");
    assert_eq!(last(&runs[0])["type"], "summary");
    assert_eq!(runs[0]["status"], 1);
}

#[test]
fn missing_address_of_an_ip_version_is_a_missing_route() {
    let Some(runs) = runs("no_address") else { return };
    for run in &runs {
        let fields = json!({"condition": "no-route", "errno": 99, "origin": "this-host"});
        assert_eq!(check_losses(run, &fields), 1);
    }
}

#[test]
fn socket_never_measures_itself() {
    for scenario in ["one_port", "own_port"] {
        let Some(runs) = runs(scenario) else { return };
        for run in &runs {
            assert_eq!(check_losses(run, &json!({"condition": "refused"})), 1, "{run}");
            let exchange = exchanges(run)[0];
            assert!(
                exchange["detail"].as_str().unwrap().contains("no server listens"),
                "{exchange}"
            );
        }
    }
}

#[test]
fn source_port_is_never_the_port_of_a_service() {
    let Some(runs) = runs("service_ports") else { return };
    let (last_two, with_other_ports) = (&runs[20..], &runs[..20]);
    for run in with_other_ports {
        assert_eq!(run["status"], 0, "{run}");
        let local = run["events"][0]["local"].as_str().unwrap();
        assert!(local.ends_with(":24999") || local.ends_with(":25001"), "{local}");
    }
    check_losses(&last_two[0], &json!({"condition": "local-limit", "lost_where": "send-queue"}));
    let notes = last(&last_two[1])["notes"].to_string();
    assert!(notes.contains("source port 25000 belongs to a service"), "{notes}");
}

#[test]
fn wrong_local_address_is_one_line_and_no_run() {
    let Some(runs) = runs("wrong_settings") else { return };
    for run in &runs {
        assert_eq!(run["status"], 2, "{run}");
        assert_eq!(run["out"], "", "{run}");
        assert_eq!(run["err"].as_str().unwrap().lines().count(), 1, "{run}");
    }
}

#[test]
fn router_reports_the_mtu_and_only_the_first_request_is_lost() {
    let Some(runs) = runs("small_mtu") else { return };
    for (index, run) in runs.iter().enumerate() {
        let (from, kind, code) =
            if index % 2 == 0 { ("10.9.0.254", 3, 4) } else { ("fd09::fe", 2, 0) };
        let fields = json!({
            "condition": "too-big", "mtu": 1300, "origin": "icmp", "lost_where": "there",
            "icmp": {"type": kind, "code": code, "from": from}, "detail": "the MTU is 1300 bytes",
        });
        assert_eq!(check_losses(run, &fields), 1, "the kernel sends later requests in fragments");
        // The timeout is 2 s.
        let after = exchanges(run)[0]["after_ns"].as_u64().unwrap();
        assert!(after < 1_000_000_000, "{after} ns");
    }
}

#[test]
fn reply_from_another_address_is_reported_with_its_address() {
    let Some(runs) = runs("other_address") else { return };
    for (runs, from) in runs.chunks(5).zip(["10.9.1.2:7001", "[fd09:1::2]:7001"]) {
        let [single, wrong, series, diagnosis, text] = runs else { panic!("{runs:?}") };
        let fields = json!({
            "outcome": "lost", "condition": "other-address", "reply_from": from, "lost_where": "unknown",
            "detail": format!("from {from}"),
        });
        assert_eq!(check_losses(single, &fields), 1);
        // The datagram is not a reply to the request.
        assert_eq!(check_losses(wrong, &json!({"condition": "silent"})), 1);
        assert_eq!(last(wrong)["unmatched"], 1);
        assert_eq!(check_losses(series, &fields), 1000);
        assert_eq!(last(series)["unmatched"], 0);
        let finding = &diagnosis["events"][0];
        assert_eq!(
            (&finding["condition"], &finding["reply_from"]),
            (&json!("other-address"), &json!(from))
        );
        let line = text["err"].as_str().unwrap();
        assert!(line.contains(&format!("other-address (from {from})")), "{line}");
    }
}

#[test]
fn run_continues_without_an_option_that_the_system_refuses() {
    let Some(runs) = runs("refused_options") else { return };
    let reason = |option: &str| {
        format!("this system refuses the socket option {option} (Protocol not available).")
    };
    let breakdown = format!("No breakdown: {}", reason("SO_TIMESTAMPING"));
    let icmp = format!("No senders of ICMP errors: {}", reason("IP_RECVERR"));
    let nagle = format!("Requests can wait for earlier requests: {}", reason("TCP_NODELAY"));
    for (run, notes) in runs.iter().zip([
        json!([breakdown]),
        json!([breakdown]),
        json!([breakdown]),
        json!([icmp, breakdown]),
        json!([icmp, breakdown, nagle]),
    ]) {
        assert_eq!(run["status"], 0, "{run}");
        assert_eq!(last(run)["notes"], notes, "{run}");
    }
    assert_eq!(check_losses(&runs[5], &json!({"condition": "refused", "origin": "unknown"})), 1);
}
