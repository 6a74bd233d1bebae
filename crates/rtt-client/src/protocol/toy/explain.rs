//! The explanations of the toy protocol.

use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::explain::Explain;
use crate::model::condition::Condition;

/// The explanations of the toy protocol.
pub(crate) struct Explanations;

impl Explain for Explanations {
    fn finding(&self, finding: &Finding) -> Option<Explanation> {
        (finding.condition() == Condition::Refused).then(|| Explanation {
            meaning: "the toy server refuses the keys of this client".to_owned(),
            not_certain: "which keys the server accepts",
            next_step: "use another port of the toy server".to_owned(),
        })
    }
}
