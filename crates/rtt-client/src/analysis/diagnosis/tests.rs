//! Tests of explanations.

use super::*;
use crate::protocol::registry::PROTOCOLS;

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

#[test]
fn server_that_ends_a_connection_on_a_port_of_tls_possibly_expects_tls() {
    let tcp = crate::protocol_named("tcp").unwrap();
    for condition in [Condition::Closed, Condition::Reset] {
        let [usual, other] = ["192.0.2.1:443", "192.0.2.1:7"].map(|address| {
            let finding = finding(tcp, condition, Some(Origin::Peer));
            Finding { address: Some(address.parse().unwrap()), ..finding }.explain().next_step
        });
        let expected = "Port 443 is usual for TLS, so it is possible that the server expects TLS: try `--connect-only`.";
        assert!(usual.starts_with(expected), "{usual}");
        assert!(!other.contains("TLS"), "{other}");
    }
}

#[test]
fn silence_without_a_connection_suggests_the_services_of_the_protocol() {
    let udp = crate::protocol_named("udp").unwrap();
    let next_step = |address: &str, service: Option<&str>| {
        let service = service.and_then(|name| udp.services.iter().find(|it| it.name == name));
        let address = Some(address.parse().unwrap());
        Finding { address, service, ..finding(udp, Condition::Silent, None) }.explain().next_step
    };
    let any = next_step("192.0.2.1:20123", None);
    assert!(any.contains("try `--service dns` or `--service ntp`"), "{any}");
    let usual = next_step("192.0.2.1:53", None);
    assert!(usual.contains("try `--service dns`:"), "{usual}");
    let tried = next_step("192.0.2.1:53", Some("dns"));
    assert!(!tried.contains("--service dns"), "{tried}");
}
