//! The verdict of a comparison: which side has the higher RTT, by how much, with what confidence, and why.
//!
//! The verdict is based on pairs of exchanges. Its estimate is the median of the paired differences. Its confidence
//! interval takes the autocorrelation of the pairs into account. The file `comparison/difference.rs` explains the
//! method.
//!
//! ```
//! use rtt_client::analysis::comparison::{SideId, judge};
//! use rtt_client::analysis::evidence::{Evidence, Pair, Side};
//! use rtt_client::protocol_named;
//! use std::time::Duration;
//!
//! // 100 pairs: A takes 100 to 109 µs, B takes 5 µs longer.
//! let pairs = (0..100).map(|number| Pair {
//!     b_first: number % 2 == 0,
//!     a: Some(Duration::from_micros(100 + number % 10)),
//!     b: Some(Duration::from_micros(105 + number % 10)),
//! });
//! let [udp, tcp] = ["udp", "tcp"].map(|name| protocol_named(name).unwrap());
//! let sides = [Side::new(udp, "udp://192.0.2.1:7"), Side::new(tcp, "tcp://192.0.2.1:7")];
//! let evidence = Evidence { pairs: pairs.collect(), ..Evidence::new(sides) };
//!
//! let verdict = judge(&evidence, 0.95);
//! let difference = verdict.difference.unwrap();
//! assert_eq!(difference.estimate, 5000);
//! assert_eq!(difference.higher(), Some(SideId::B));
//! assert_eq!(
//!     verdict.sentence,
//!     "TCP takes 5.00 µs longer (median; 95 % confidence interval 5.00 to 5.00 µs). TCP is slower in all pairs."
//! );
//! ```

mod causes;
mod claims;
mod difference;
mod sentences;
#[cfg(test)]
mod tests;
pub(crate) mod transmission;

pub(crate) use causes::{CONNECTION_PHASES, not_measured, not_reached, per_exchange};
pub use causes::{Cause, CauseKind, ProtocolCause};
pub use claims::Claim;
pub(crate) use claims::{Relation, undecided};
pub use difference::{ConfidenceInterval, PairedDifference, SideId, min_pairs};

use crate::analysis::evidence::{Evidence, differences};
use sentences::{notes, sentence};

/// The conclusions from a comparison.
#[derive(Debug)]
pub struct Verdict {
    /// The difference between the RTTs. Absent if no pair has both replies.
    pub difference: Option<PairedDifference>,
    /// The difference with a new connection for each exchange. Its times start at the connection request and end at
    /// the reply. Absent if it was not measured.
    pub difference_with_connection: Option<PairedDifference>,
    /// The confidence of the intervals, between 0 and 1.
    pub confidence: f64,
    /// The verdict in one sentence.
    pub sentence: String,
    /// One sentence about the difference with a new connection for each exchange. Absent if it was not measured.
    pub sentence_with_connection: Option<String>,
    /// Possible causes of the difference, each with its share. Empty if `difference` is absent.
    pub causes: Vec<Cause>,
    /// Popular claims about the protocols of both sides, checked against this comparison. Empty if `difference` is
    /// absent.
    pub claims: Vec<Claim>,
    /// Whether each side has at least one exchange, and each exchange of the main measurement has a correct reply.
    pub all_answered: bool,
    /// Facts that a reader of the result should know.
    pub notes: Vec<String>,
}

/// Draws the conclusions from `evidence`. `confidence` is the confidence of the intervals, from 0.5 to 0.9999. Equal
/// evidence gives an equal verdict.
#[must_use]
pub fn judge(evidence: &Evidence, confidence: f64) -> Verdict {
    let difference = PairedDifference::of(&differences(&evidence.pairs), confidence);
    let with_connection =
        PairedDifference::of(&differences(&evidence.pairs_with_connection), confidence);
    let names = side_names(evidence);
    let (causes, claims) = match difference {
        None => (Vec::new(), Vec::new()),
        Some(difference) => (
            causes::list(evidence, difference, with_connection, names, confidence),
            claims::list(evidence, difference, with_connection),
        ),
    };
    Verdict {
        difference,
        difference_with_connection: with_connection,
        confidence,
        sentence: sentence(difference, names, evidence, confidence),
        sentence_with_connection: with_connection.map(|difference| {
            let verdict = sentence(Some(difference), names, evidence, confidence);
            format!("With a new connection for each exchange: {verdict}")
        }),
        causes,
        claims,
        all_answered: !evidence.ended_without_replies
            && evidence.sides.iter().all(|side| side.summary.all_answered()),
        notes: notes(evidence, names),
    }
}

/// The names of the sides in sentences: their protocols if the sides have different protocols, otherwise A and B.
pub(crate) fn side_names(evidence: &Evidence) -> [&'static str; 2] {
    match evidence.sides.each_ref().map(|side| side.protocol.title) {
        [a, b] if a == b => ["A", "B"],
        titles => titles,
    }
}
