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
    // The claims describe exchanges of messages.
    if evidence.has_handshakes() {
        return Vec::new();
    }
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
    /// The comparison has no verdict: there are too few pairs, or too many disturbances.
    Unknown,
}

impl ClaimContext<'_> {
    /// The relation between the RTT of the side and the RTT of the other side, on an established connection.
    pub(crate) fn relation(&self) -> Relation {
        self.relation_in(self.difference)
    }

    /// The result for the claim that a cause leads to the relation `claimed`. Call this function only if the cause was
    /// observed.
    pub(crate) fn holds_if(&self, claimed: Relation) -> Option<bool> {
        match self.relation() {
            Relation::NoMeasurableDifference | Relation::Unknown => None,
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
        let is_swapped =
            self.other.protocol.has_connections() && !self.side.protocol.has_connections();
        let (side, other) =
            if is_swapped { (self.other, self.side) } else { (self.side, self.other) };
        let subject = side.protocol;
        let (name, other) = (subject.title, other.protocol.title);
        let phases = match subject.phases {
            [phase] => phase.name,
            _ => CONNECTION_PHASES,
        };
        let with_connection = self.with_connection.map_or_else(String::new, |difference| {
            let takes = durations(&[difference.estimate.abs()]);
            match (self.relation_in(difference), is_swapped) {
                (Relation::NoMeasurableDifference | Relation::Unknown, _) => String::new(),
                (Relation::Higher, false) | (Relation::Lower, true) => format!(
                    "With a new connection for each exchange, {name} takes {takes} longer, including the {phases}. "
                ),
                (Relation::Lower, false) | (Relation::Higher, true) => {
                    format!("With a new connection for each exchange, {name} takes {takes} less. ")
                }
            }
        });
        let condition = match subject.has_connections() {
            true if side.has_new_connections() => format!("Without the {phases}, "),
            true => "On an established connection, ".to_owned(),
            false => String::new(),
        };
        format!("{condition}{name} and {other} have no measurable difference. {with_connection}")
    }

    fn relation_in(&self, difference: PairedDifference) -> Relation {
        let side = if self.is_b { SideId::B } else { SideId::A };
        match difference.higher() {
            None if difference.interval.is_none() => Relation::Unknown,
            None => Relation::NoMeasurableDifference,
            Some(higher) if higher == side => Relation::Higher,
            Some(_) => Relation::Lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::evidence::Side;
    use crate::protocol::registry::protocol_named;

    fn with_context<T>(
        [side, other]: [&str; 2],
        differences: &[i64],
        check: impl FnOnce(ClaimContext<'_>) -> T,
    ) -> T {
        let [side, other] =
            [side, other].map(|name| Side::new(protocol_named(name).unwrap(), name));
        let difference = PairedDifference::of(differences, 0.95).unwrap();
        let with_connection = None;
        check(ClaimContext { side: &side, other: &other, is_b: false, difference, with_connection })
    }

    #[test]
    fn missing_interval_is_not_the_same_as_no_measurable_difference() {
        for (differences, relation) in [
            (vec![5_000; 3], Relation::Unknown),
            (vec![0; 100], Relation::NoMeasurableDifference),
            (vec![5_000; 100], Relation::Lower),
        ] {
            with_context(["udp", "tcp"], &differences, |context| {
                assert_eq!(context.relation(), relation);
                let is_decided = relation == Relation::Lower;
                assert_eq!(context.holds_if(Relation::Lower), is_decided.then_some(true));
                let has_text = relation == Relation::NoMeasurableDifference;
                assert_eq!(!context.no_difference().is_empty(), has_text);
            });
        }
    }

    #[test]
    fn connection_is_mentioned_only_if_a_protocol_has_connections() {
        let text = |names| with_context(names, &[0; 100], |context| context.no_difference());
        assert_eq!(text(["icmp", "udp"]), "ICMP and UDP have no measurable difference. ");
        let expected = "On an established connection, TCP and UDP have no measurable difference. ";
        assert_eq!([text(["udp", "tcp"]), text(["tcp", "udp"])], [expected; 2]);
    }
}
