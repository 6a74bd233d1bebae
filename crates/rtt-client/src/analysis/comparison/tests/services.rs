//! Tests of comparisons with services: only the causes and the claims that apply to their exchanges.

use super::*;
use crate::model::expected_server::ExpectedServer;

/// A comparison of ICMP with this service over TCP.
fn evidence_of(service: &str) -> Evidence {
    let tcp = protocol_named("tcp").unwrap();
    let service = tcp.services.iter().find(|it| it.name == service).unwrap();
    let [icmp, tcp] = [side("icmp", 2, 30), side("tcp", 3, 35)];
    let of_service = Side {
        expected: ExpectedServer::Service(service),
        request_bytes: service.request.len(),
        traffic: tcp.traffic.map(|traffic| Traffic {
            ip_bytes_out: 500 * 100,
            ip_bytes_in: 500 * 1057,
            ..traffic
        }),
        ..tcp
    };
    Evidence { pairs: pairs(40), ..Evidence::new([icmp, of_service]) }
}

/// A comparison with a service whose exchanges have a new connection each.
fn with_new_connections(service: &str) -> Evidence {
    let mut evidence = evidence_of(service);
    let of_service = &mut evidence.sides[1];
    of_service.with_connection = None;
    (0..500).for_each(|_| of_service.summary.connect.add(microseconds(60)));
    evidence
}

fn names(verdict: &Verdict) -> Vec<&'static str> {
    verdict.causes.iter().map(|cause| cause.kind.name()).collect()
}

#[test]
fn bytes_of_a_service_are_one_sum_because_its_replies_have_another_length() {
    let verdict = judge(&evidence_of("http"), 0.95);
    let packets = cause(&verdict, "packets").evidence;
    let expected = "TCP sent 1 and received 1 packet for each exchange. Both directions together: 1,157 bytes (payload, \
                    and headers of IP and TCP).";
    assert!(packets.ends_with(expected), "{packets}");
    assert!(packets.contains("128 bytes of payload and"), "{packets}");
}

#[test]
fn later_exchanges_are_described_only_if_connections_are_kept() {
    let kept = Evidence { pairs_with_connection: pairs(100), ..evidence_of("http") };
    let kept = judge(&kept, 0.95);
    for name in ["handshake", "first-exchange", "acknowledgements", "windows"] {
        assert!(names(&kept).contains(&name), "{name} in {kept:?}");
    }
    assert_eq!(claim(&kept, HANDSHAKE).holds, Some(false));
    for service in ["ssh", "smtp", "http"] {
        let verdict = judge(&with_new_connections(service), 0.95);
        for name in ["handshake", "first-exchange", "acknowledgements", "windows"] {
            assert!(!names(&verdict).contains(&name), "{name} in {verdict:?}");
        }
        assert!(names(&verdict).contains(&"server-program"), "{verdict:?}");
        let packets = cause(&verdict, "packets").evidence;
        assert!(packets.contains("include the packets that open and close"), "{packets}");
        let claims: Vec<&str> = verdict.claims.iter().map(|claim| claim.claim).collect();
        assert_eq!(claims.len(), 1, "{claims:?}");
        assert!(claims[0].contains("`ping`"), "{claims:?}");
    }
}

#[test]
fn missing_difference_with_new_connections_is_not_a_statement_about_an_established_connection() {
    let udp = side("udp", 2, 30);
    let mut evidence = with_new_connections("http");
    evidence.sides[0] = udp;
    evidence.pairs = pairs(0);
    let verdict = judge(&evidence, 0.95);
    assert!(!format!("{verdict:?}").contains("established connection"), "{verdict:?}");
    assert!(!format!("{verdict:?}").contains("Not measured: no exchange used"), "{verdict:?}");
}
