//! The meaning of failures over UDP, where it differs from the generic explanation.

use crate::analysis::diagnosis::{Explanation, Finding};
use crate::model::condition::Condition;
use crate::model::format::counted;

/// The explanation of `finding`. `None` if the generic explanation is sufficient.
pub(super) fn explain(finding: &Finding) -> Option<Explanation> {
    match finding.condition() {
        Condition::Silent => Some(Explanation {
            meaning: format!(
                "the client sent {}, but received no answer",
                counted(finding.sent.into(), "datagram", "datagrams")
            ),
            next_step: "try TCP: if no firewall drops the packets, a host that is up accepts or refuses a connection; \
                        capture packets on the server's host"
                .to_owned(),
            ..finding.explain_generically()
        }),
        _ => None,
    }
}
