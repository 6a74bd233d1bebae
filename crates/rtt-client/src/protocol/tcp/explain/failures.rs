//! The meaning of failures over TCP, where it differs from the generic explanation.

use crate::analysis::diagnosis::{Explanation, Finding};
use crate::model::condition::Condition;
use crate::protocol::registry::PROTOCOLS;

/// The explanation of `finding`. `None` if the generic explanation is sufficient.
pub(super) fn explain(finding: &Finding) -> Option<Explanation> {
    let generic = finding.explain_generically();
    match finding.condition() {
        Condition::NoRoute if finding.is_group_address() => Some(Explanation {
            next_step: format!(
                "use {}the address of one host",
                PROTOCOLS
                    .iter()
                    .find(|protocol| !protocol.has_connections() && protocol.has_ports())
                    .map_or_else(String::new, |protocol| format!("{}, or ", protocol.title))
            ),
            ..generic
        }),
        Condition::Refused if finding.icmp().is_none() => Some(Explanation {
            meaning: "the host is up; its TCP reset reports that no process listens on the port"
                .to_owned(),
            ..generic
        }),
        Condition::Silent if finding.connect_duration.is_some() => Some(Explanation {
            not_certain: "whether the server hangs or is another service: its kernel accepts connections for it",
            ..generic
        }),
        Condition::Silent => Some(Explanation {
            meaning:
                "the client sent connection requests (SYN), but received no answer, not even a refusal"
                    .to_owned(),
            ..generic
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::diagnosis::ProbeResult;
    use crate::model::condition::Failure;
    use std::time::Duration;

    fn finding(condition: Condition, address: &str) -> Finding {
        let result = ProbeResult::NoAnswer(Failure::new(condition, Duration::ZERO));
        let protocol = crate::protocol_named("tcp").unwrap();
        Finding { address: Some(address.parse().unwrap()), ..Finding::new(protocol, "h:7", result) }
    }

    #[test]
    fn connection_to_a_group_has_an_advice_of_its_own() {
        let group = finding(Condition::NoRoute, "224.0.0.1:7").explain();
        assert_eq!(group.next_step, "use UDP, or the address of one host");
        assert_eq!(explain(&finding(Condition::NoRoute, "192.0.2.1:7")), None);
    }

    #[test]
    fn silence_has_different_explanations_before_and_after_the_handshake() {
        let before = finding(Condition::Silent, "192.0.2.1:7");
        assert!(before.explain().meaning.contains("(SYN)"), "{:?}", before.explain());
        let after = Finding { connect_duration: Some(Duration::from_millis(5)), ..before };
        let explanation = after.explain();
        assert!(explanation.meaning.contains("connected in 5.000 ms"));
        assert!(explanation.not_certain.ends_with("its kernel accepts connections for it"));
    }
}
