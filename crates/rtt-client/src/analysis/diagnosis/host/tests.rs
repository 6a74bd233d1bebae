//! Tests of the conclusion about a host.

use super::*;
use crate::analysis::diagnosis::EchoServer;
use crate::model::condition::Failure;
use crate::model::icmp::IcmpError;
use crate::protocol::registry::protocol_named;
use std::time::Duration;

const HOST: &str = "192.0.2.7:7";
const ROUTER: &str = "192.0.2.254";
const TIME: Duration = Duration::from_millis(3);

fn finding(result: ProbeResult) -> Finding {
    Finding {
        address: Some(HOST.parse().unwrap()),
        sent: 1,
        ..Finding::new(protocol_named("udp").unwrap(), HOST, result)
    }
}

fn answers() -> Finding {
    finding(ProbeResult::Echo { rtt: TIME, server: EchoServer::UpperCase })
}

fn fails(condition: Condition, origin: impl Into<Option<Origin>>) -> Finding {
    let origin = origin.into();
    finding(ProbeResult::NoAnswer(Failure { origin, ..Failure::new(condition, TIME) }))
}

fn silent() -> Finding {
    fails(Condition::Silent, None)
}

fn icmp(kind: u8, code: u8, from: &str) -> Origin {
    let from = Some(from.parse().unwrap());
    Origin::Icmp(IcmpError { is_v6: false, kind, code, from })
}

fn unreachable(origin: Origin) -> Finding {
    fails(Condition::HostUnreachable, origin)
}

fn host(services: &[&Finding], check: Option<Finding>) -> HostFinding {
    let checks = check.into_iter().map(Box::new).map(HostCheck::Finding).collect();
    HostFinding::new(HOST.parse().unwrap(), services, checks)
}

fn state(service: &Finding, check: Option<Finding>) -> HostState {
    host(&[service], check).state
}

#[test]
fn reply_of_the_kernel_separates_the_host_from_the_service() {
    for service in [silent(), fails(Condition::Prohibited, icmp(3, 13, ROUTER))] {
        assert_eq!(state(&service, Some(answers())), HostState::ServiceDown);
        assert_eq!(state(&service, Some(silent())), HostState::Unknown);
        assert_eq!(state(&service, None), HostState::Unknown);
    }
    assert_eq!(state(&answers(), Some(answers())), HostState::ServiceUp);
    assert_eq!(state(&answers(), Some(silent())), HostState::ServiceUpChecksUnanswered);
    assert_eq!(state(&answers(), None), HostState::ServiceUp);
}

#[test]
fn host_is_down_if_a_router_or_the_address_resolution_of_this_host_reports_it() {
    let by_router = || unreachable(icmp(3, 1, ROUTER));
    let unresolved = |origin, next_hop: &str| Finding {
        unresolved_next_hop: Some(next_hop.parse().unwrap()),
        icmp_from_this_host: matches!(origin, Origin::Icmp(_)),
        ..unreachable(origin)
    };
    let by_resolution = || unresolved(Origin::ThisHost, "192.0.2.7");
    let by_own_icmp = || unresolved(icmp(3, 1, "192.0.2.1"), "192.0.2.7");
    let evidence: [&dyn Fn() -> Finding; 3] = [&by_router, &by_resolution, &by_own_icmp];
    for down in evidence {
        for found in [host(&[&down()], Some(silent())), host(&[&silent()], Some(down()))] {
            assert_eq!(found.state, HostState::HostDown);
            assert_eq!(found.headline(), "not reachable: down, or the link to it is down");
        }
    }
    let meaning = host(&[&by_router()], None).meaning();
    assert!(meaning.ends_with("a firewall can send the same error"), "{meaning}");
    // The next hop is a router, so the packet did not reach the link of the host.
    assert_eq!(state(&unresolved(Origin::ThisHost, ROUTER), None), HostState::Unknown);
}

#[test]
fn packet_that_does_not_reach_the_link_of_the_host_does_not_show_that_the_host_is_down() {
    let from_this_host =
        Finding { icmp_from_this_host: true, ..unreachable(icmp(3, 1, "192.0.2.1")) };
    for service in [
        unreachable(icmp(11, 0, ROUTER)),
        unreachable(Origin::ThisHost),
        unreachable(Origin::Unknown),
        from_this_host,
        fails(Condition::NoRoute, Origin::ThisHost),
    ] {
        assert_eq!(state(&service, Some(silent())), HostState::Unknown, "{service:?}");
        let by_router = unreachable(icmp(3, 1, ROUTER));
        assert_eq!(state(&service, Some(by_router)), HostState::Unknown, "{service:?}");
    }
}

#[test]
fn error_shows_that_the_host_is_up_only_if_it_comes_from_the_host() {
    let refused = |origin: Origin| fails(Condition::Refused, origin);
    assert_eq!(state(&refused(Origin::Peer), None), HostState::ServiceDown);
    assert_eq!(state(&refused(icmp(3, 3, ROUTER)), None), HostState::Unknown);
    assert_eq!(state(&refused(Origin::Unknown), None), HostState::Unknown);
    for (condition, code) in [
        (Condition::Refused, 3),
        (Condition::Prohibited, 13),
        (Condition::HostUnreachable, 1),
        (Condition::NoRoute, 0),
    ] {
        let error = || fails(condition, icmp(3, code, "192.0.2.7"));
        for found in [host(&[&error()], Some(silent())), host(&[&silent()], Some(error()))] {
            assert_eq!(found.state, HostState::ServiceDown);
            let meaning = found.meaning();
            assert!(meaning.contains("because a packet with its address arrived"), "{meaning}");
        }
    }
}

#[test]
fn answer_of_another_program_shows_that_the_host_is_up_and_that_something_uses_the_port() {
    let accepted = || Finding { connect_duration: Some(TIME), ..silent() };
    let reset =
        Finding { connect_duration: Some(TIME), ..fails(Condition::Reset, Some(Origin::Peer)) };
    let failure = Failure::new(Condition::WrongAnswer, TIME);
    let wrong = finding(ProbeResult::WrongAnswer { failure, text: "220 mail".into() });
    for service in [accepted(), reset, wrong] {
        for check in [None, Some(silent()), Some(answers())] {
            let found = host(&[&service], check);
            assert_eq!(found.state, HostState::ServiceDown);
            assert_eq!(found.headline(), "up, no echo server answers");
            assert_eq!(
                found.meaning(),
                "the host is up; something uses the port over UDP, but it does not answer as an echo server"
            );
        }
    }
    // The other protocol has no answer.
    let tcp = Finding { protocol: protocol_named("tcp").unwrap(), ..accepted() };
    let meaning = host(&[&silent(), &tcp], Some(answers())).meaning();
    assert!(meaning.contains("uses the port over TCP, but"), "{meaning}");
}

#[test]
fn service_is_not_down_if_it_replies_from_another_address_or_if_no_request_was_sent() {
    let other = fails(Condition::OtherAddress, None);
    let found = host(&[&other], Some(answers()));
    assert_eq!(found.headline(), "up, an echo server uses another address");
    let expected = "the host is up, because its kernel answers UDP; an echo server answers over UDP, but from another \
                    address";
    assert_eq!(found.meaning(), expected);
    // The reply does not come from the address of the host.
    assert_eq!(state(&other, Some(silent())), HostState::Unknown);
    let not_sent = fails(Condition::LocalLimit, Origin::ThisHost);
    let found = host(&[&not_sent], Some(answers()));
    assert_eq!(found.headline(), "up, services not checked");
    assert!(found.meaning().contains("but this host sent no request"), "{}", found.meaning());
}

#[test]
fn silent_service_on_a_host_that_is_up_can_be_a_program_that_does_not_answer() {
    let refused = fails(Condition::Refused, Origin::Peer);
    let meaning = host(&[&silent(), &refused], Some(answers())).meaning();
    assert!(
        meaning.ends_with("or a program receives the requests over UDP but does not answer"),
        "{meaning}"
    );
    let meaning = host(&[&refused], Some(answers())).meaning();
    assert!(
        meaning.ends_with("; so the service is down, or a firewall blocks its port"),
        "{meaning}"
    );
}

#[test]
fn heading_names_the_services_that_do_not_answer() {
    let tcp = Finding { protocol: protocol_named("tcp").unwrap(), ..silent() };
    let one = host(&[&answers(), &tcp], Some(answers()));
    assert_eq!((one.state, one.state.name()), (HostState::ServiceUp, "service-up"));
    assert_eq!(one.headline(), "up; UDP answers, TCP does not");
    assert!(one.meaning().ends_with("answers over UDP, but not over TCP"), "{}", one.meaning());
    let unanswered = host(&[&answers(), &tcp], Some(silent()));
    assert_eq!(unanswered.headline(), "up; UDP answers, TCP does not; host check not answered");
    assert_eq!(host(&[&answers()], Some(answers())).headline(), "up, service up");
}

#[test]
fn check_that_is_not_possible_is_not_a_missing_reply() {
    let protocol = protocol_named("icmp").unwrap();
    let checks = vec![HostCheck::NotPossible { protocol, reason: "no permission".to_owned() }];
    let host = HostFinding::new(HOST.parse().unwrap(), &[&answers()], checks);
    assert_eq!(host.state, HostState::ServiceUp);
    assert_eq!(host.checks[0].describe(), "ICMP: not possible: no permission");
}

#[test]
fn words_for_the_server_depend_on_the_expected_server() {
    let tcp = protocol_named("tcp").unwrap();
    let redis = tcp.services.iter().find(|service| service.name == "redis").unwrap();
    let texts = |expected, finding: Finding| {
        let finding = Finding { protocol: tcp, expected, ..finding };
        let found = host(&[&finding], Some(answers()));
        [found.headline(), found.meaning()]
    };
    let wrong = || {
        let failure = Failure::new(Condition::WrongAnswer, TIME);
        finding(ProbeResult::WrongAnswer { failure, text: "220 mail".into() })
    };
    let answering = || {
        finding(ProbeResult::Service {
            rtt: Some(TIME),
            after: TIME,
            reply: "+PONG".into(),
            error: None,
        })
    };
    let other_address = || fails(Condition::OtherAddress, None);
    let up = "up, service up";
    let something = "the host is up; something uses the port over TCP, but it";
    let other = "the host is up, because its kernel answers UDP;";
    for (expected, [answers, has_no_reply, sends_no_reply, server]) in [
        (
            ExpectedServer::Service(redis),
            [
                "the Redis service answers",
                "no correct reply of the Redis service",
                "sends no correct reply of the Redis service",
                "the Redis service",
            ],
        ),
        (
            ExpectedServer::Request,
            [
                "a server sends the expected reply",
                "no server sends the expected reply",
                "does not send the expected reply",
                "a server",
            ],
        ),
    ] {
        let expected_texts = [up.to_owned(), format!("the host is up, and {answers}")];
        assert_eq!(texts(expected, answering()), expected_texts);
        let expected_texts =
            [format!("up, {has_no_reply}"), format!("{something} {sends_no_reply}")];
        assert_eq!(texts(expected, wrong()), expected_texts);
        let expected_texts = [
            format!("up, {server} uses another address"),
            format!("{other} {server} answers over TCP, but from another address"),
        ];
        assert_eq!(texts(expected, other_address()), expected_texts);
        for finding in
            [answering(), wrong(), other_address(), fails(Condition::Refused, Origin::Peer)]
        {
            for text in texts(expected, finding) {
                assert!(!text.contains("echo"), "{text}");
            }
        }
    }
}
