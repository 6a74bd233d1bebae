//! The meaning of failures over UDP, where it differs from the generic explanation.

use crate::analysis::diagnosis::{Explanation, Finding};
use crate::model::condition::Condition;
use crate::model::format::counted;
use crate::model::protocol::Protocol;
use crate::protocol::registry::PROTOCOLS;

/// The explanation of `finding`. `None` if the generic explanation is sufficient.
pub(super) fn explain(finding: &Finding) -> Option<Explanation> {
    match finding.condition() {
        Condition::Silent => Some(Explanation {
            meaning: format!(
                "the client sent {}, but received no answer",
                counted(finding.sent.into(), "datagram", "datagrams")
            ),
            not_certain: "the reason: a program that receives the datagrams but does not answer, an absent server, a \
                          firewall that drops packets, or a lost reply",
            next_step: format!(
                "{}{}",
                try_with_connections(finding),
                finding.advice_for_silent_datagrams()
            ),
        }),
        _ => None,
    }
}

/// The advice to try a protocol with connections. Empty if the same diagnosis has tried it.
fn try_with_connections(finding: &Finding) -> String {
    let has_connections = |it: &&Protocol| it.has_connections() && it.has_ports() && it.is_reliable;
    match PROTOCOLS.iter().find(has_connections) {
        Some(protocol) if !finding.other_protocols.contains(&protocol) => format!(
            "try {}: if no firewall drops the packets, a host that is up accepts or refuses a connection; ",
            protocol.title
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::diagnosis::ProbeResult;
    use crate::model::condition::Failure;
    use crate::protocol::registry::protocol_named;
    use std::time::Duration;

    #[test]
    fn silence_has_the_advice_to_try_another_protocol_only_if_the_diagnosis_has_not_tried_it() {
        let failure = Failure::new(Condition::Silent, Duration::ZERO);
        let udp = protocol_named("udp").unwrap();
        let mut finding = Finding::new(udp, "192.0.2.1:7", ProbeResult::NoAnswer(failure));
        let explanation = finding.explain();
        assert!(explanation.next_step.starts_with("try TCP: "), "{explanation:?}");
        assert!(
            explanation.not_certain.contains("receives the datagrams but does not answer"),
            "{explanation:?}"
        );
        finding.other_protocols = vec![protocol_named("tcp").unwrap()];
        let next_step = finding.explain().next_step;
        assert!(next_step.starts_with("if another service uses the port"), "{next_step}");
    }
}
