//! [`Replacements`]: the channels that the client replaced.

use crate::model::replacement::Replacement;

/// The maximum number of stored replacements. More of them describe the same problem.
const MAX_STORED: usize = 20;

/// The channels that the client replaced in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replacements {
    /// The number of replacements.
    pub count: u64,
    /// The first replacements, in their order.
    pub first: Vec<Replacement>,
}

impl Replacements {
    /// Adds a replacement.
    pub(crate) fn add(&mut self, replacement: Replacement) {
        self.count += 1;
        if self.first.len() < MAX_STORED {
            self.first.push(replacement);
        }
    }

    /// The number of replacements that are not stored.
    #[must_use]
    pub fn not_stored(&self) -> u64 {
        self.count - self.first.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::replacement::{ReplacementEvidence, ReplacementReason};
    use std::time::Duration;

    #[test]
    fn number_of_stored_replacements_is_limited() {
        let mut replacements = Replacements::default();
        for number in 0..MAX_STORED as u64 + 3 {
            replacements.add(Replacement {
                after: Duration::from_secs(number),
                reason: ReplacementReason::NotSent,
                evidence: ReplacementEvidence::OtherSource,
                old_source: None,
                new_source: None,
            });
        }
        assert_eq!((replacements.first.len(), replacements.not_stored()), (MAX_STORED, 3));
        assert_eq!(replacements.first[1].after, Duration::from_secs(1));
    }
}
