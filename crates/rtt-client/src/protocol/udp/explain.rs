//! The explanations of UDP: failures and claims.

pub(super) mod claims;
mod failures;

use crate::analysis::comparison::Claim;
use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::explain::{ClaimContext, Explain};

/// The explanations of UDP.
pub(crate) struct Explanations;

impl Explain for Explanations {
    fn finding(&self, finding: &Finding) -> Option<Explanation> {
        failures::explain(finding)
    }

    fn claims(&self, context: &ClaimContext<'_>) -> Vec<Claim> {
        claims::list(context)
    }

    fn packets_not_counted(&self) -> &'static str {
        "a request is longer than a packet, and this system does not count fragments"
    }
}
