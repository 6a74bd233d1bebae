//! What a comparison comes to: which side is longer, by how much, how sure, and why. Pure: evidence in,
//! verdict out; no clock is read and nothing drawn at random.

mod causes;
mod claims;
mod difference;
#[cfg(test)]
mod tests;

pub use causes::{Cause, CauseKind};
pub use claims::Claim;
pub use difference::{PairedDifference, SideId, min_pairs};

use crate::analysis::evidence::{Evidence, IncompleteExperiment, differences};
use crate::model::format::{self, CommonUnit, count, decimal, durations};

/// The judgement of a comparison.
#[derive(Debug)]
pub struct Verdict {
    /// The shift between RTTs in the steady state, if there are any pairs.
    pub difference: Option<PairedDifference>,
    /// The same with a connection for each exchange, if that was measured.
    pub difference_with_connection: Option<PairedDifference>,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// It all in a sentence.
    pub sentence: String,
    /// The same with a connection for each exchange.
    pub sentence_with_connection: Option<String>,
    /// What the difference consists of, and what it does not.
    pub causes: Vec<Cause>,
    /// What people say about it, held or refuted.
    pub claims: Vec<Claim>,
    /// Whether every exchange of the pairs was answered, and there was one.
    pub all_answered: bool,
    /// Where the answer is biased, or the run was not as it should be.
    pub notes: Vec<String>,
}

/// Judges what was measured; the intervals hold with that confidence, from 0.5 to 0.9999.
#[must_use]
pub fn judge(evidence: &Evidence, confidence: f64) -> Verdict {
    let steady = PairedDifference::of(&differences(&evidence.pairs), confidence);
    let fresh = PairedDifference::of(&differences(&evidence.pairs_with_connection), confidence);
    let names = side_names(evidence);
    Verdict {
        difference: steady,
        difference_with_connection: fresh,
        confidence,
        sentence: sentence(steady, names, evidence, confidence),
        sentence_with_connection: fresh.map(|fresh| {
            let verdict = sentence(Some(fresh), names, evidence, confidence);
            format!("With a connection for each exchange: {verdict}")
        }),
        // Of what was not measured there is nothing to say.
        causes: steady
            .map_or_else(Vec::new, |_| causes::list(evidence, steady, fresh, names, confidence)),
        claims: steady.map_or_else(Vec::new, |_| claims::list(evidence, steady, fresh)),
        all_answered: evidence.sides.iter().all(|side| side.summary.all_answered()),
        notes: notes(evidence, names),
    }
}

/// What the sides are called in sentences: their protocols, where these differ.
pub(crate) fn side_names(evidence: &Evidence) -> [&'static str; 2] {
    match evidence.sides.each_ref().map(|side| side.title) {
        [a, b] if a == b => ["A", "B"],
        titles => titles,
    }
}

fn sentence(
    shift: Option<PairedDifference>,
    [a, b]: [&str; 2],
    evidence: &Evidence,
    confidence: f64,
) -> String {
    let sure = format!("{} % sure", decimal(100.0 * confidence));
    let Some(shift) = shift else {
        let failed = evidence.sides.iter().zip([a, b]);
        let why: Vec<String> = failed
            .filter_map(|(side, name)| {
                Some(format!("{name} {}: {}", side.target, side.failure.as_ref()?.condition))
            })
            .collect();
        return match &why[..] {
            [] => "No verdict: no pair has both its replies.".into(),
            why => format!("No verdict: {}.", why.join("; ")),
        };
    };
    let pairs = count(shift.pairs as u64);
    let Some((low, high)) = shift.interval else {
        let fewest = min_pairs(confidence);
        let why = if shift.pairs < fewest {
            format!("{} % take {fewest} at least", decimal(100.0 * confidence))
        } else {
            "what slows one down goes on too long; make more (-c)".to_owned()
        };
        let median = durations(&[shift.estimate]);
        return format!(
            "No verdict from {pairs} pairs: {why} ({b} - {a} is {median} in the median)."
        );
    };
    let longer = if shift.estimate >= 0 { b } else { a };
    if shift.higher().is_none() {
        let bound = durations(&[low.abs().max(high.abs())]);
        return format!(
            "No difference that {pairs} pairs can show: less than {bound} either way ({sure})."
        );
    }
    let (low, high) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    let CommonUnit { numbers, unit } = format::in_common_unit(&[shift.estimate.abs(), low, high]);
    let share = if shift.estimate >= 0 {
        shift.probability_b_higher
    } else {
        1.0 - shift.probability_b_higher
    };
    format!(
        "{longer} takes {} {unit} longer ({sure}: {} to {}), in {} pairs.",
        numbers[0],
        numbers[1],
        numbers[2],
        format::share_of_pairs(share, shift.pairs)
    )
}

/// What biases the answer.
fn notes(evidence: &Evidence, names: [&str; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    for (side, name) in evidence.sides.iter().zip(names) {
        let outcome_of = side.summary.lost + side.summary.corrupt;
        if outcome_of > 0 && side.summary.received > 0 {
            notes.push(format!(
                "{} of {} exchanges with {name} had no proper reply and so no RTT: their pairs are \
                 left out, which makes {name} look better than it is.",
                count(outcome_of),
                count(side.summary.sent)
            ));
        }
        let again = side.summary.tcp.and_then(|info| info.retransmissions).unwrap_or(0);
        if again > 0 {
            notes.push(format!(
                "{} of {name}'s segments were sent again: what a datagram would have lost is a long \
                 RTT here.",
                count(again)
            ));
        }
        if side.summary.resent > 0 {
            notes.push(format!(
                "{} of {name}'s requests were sent again on a new connection: their RTTs count from \
                 the first sending.",
                count(side.summary.resent)
            ));
        }
    }
    for IncompleteExperiment { name, pairs_without_reply, pairs } in &evidence.incomplete {
        notes.push(format!(
            "Of the experiment with {name}, {} of {} pairs lack a reply.",
            count(*pairs_without_reply),
            count(*pairs)
        ));
    }
    if evidence.interrupted {
        notes.push("Interrupted: not everything that was asked for has been measured.".into());
    }
    notes.extend(tail(evidence, names));
    notes.extend(evidence.notes.iter().cloned());
    notes
}

/// A tail that tells another story than the median.
fn tail(evidence: &Evidence, [a, b]: [&str; 2]) -> Option<String> {
    /// Fewer exchanges have no 99th percentile to speak of.
    const ENOUGH: u64 = 500;
    let [of_a, of_b] = evidence.sides.each_ref().map(|side| &side.summary.rtt);
    if of_a.count().min(of_b.count()) < ENOUGH {
        return None;
    }
    let (p99_a, p99_b) = (of_a.quantile(0.99)?, of_b.quantile(0.99)?);
    let (median_a, median_b) = (of_a.median()?, of_b.median()?);
    let (longer, shorter, more, less) = match (median_b >= median_a, p99_b >= p99_a) {
        (true, false) => (a, b, p99_a, p99_b),
        (false, true) => (b, a, p99_b, p99_a),
        _ => return None,
    };
    // A tenth is more than two tails of the same kind differ by.
    (more.as_secs_f64() > 1.1 * less.as_secs_f64()).then(|| {
        format!(
            "The tail says otherwise: one in a hundred exchanges takes {} or more with {longer}, and \
             {} with {shorter}.",
            format::duration(more),
            format::duration(less)
        )
    })
}
