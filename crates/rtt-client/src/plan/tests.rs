//! What can be measured, and what is refused.

use super::*;
use crate::protocol::registry::protocol_named;

fn plan(protocol: &str, settings: Settings) -> Result<Plan, PlanError> {
    Plan::new(protocol_named(protocol).unwrap(), "host".parse().unwrap(), settings)
}

fn message(protocol: &str, text: &str) -> Result<Plan, PlanError> {
    plan(protocol, Settings::one(text.to_owned()))
}

#[test]
fn a_missing_port_is_the_protocols() {
    assert_eq!(message("udp", "x").unwrap().port(), 25000);
    assert_eq!(message("tcp", "x").unwrap().port(), 12000);
}

#[test]
fn another_protocols_target_is_refused() {
    let target = "tcp://host:7".parse().unwrap();
    let error = Plan::new(protocol_named("udp").unwrap(), target, Settings::one("x"));
    assert!(matches!(error, Err(PlanError::OtherProtocol { theirs: "tcp", .. })));
}

#[test]
fn what_cant_be_carried_is_refused() {
    let error = message("udp", &"x".repeat(65_508)).unwrap_err();
    assert!(matches!(error, PlanError::TooLong { what: "request", .. }), "{error}");
    // Two bytes become six.
    let error = message("udp", &"ΐ".repeat(21_836)).unwrap_err();
    assert!(matches!(error, PlanError::TooLong { what: "reply", .. }), "{error}");
    assert!(message("udp", "").is_ok());
    assert_eq!(message("tcp", "").unwrap_err(), PlanError::Empty("TCP"));
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
fn absurd_figures_are_refused() {
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
        Settings { rate: Some(1e6), ..series() },
        Settings { rate: Some(10.0), lifetime: Lifetime::Each, ..series() },
    ] {
        assert!(plan("tcp", settings.clone()).is_err(), "{settings:?}");
    }
    let settings = Settings { rate: Some(1e6), timeout: Duration::from_secs(1), ..series() };
    assert!(plan("udp", settings).is_ok());
}
