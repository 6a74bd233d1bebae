//! The meaning of failures over UDP, where it differs from the generic explanation.

use crate::analysis::diagnosis::{Explanation, Finding};
use crate::model::condition::Condition;
use crate::model::format::counted;
use crate::protocol::registry::PROTOCOLS;

/// The explanation of `finding`. `None` if the generic explanation is sufficient.
pub(super) fn explain(finding: &Finding) -> Option<Explanation> {
    match finding.condition() {
        Condition::Silent => Some(Explanation {
            meaning: format!(
                "the client sent {}, but received no answer",
                counted(finding.sent.into(), "datagram", "datagrams")
            ),
            next_step: format!(
                "{}capture packets on the server's host",
                PROTOCOLS.iter().find(|it| it.has_connections() && it.has_ports() && it.is_reliable).map_or_else(
                    String::new,
                    |protocol| format!(
                        "try {}: if no firewall drops the packets, a host that is up accepts or refuses a connection; ",
                        protocol.title
                    )
                )
            ),
            ..finding.explain_generically()
        }),
        _ => None,
    }
}
