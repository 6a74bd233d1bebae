//! Tests: the protocols to which a selected request applies.

use super::{compare, comparison, plan};
use crate::model::protocol::{EXAMPLE, Protocol};
use crate::model::service::{ReplyEnd, ReplyRule, ReplyStart};
use crate::plan::{
    Content, CustomRequest, DiagnosisPlan, EchoForm, Plan, PlanError, Settings, TracePlan,
    TraceSettings,
};
use std::borrow::Cow;
use std::time::Duration;

fn service(name: &str) -> Content {
    Content::Service(name.to_owned())
}

/// A request of the user. Any reply is correct.
fn request(bytes: &'static str) -> Content {
    let reply =
        ReplyRule { start: ReplyStart::Text(Cow::Borrowed(b"")), end: ReplyEnd::FirstBytes };
    Content::Request(CustomRequest { bytes: bytes.into(), reply })
}

fn with(content: Content) -> Settings {
    Settings { content, ..Settings::series(10) }
}

fn diagnose(target: &str, settings: &Settings) -> Result<DiagnosisPlan, PlanError> {
    DiagnosisPlan::new(&target.parse().unwrap(), settings)
}

fn trace(targets: &[&str], settings: Settings) -> Result<TracePlan, PlanError> {
    let targets: Vec<_> = targets.iter().map(|target| target.parse().unwrap()).collect();
    TracePlan::new(&targets, &TraceSettings { each: settings, count: 1, size: None })
}

/// The contents that need a server program or a handshake.
fn contents() -> [Content; 3] {
    [service("redis"), request("x"), Content::Handshake]
}

#[test]
fn request_that_applies_to_no_protocol_is_rejected_by_every_plan() {
    for content in contents() {
        let settings = with(content);
        let error = plan("icmp", settings.clone()).unwrap_err();
        assert!(error.to_string().contains("ICMP"), "{error}");
        assert_eq!(diagnose("icmp://h", &settings).unwrap_err(), error);
        let compared = compare("icmp://a", Some("icmp://b"), &comparison(settings));
        assert_eq!(compared.unwrap_err(), error);
    }
    let error = diagnose("h", &with(service("gopher"))).unwrap_err();
    assert!(matches!(error, PlanError::UnknownService { .. }), "{error}");
}

#[test]
fn form_of_replies_that_applies_to_no_protocol_is_rejected_by_every_plan() {
    let settings = Settings { echo: EchoForm::Upper, ..Settings::series(10) };
    let error = PlanError::NoUpperCase { protocol: "ICMP" };
    assert_eq!(plan("icmp", settings.clone()).unwrap_err(), error);
    assert_eq!(diagnose("icmp://h", &settings).unwrap_err(), error);
    assert_eq!(trace(&["icmp://h"], settings.clone()).unwrap_err(), error);
    let compared = compare("icmp://a", Some("icmp://b"), &comparison(settings.clone()));
    assert_eq!(compared.unwrap_err(), error);
    // It applies to the other side. A diagnosis also checks with ICMP whether the host is up.
    assert!(compare("icmp://a", Some("udp://b"), &comparison(settings.clone())).is_ok());
    assert!(diagnose("h", &settings).is_ok());
    assert!(trace(&["icmp://h", "h"], settings).is_ok());
}

#[test]
fn side_to_which_the_request_does_not_apply_has_echo_requests() {
    for content in contents() {
        let plan = compare("icmp://a", Some("tcp://b"), &comparison(with(content))).unwrap();
        let [a, b] = plan.sides();
        assert!(matches!(a.settings().content, Content::Sized(_)), "{a:?}");
        assert!(!matches!(b.settings().content, Content::Sized(_)), "{b:?}");
    }
    let settings = comparison(with(Content::Handshake));
    let plan = compare("udp://a", Some("tcp://b"), &settings).unwrap();
    assert!(matches!(plan.sides()[0].settings().content, Content::Sized(None)));
}

#[test]
fn protocol_with_the_selected_request_is_the_default_of_a_comparison() {
    for (content, b, urls) in [
        (service("redis"), Some("b"), ["tcp://a:6379", "tcp://b:6379"]),
        (service("dns"), Some("b:5353"), ["udp://a:53", "udp://b:5353"]),
        (Content::Handshake, Some("b"), ["tcp://a:12000", "tcp://b:12000"]),
        (request("x"), Some("b"), ["udp://a:25000", "tcp://b:12000"]),
        // There is no other protocol with the request, so the kernel of the host replies over the other one.
        (service("redis"), None, ["tcp://a:6379", "icmp://a"]),
        (service("ntp"), None, ["udp://a:123", "icmp://a"]),
        (Content::Handshake, None, ["tcp://a:12000", "icmp://a"]),
        (request("x"), None, ["udp://a:25000", "tcp://a:12000"]),
    ] {
        let plan = compare("a", b, &comparison(with(content))).unwrap();
        assert_eq!(plan.sides().each_ref().map(Plan::url), urls);
    }
    let settings = comparison(with(service("redis")));
    let plan = compare("a:7000", None, &settings).unwrap();
    assert_eq!(plan.sides().each_ref().map(Plan::url), ["tcp://a:7000", "icmp://a"]);
    let plan = compare("icmp://a", None, &settings).unwrap();
    assert_eq!(plan.sides().each_ref().map(Plan::url), ["icmp://a", "tcp://a:6379"]);
}

#[test]
fn sweep_of_requests_with_one_size_is_rejected() {
    for content in contents() {
        let mut settings = comparison(with(content));
        settings.sweep = true;
        let error = compare("icmp://a", Some("tcp://b"), &settings).unwrap_err();
        assert_eq!(error, PlanError::SweepWithoutEcho);
    }
}

#[test]
fn exchange_without_a_request_packet_has_no_breakdown() {
    for content in [service("ssh"), request("")] {
        let greeting = plan("tcp", with(content.clone())).unwrap();
        assert_eq!(greeting.with_breakdown().unwrap_err(), PlanError::GreetingWithBreakdown);
        let settings = Settings { breakdown: true, ..with(content) };
        assert_eq!(plan("tcp", settings).unwrap_err(), PlanError::GreetingWithBreakdown);
    }
    // An empty datagram is a packet.
    let settings = Settings { breakdown: true, ..with(request("")) };
    assert!(plan("udp", settings).is_ok());
}

#[test]
fn empty_datagram_is_rejected_if_the_protocol_cannot_send_it() {
    static NO_EMPTY_MESSAGE: Protocol = Protocol { allows_empty_message: false, ..EXAMPLE };
    let target = "h".parse().unwrap();
    let error = Plan::new(&NO_EMPTY_MESSAGE, target, with(request(""))).unwrap_err();
    assert_eq!(error, PlanError::EmptyMessage { protocol: "Example" });
    assert!(Plan::new(&EXAMPLE, "h".parse().unwrap(), with(request(""))).is_ok());
}

#[test]
fn requests_in_flight_have_different_identifiers() {
    let settings = |rate| Settings {
        rate: Some(rate),
        timeout: Duration::from_secs(2),
        count: None,
        ..with(service("dns"))
    };
    // An identifier of DNS has 16 bits.
    let error = plan("udp", settings(40_000.0)).unwrap_err();
    assert_eq!(error, PlanError::TooFewIdentifiers { max: 65_535 });
    assert!(plan("udp", settings(32_768.0)).is_err());
    assert!(plan("udp", settings(32_767.0)).is_ok());
    // Fewer requests than identifiers.
    assert!(plan("udp", Settings { count: Some(65_535), ..settings(40_000.0) }).is_ok());
    // The identifier of NTP has 64 bits.
    assert!(plan("udp", Settings { content: service("ntp"), ..settings(40_000.0) }).is_ok());
}
