//! Tests: valid plans, rejected plans, and the text of errors.

mod requests;

use super::*;
use crate::model::service::{ReplyEnd, ReplyRule, ReplyStart};
use crate::plan::payload::EchoPayload;
use crate::protocol::registry::protocol_named;

fn plan(protocol: &str, settings: Settings) -> Result<Plan, PlanError> {
    Plan::new(protocol_named(protocol).unwrap(), "host".parse().unwrap(), settings)
}

fn message(protocol: &str, text: &str) -> Result<Plan, PlanError> {
    plan(protocol, Settings::one(text.to_owned()))
}

fn comparison(each: Settings) -> ComparisonSettings {
    let (pairs, duration) = (None, None);
    ComparisonSettings { each, pairs, duration, seed: 1, confidence: 0.95, sweep: false }
}

fn compare(
    a: &str,
    b: Option<&str>,
    settings: &ComparisonSettings,
) -> Result<ComparisonPlan, PlanError> {
    let b = b.map(|b| b.parse().unwrap());
    ComparisonPlan::new(&a.parse().unwrap(), b.as_ref(), settings)
}

/// The URLs of both sides of a comparison.
fn compared(a: &str, b: Option<&str>) -> [String; 2] {
    let plan = compare(a, b, &comparison(Settings::series(1))).unwrap();
    plan.sides().each_ref().map(Plan::url)
}

#[test]
fn target_without_a_port_gets_the_default_port_of_the_protocol() {
    assert_eq!(message("udp", "x").unwrap().port(), 25000);
    assert_eq!(message("tcp", "x").unwrap().port(), 12000);
}

#[test]
fn target_of_another_protocol_is_rejected() {
    let target = "tcp://host:7".parse().unwrap();
    let error = Plan::new(protocol_named("udp").unwrap(), target, Settings::one("x"));
    assert!(matches!(error, Err(PlanError::OtherProtocol { theirs: "tcp", .. })));
}

#[test]
fn message_that_the_protocol_cannot_carry_is_rejected() {
    let error = message("udp", &"x".repeat(65_508)).unwrap_err();
    assert!(matches!(error, PlanError::TooLong { part: MessagePart::Request, .. }), "{error}");
    // The upper case of this letter has six bytes instead of two.
    let error = message("udp", &"ΐ".repeat(21_836)).unwrap_err();
    assert!(matches!(error, PlanError::TooLong { part: MessagePart::Reply, .. }), "{error}");
    assert!(message("udp", "").is_ok());
    assert_eq!(message("tcp", "").unwrap_err(), PlanError::EmptyMessage { protocol: "TCP" });
    for (size, breakdown, fits) in [
        (9, false, false),
        (10, false, true),
        (49, true, false),
        (50, true, true),
        (65_507, true, true),
        (65_508, false, false),
    ] {
        let content = Content::Sized(Some(size));
        let settings = Settings { content, breakdown, ..Settings::series(1) };
        assert_eq!(plan("udp", settings).is_ok(), fits, "{size}");
    }
}

#[test]
fn settings_out_of_range_are_rejected() {
    let series = || Settings::series(1);
    let hours = |hours| Duration::from_hours(hours);
    for settings in [
        Settings { timeout: Duration::ZERO, ..series() },
        Settings { timeout: hours(2), ..series() },
        Settings { duration: Some(Duration::ZERO), ..series() },
        Settings { duration: Some(hours(10_000)), ..series() },
        Settings { interval: hours(2), ..series() },
        Settings { count: Some(0), ..series() },
        Settings { count: Some(10_000_000_000), ..series() },
        Settings { rate: Some(0.0), ..series() },
        Settings { rate: Some(-1.0), ..series() },
        Settings { rate: Some(1e-300), ..series() },
        Settings { rate: Some(1e-18), ..series() },
        Settings { timeout: Duration::from_nanos(500), ..series() },
        Settings { rate: Some(f64::NAN), ..series() },
        Settings { rate: Some(f64::INFINITY), ..series() },
        // More requests in flight than the maximum: 2 s of timeout at this rate.
        Settings { rate: Some(1e6), ..series() },
        Settings { rate: Some(10.0), lifetime: Lifetime::Each, ..series() },
    ] {
        assert!(plan("tcp", settings.clone()).is_err(), "{settings:?}");
    }
    let settings = Settings { rate: Some(1e6), timeout: Duration::from_secs(1), ..series() };
    assert!(plan("udp", settings).is_ok());
}

#[test]
fn error_contains_the_violated_limit() {
    let series = || Settings::series(1);
    let hours = |hours| Duration::from_hours(hours);
    for (settings, expected) in [
        (Settings { timeout: hours(2), ..series() }, "--timeout must be at most 1h"),
        (Settings { timeout: Duration::ZERO, ..series() }, "--timeout must be at least 1us"),
        (Settings { interval: hours(2), ..series() }, "--interval must be at most 1h"),
        (
            Settings { duration: Some(Duration::ZERO), ..series() },
            "--duration must be longer than 0",
        ),
        (
            Settings { duration: Some(hours(10_000)), ..series() },
            "--duration must be at most 1year",
        ),
        (Settings { count: Some(0), ..series() }, "--count must be between 1 and 9999999999"),
    ] {
        assert_eq!(plan("udp", settings).unwrap_err().to_string(), expected);
    }
}

#[test]
fn default_port_selects_the_protocol_of_a_compared_target() {
    let udp_and_tcp = ["udp://host:25000".to_owned(), "tcp://host:12000".to_owned()];
    let tcp_and_udp = ["tcp://host:12000".to_owned(), "udp://host:25000".to_owned()];
    assert_eq!(compared("host", None), udp_and_tcp);
    assert_eq!(compared("host:25000", None), udp_and_tcp);
    assert_eq!(compared("host:12000", None), tcp_and_udp);
    assert_eq!(compared("host:12000", Some("host:25000")), tcp_and_udp);
    assert_eq!(compared("udp://host", None), udp_and_tcp);
    assert_eq!(compared("udp://host:7", None), ["udp://host:7", "tcp://host:12000"]);
    // The UDP server and the TCP server of a host can use the same port.
    assert_eq!(compared("host:7", None), ["udp://host:7", "tcp://host:7"]);
}

#[test]
fn kernel_side_of_a_comparison_with_a_service_has_requests_of_similar_length() {
    let targets = ["icmp://192.0.2.1", "tcp://192.0.2.1"].map(|target| target.parse().unwrap());
    let lengths = |request: &[u8]| {
        let reply = ReplyRule { start: ReplyStart::Text(b"".into()), end: ReplyEnd::FirstBytes };
        let request = CustomRequest { bytes: request.to_vec().into(), reply };
        let settings = ComparisonSettings {
            each: Settings { content: Content::Request(request), ..Settings::series(1) },
            pairs: Some(5),
            duration: None,
            seed: 1,
            confidence: 0.95,
            sweep: false,
        };
        let plan = ComparisonPlan::new(&targets[0], Some(&targets[1]), &settings).unwrap();
        plan.sides.each_ref().map(|side| side.payload.request_len())
    };
    assert_eq!(lengths(&[b'x'; 300]), [300, 300]);
    // A shorter request has no space for the whole token.
    assert_eq!(lengths(b"PING\r\n"), [EchoPayload::MIN_SIZE_WITH_TOKEN, 6]);
}
