//! The explanations of TCP: failures, causes and claims.

mod causes;
mod claims;
mod failures;
mod handshakes;
pub(super) mod two_writes;

use crate::analysis::comparison::{Cause, Claim};
use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::explain::{CauseContext, ClaimContext, Explain};
use crate::model::condition::Condition;

/// The explanations of TCP.
pub(crate) struct Explanations;

impl Explain for Explanations {
    fn of_handshakes(&self) -> Option<&'static dyn Explain> {
        Some(&handshakes::Explanations)
    }

    fn finding(&self, finding: &Finding) -> Option<Explanation> {
        failures::explain(finding)
    }

    fn packet_of_peer(&self, condition: Condition) -> Option<&'static str> {
        Some(match condition {
            Condition::Closed => "the end of the TCP connection",
            _ => "a TCP reset",
        })
    }

    fn causes(&self, context: &CauseContext<'_>) -> Vec<Cause> {
        causes::list(context)
    }

    fn claims(&self, context: &ClaimContext<'_>) -> Vec<Claim> {
        claims::list(context)
    }

    fn packets_not_counted(&self) -> &'static str {
        "this system does not count the packets of a connection"
    }
}
