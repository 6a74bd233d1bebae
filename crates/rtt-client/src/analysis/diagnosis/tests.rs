//! Tests of explanations.

use super::*;
use crate::protocol::registry::PROTOCOLS;

fn finding(protocol: &'static Protocol, condition: Condition, origin: Option<Origin>) -> Finding {
    Finding {
        protocol,
        target: "h:7".into(),
        address: Some("192.0.2.1:7".parse().unwrap()),
        icmp_from_this_host: false,
        connect_duration: None,
        sent: 3,
        result: ProbeResult::NoAnswer(Failure {
            origin,
            ..Failure::new(condition, Duration::ZERO)
        }),
        unconnected: None,
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

#[test]
fn refusal_by_an_icmp_error_without_sender_is_no_reset() {
    let icmp = IcmpError { is_v6: false, kind: 3, code: 3, from: None };
    for protocol in PROTOCOLS {
        let finding = finding(protocol, Condition::Refused, Some(Origin::Icmp(icmp)));
        let meaning = finding.explain().meaning;
        assert!(meaning.starts_with("an ICMP error reports"), "{meaning}");
    }
}
