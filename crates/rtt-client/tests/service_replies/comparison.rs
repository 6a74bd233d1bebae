//! A comparison of two servers that send first.

use super::server::tcp_server;
use super::service;
use rtt_client::report::{Json, JsonConfig};
use rtt_client::{ComparisonPlan, ComparisonSettings, Settings, compare};
use serde_json::Value;
use std::io::Write as _;
use std::sync::atomic::AtomicBool;

#[test]
fn comparison_of_greetings_has_the_reason_for_the_missing_breakdown() {
    let [a, b] = [(); 2].map(|()| {
        let script = tcp_server(|stream, _| stream.write_all(b"SSH-2.0-Test\r\n"));
        format!("tcp://{}", script.address).parse().unwrap()
    });
    let settings = ComparisonSettings {
        each: service("ssh", Settings::one("")),
        pairs: Some(20),
        duration: None,
        seed: 42,
        confidence: 0.95,
        sweep: false,
    };
    let plan = ComparisonPlan::new(&a, Some(&b), &settings).unwrap();
    let mut lines = Vec::new();
    let mut report = Json::new(&mut lines, JsonConfig::default());
    compare(&plan, &mut report, &AtomicBool::new(false)).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let verdict: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&verdict["type"], &verdict["pairs"]), (&"verdict".into(), &20.into()), "{verdict}");
    let causes = verdict["causes"].as_array().unwrap();
    let breakdown = causes.iter().find(|cause| cause["cause"] == "breakdown").unwrap();
    let reason = if cfg!(all(target_os = "linux", not(portable))) {
        "the client sends no request packet"
    } else {
        "kernel timestamps are not available"
    };
    assert!(breakdown["evidence"].as_str().unwrap().contains(reason), "{breakdown}");
    assert!(breakdown.get("share_ns").is_none_or(Value::is_null), "{breakdown}");
}
