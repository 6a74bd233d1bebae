//! Popular claims about the protocols of a comparison. The folder of each protocol contains the claims about it.

use super::{CONNECTION_PHASES, PairedDifference, SideId};
use crate::analysis::evidence::Evidence;
use crate::analysis::explain::ClaimContext;
use crate::model::format::durations;
use crate::protocol::explanations::explanations_of;

/// A popular claim, and whether this comparison confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The claim.
    pub claim: &'static str,
    /// Whether the claim is true. Absent if this comparison cannot decide it, or if it is true only under some
    /// conditions.
    pub holds: Option<bool>,
    /// The measurements that support `holds`, or the reason why there are none.
    pub evidence: String,
}

/// Checks the claims about the protocol of A, then the claims about the protocol of B. If both sides have the same
/// protocol, checks its claims once.
pub(super) fn list(
    evidence: &Evidence,
    difference: PairedDifference,
    with_connection: Option<PairedDifference>,
) -> Vec<Claim> {
    let [a, b] = &evidence.sides;
    let context =
        |side, other, is_b| ClaimContext { side, other, is_b, difference, with_connection };
    let mut claims = explanations_of(a.protocol).claims(&context(a, b, false));
    if a.protocol != b.protocol {
        claims.extend(explanations_of(b.protocol).claims(&context(b, a, true)));
    }
    claims
}

/// A claim that this comparison cannot decide.
pub(crate) fn undecided(claim: &'static str, reason: &str) -> Claim {
    Claim { claim, holds: None, evidence: reason.to_owned() }
}

/// The relation between the RTT of one side and the RTT of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Higher,
    Lower,
    NoMeasurableDifference,
}

impl ClaimContext<'_> {
    /// The relation between the RTT of the side and the RTT of the other side, on an established connection.
    pub(crate) fn relation(&self) -> Relation {
        self.relation_in(self.difference)
    }

    /// The result for a claim that a certain cause leads to `claimed`. Call this function only if the cause was
    /// observed.
    pub(crate) fn holds_if(&self, claimed: Relation) -> Option<bool> {
        match self.relation() {
            Relation::NoMeasurableDifference => None,
            relation => Some(relation == claimed),
        }
    }

    /// The beginning of the evidence. Empty if there is a measurable difference. The text also states the difference
    /// with a new connection for each exchange, because users often mean this difference.
    pub(crate) fn no_difference(&self) -> String {
        if self.relation() != Relation::NoMeasurableDifference {
            return String::new();
        }
        // The subject of the sentences is the side with connections.
        let (subject, other, is_swapped) = if self.side.protocol.has_connections() {
            (self.side.protocol, self.other.protocol, false)
        } else {
            (self.other.protocol, self.side.protocol, true)
        };
        let (name, other) = (subject.title, other.title);
        let with_connection = self.with_connection.map_or_else(String::new, |difference| {
            let takes = durations(&[difference.estimate.abs()]);
            match (self.relation_in(difference), is_swapped) {
                (Relation::NoMeasurableDifference, _) => String::new(),
                (Relation::Higher, false) | (Relation::Lower, true) => {
                    let phases = match subject.phases {
                        [phase] => phase.name,
                        _ => CONNECTION_PHASES,
                    };
                    format!(
                        "With a new connection for each exchange, {name} takes {takes} longer, including the {phases}. "
                    )
                }
                (Relation::Lower, false) | (Relation::Higher, true) => {
                    format!("With a new connection for each exchange, {name} takes {takes} less. ")
                }
            }
        });
        format!(
            "On an established connection, {name} and {other} have no measurable difference. {with_connection}"
        )
    }

    fn relation_in(&self, difference: PairedDifference) -> Relation {
        let side = if self.is_b { SideId::B } else { SideId::A };
        match difference.higher() {
            None => Relation::NoMeasurableDifference,
            Some(higher) if higher == side => Relation::Higher,
            Some(_) => Relation::Lower,
        }
    }
}
