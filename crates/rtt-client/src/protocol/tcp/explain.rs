//! The explanations of TCP: failures, causes and claims.

mod failures;

use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::explain::Explain;

/// The explanations of TCP.
pub(crate) struct Explanations;

impl Explain for Explanations {
    fn finding(&self, finding: &Finding) -> Option<Explanation> {
        failures::explain(finding)
    }
}
