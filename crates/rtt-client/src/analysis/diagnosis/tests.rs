//! Tests of explanations.

use super::*;
use crate::protocol::registry::{PROTOCOLS, protocol_named};

fn finding(protocol: &'static Protocol, condition: Condition, origin: Option<Origin>) -> Finding {
    let failure = Failure { origin, ..Failure::new(condition, Duration::ZERO) };
    Finding {
        address: Some("192.0.2.1:7".parse().unwrap()),
        sent: 3,
        ..Finding::new(protocol, "h:7", ProbeResult::NoAnswer(failure))
    }
}

#[test]
fn generic_explanations_do_not_depend_on_the_terms_of_a_protocol() {
    use Condition as C;
    for protocol in PROTOCOLS {
        for condition in [
            C::NameNotFound,
            C::NameLookupFailed,
            C::NoRoute,
            C::HostUnreachable,
            C::Refused,
            C::Prohibited,
            C::Silent,
            C::Closed,
            C::Reset,
            C::WrongAnswer,
            C::PermissionDenied,
        ] {
            let icmp = IcmpError { is_v6: false, kind: 3, code: 3, from: None };
            let origins = [Origin::ThisHost, Origin::Peer, Origin::Unknown, Origin::Icmp(icmp)];
            for origin in origins.map(Some).into_iter().chain([None]) {
                let generic = finding(protocol, condition, origin).explain_generically();
                // IP reports errors about packets of every protocol with ICMP errors.
                let text = format!("{generic:?}").replace("ICMP error", "");
                for term in [protocol.title, "datagram", "SYN", "segment"] {
                    assert!(!text.contains(term), "{term} in {generic:?}");
                }
            }
        }
    }
}

/// The text of the explanation, generic or of the protocol.
fn texts(finding: &Finding) -> [String; 2] {
    [finding.explain_generically(), finding.explain()]
        .map(|it| format!("{}; {}; {}", it.meaning, it.not_certain, it.next_step))
}

#[test]
fn explanation_mentions_ports_and_servers_only_if_the_protocol_has_them() {
    use Condition as C;
    let kernel_protocols: Vec<_> =
        PROTOCOLS.iter().filter(|it| !it.has_ports() && !it.needs_server_program()).collect();
    assert!(!kernel_protocols.is_empty());
    for protocol in kernel_protocols {
        for condition in
            [C::HostUnreachable, C::Refused, C::Prohibited, C::Silent, C::WrongAnswer, C::NoRoute]
        {
            let icmp = |from: Option<&str>| {
                let from = from.map(|from| from.parse().unwrap());
                Origin::Icmp(IcmpError { is_v6: false, kind: 3, code: 13, from })
            };
            let senders = [Some("192.0.2.1"), Some("192.0.2.254"), None].map(icmp);
            for origin in senders.into_iter().chain([Origin::ThisHost]) {
                for text in texts(&finding(protocol, condition, Some(origin))) {
                    let text = text.replace("report", "").replace("support", "");
                    assert!(!text.contains("port") && !text.contains("server"), "{text}");
                }
            }
        }
        let rtt = Duration::ZERO;
        let result = ProbeResult::Echo { rtt, server: EchoServer::UpperCase };
        let answering = Finding { result, ..finding(protocol, C::Silent, None) };
        for text in texts(&answering) {
            assert!(!text.contains("server"), "{text}");
        }
    }
}

#[test]
fn hop_limit_that_the_user_set_explains_a_discarded_packet() {
    for (is_v6, kind) in [(false, 11), (true, 3)] {
        let from = Some("192.0.2.254".parse().unwrap());
        let icmp = Origin::Icmp(IcmpError { is_v6, kind, code: 0, from });
        let exceeded = || finding(&PROTOCOLS[0], Condition::HostUnreachable, Some(icmp));
        let meaning = exceeded().explain().meaning;
        assert!(meaning.contains("the path has a loop or is too long"), "{meaning}");
        let limited = Finding { hop_limit: NonZeroU8::new(1), ..exceeded() };
        let meaning = limited.explain().meaning;
        assert!(meaning.contains("its hop limit of 1 reached zero there"), "{meaning}");
        assert!(!meaning.contains("loop"), "{meaning}");
    }
}

#[test]
fn local_error_is_a_failed_address_resolution_only_if_a_next_hop_is_unresolved() {
    let by_route = || finding(&PROTOCOLS[0], Condition::HostUnreachable, Some(Origin::ThisHost));
    let meaning = by_route().explain().meaning;
    assert!(meaning.contains("a route of type `unreachable`"), "{meaning}");
    let next_hop = Some("192.0.2.1".parse().unwrap());
    let unresolved = Finding { unresolved_next_hop: next_hop, ..by_route() };
    let meaning = unresolved.explain().meaning;
    assert!(meaning.starts_with("on this host's own link, no host answers"), "{meaning}");
}

#[test]
fn refusal_by_an_icmp_error_without_sender_is_no_reset() {
    let icmp = IcmpError { is_v6: false, kind: 3, code: 3, from: None };
    for protocol in PROTOCOLS {
        let finding = finding(protocol, Condition::Refused, Some(Origin::Icmp(icmp)));
        let meaning = finding.explain_generically().meaning;
        assert!(meaning.starts_with("an ICMP error reports"), "{meaning}");
    }
}

/// The finding of a probe of Redis, or of the user's request without a service.
fn finding_of(expected: Option<&str>, condition: Condition, address: &str) -> Finding {
    let tcp = protocol_named("tcp").unwrap();
    let service = |name| tcp.services.iter().find(|service| service.name == name).unwrap();
    Finding {
        address: Some(address.parse().unwrap()),
        expected: expected
            .map_or(ExpectedServer::Request, |name| ExpectedServer::Service(service(name))),
        ..finding(tcp, condition, None)
    }
}

fn wrong_answer(expected: Option<&str>, text: &'static str) -> Explanation {
    let failure = Failure::new(Condition::WrongAnswer, Duration::ZERO);
    let result = ProbeResult::WrongAnswer { failure, text: text.into() };
    Finding { result, ..finding_of(expected, Condition::Silent, "192.0.2.1:7") }.explain()
}

#[test]
fn refused_service_is_not_started_as_an_echo_server() {
    let refused =
        |expected, address| finding_of(expected, Condition::Refused, address).explain().next_step;
    assert_eq!(refused(Some("redis"), "192.0.2.1:6379"), "start the Redis service on that host");
    assert_eq!(
        refused(Some("redis"), "192.0.2.1:7"),
        "start the Redis service on that host; check whether the port is correct (port 6379 is usual)"
    );
    assert_eq!(refused(None, "192.0.2.1:7"), "start a server on that host");
}

#[test]
fn selected_service_that_refuses_the_request_is_not_measured_again() {
    let refusal = wrong_answer(Some("redis"), "-NOAUTH Authentication required.\r\n");
    assert_eq!(
        refusal.meaning,
        "the Redis service refuses the request: \"-NOAUTH Authentication required.\""
    );
    assert!(!refusal.next_step.contains("--service"), "{refusal:?}");
    let other = wrong_answer(Some("redis"), "SSH-2.0-OpenSSH\r\n");
    assert!(other.next_step.contains("--service ssh -c 100"), "{other:?}");
    assert_eq!(other.not_certain, "whether the expected service runs on another port");
    let of_request = wrong_answer(None, "HTTP/1.1 400 Bad Request\r\n");
    assert!(of_request.meaning.contains("begins like a reply of HTTP"), "{of_request:?}");
    assert!(!of_request.next_step.contains("--service"), "{of_request:?}");
    let unknown = wrong_answer(Some("redis"), "hello");
    assert_eq!(
        unknown.meaning,
        "a server answers, but not with the expected reply, so it is possibly another service"
    );
    for explanation in [refusal, other, of_request, unknown] {
        assert!(!format!("{explanation:?}").contains("echo server"), "{explanation:?}");
    }
}

#[test]
fn advice_after_silence_has_the_form_of_every_next_step() {
    let connect_duration = Some(Duration::from_micros(65));
    for (expected, port) in
        [(Some("redis"), 6379), (Some("http"), 6379), (Some("http"), 7), (None, 7)]
    {
        let address = format!("192.0.2.1:{port}");
        let silent = finding_of(expected, Condition::Silent, &address);
        let Explanation { meaning, next_step, .. } =
            Finding { connect_duration, ..silent }.explain();
        assert!(meaning.starts_with("connected in 65.0 µs, no reply: "), "{meaning}");
        assert!(next_step.starts_with(char::is_lowercase), "{next_step}");
        assert!(next_step.ends_with("; read the server's log"), "{next_step}");
        assert!(!next_step.contains(". "), "{next_step}");
        let suggests_itself = next_step.contains("--service") && expected == Some("redis");
        assert!(!suggests_itself, "{next_step}");
    }
}

#[test]
fn server_that_ends_a_connection_on_a_port_of_tls_possibly_expects_tls() {
    let tcp = protocol_named("tcp").unwrap();
    for condition in [Condition::Closed, Condition::Reset] {
        let [usual, other] = ["192.0.2.1:443", "192.0.2.1:7"].map(|address| {
            let finding = finding(tcp, condition, Some(Origin::Peer));
            Finding { address: Some(address.parse().unwrap()), ..finding }.explain().next_step
        });
        let expected = "port 443 is usual for TLS, so it is possible that the server expects TLS: try `--connect-only`; ";
        assert!(usual.starts_with(expected), "{usual}");
        assert!(!other.contains("TLS"), "{other}");
    }
}

#[test]
fn silence_without_a_connection_suggests_the_services_of_the_protocol() {
    let udp = protocol_named("udp").unwrap();
    let next_step = |address: &str, expected: ExpectedServer| {
        let address = Some(address.parse().unwrap());
        Finding { address, expected, ..finding(udp, Condition::Silent, None) }.explain().next_step
    };
    let any = next_step("192.0.2.1:20123", ExpectedServer::Echo);
    assert!(any.contains("try `--service dns` or `--service ntp`"), "{any}");
    let usual = next_step("192.0.2.1:53", ExpectedServer::Echo);
    assert!(usual.contains("try `--service dns`:"), "{usual}");
    let tried = next_step("192.0.2.1:53", ExpectedServer::Service(&udp.services[0]));
    assert!(!tried.contains("--service"), "{tried}");
}
