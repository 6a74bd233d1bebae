//! The sentences of a verdict: the verdict itself, and the notes about the comparison.

use super::{ConfidenceInterval, PairedDifference, SideId, min_pairs};
use crate::analysis::evidence::{Evidence, IncompleteExperiment, Side};
use crate::analysis::statistics::{Quantile, WRONG_TOKEN_REASON};
use crate::model::format::{
    CommonUnit, count, counted, duration, durations, in_common_unit, percent, share_of_pairs,
    signed,
};

/// The smallest number of exchanges for a statement about the slowest 1 %. With this number, the slowest 1 % are five
/// exchanges.
const MIN_TAIL_COUNT: u64 = 500;

/// A note about the slowest 1 % needs 99th percentiles that differ by more than this factor. Two samples of the same
/// distribution usually differ by less.
const MIN_TAIL_RATIO: f64 = 1.1;

/// Formulates the verdict: the side with the higher RTT, a bound for the difference, or the reason why there is no
/// verdict.
pub(super) fn sentence(
    difference: Option<PairedDifference>,
    names: [&str; 2],
    evidence: &Evidence,
    confidence: f64,
) -> String {
    let Some(difference) = difference else { return no_replies(names, evidence) };
    let Some(ConfidenceInterval { low, high }) = difference.interval else {
        return no_interval(&difference, names, confidence);
    };
    let (low, high) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    let confidence = percent(confidence);
    let Some(higher) = difference.higher() else {
        let bound = durations(&[high]);
        return format!("No measurable difference: below {bound} ({confidence} confidence).");
    };
    let (index, share) = match higher {
        SideId::A => (0, 1.0 - difference.probability_b_higher),
        SideId::B => (1, difference.probability_b_higher),
    };
    let name = names[index];
    // The title of a handshake is a countable noun.
    let is_noun = evidence.sides[index].has_handshakes() && name.len() > 1;
    let [subject, pronoun] = if is_noun {
        [format!("A {name}"), "It".to_owned()]
    } else {
        [name.to_owned(), name.to_owned()]
    };
    let CommonUnit { numbers, unit } = in_common_unit(&[difference.estimate.abs(), low, high]);
    format!(
        "{subject} takes {} {unit} longer (median; {confidence} confidence interval {} to {} {unit}). {pronoun} is slower in \
         {}.",
        numbers[0],
        numbers[1],
        numbers[2],
        share_of_pairs(share, difference.pairs)
    )
}

fn no_replies(names: [&str; 2], evidence: &Evidence) -> String {
    let reasons: Vec<String> = evidence
        .sides
        .iter()
        .zip(names)
        .filter_map(|(side, name)| {
            Some(format!("{name} {}: {}", side.target, side.failure.as_ref()?.condition))
        })
        .collect();
    match &reasons[..] {
        [] => "No verdict: no pair has both replies.".into(),
        reasons => format!("No verdict: {}.", reasons.join("; ")),
    }
}

fn no_interval(difference: &PairedDifference, [a, b]: [&str; 2], confidence: f64) -> String {
    let minimum = min_pairs(confidence);
    let reason = if difference.pairs < minimum {
        format!("a confidence of {} needs at least {minimum} pairs", percent(confidence))
    } else {
        "disturbances affected many consecutive pairs. A longer run (-c) can give a verdict"
            .to_owned()
    };
    format!(
        "No verdict from {}: {reason}. The median of {b} − {a} is {}.",
        counted(difference.pairs as u64, "pair", "pairs"),
        signed(difference.estimate)
    )
}

/// Lists the facts about the comparison that a reader should know.
pub(super) fn notes(evidence: &Evidence, names: [&str; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(slower_tail(evidence, names));
    for (side, name) in evidence.sides.iter().zip(names) {
        notes.extend(notes_about_side(side, name));
    }
    for IncompleteExperiment { name, pairs_without_reply, pairs } in &evidence.incomplete {
        notes.push(format!(
            "In the experiment with {name}, {} of {} {} a reply.",
            count(*pairs_without_reply),
            counted(*pairs, "pair", "pairs"),
            if *pairs_without_reply == 1 { "lacks" } else { "lack" },
        ));
    }
    if evidence.interrupted {
        notes.push("The comparison was interrupted: some measurements are missing.".into());
    }
    notes.extend(evidence.notes.iter().cloned());
    for (side, name) in evidence.sides.iter().zip(names) {
        notes.extend(side.summary.replies.notes_of_side(name));
    }
    notes
}

fn notes_about_side(side: &Side, name: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let summary = &side.summary;
    let failed = summary.lost + summary.corrupt;
    if failed > 0 && summary.received > 0 {
        notes.push(format!(
            "{} of {} with {name} {} no correct reply, so {} no RTT. The verdict ignores {}. \
             Therefore {name} looks better than it is.",
            count(failed),
            counted(summary.sent, "exchange", "exchanges"),
            if failed == 1 { "has" } else { "have" },
            if failed == 1 { "it has" } else { "they have" },
            if failed == 1 { "its pair" } else { "their pairs" },
        ));
    }
    let retransmitted =
        summary.kernel_statistics.and_then(|info| info.retransmissions).unwrap_or(0);
    if retransmitted > 0 {
        notes.push(format!(
            "{name} retransmitted {}. A lost segment causes a long RTT, but a lost datagram has no RTT.",
            counted(retransmitted, "segment", "segments")
        ));
    }
    if summary.wrong_token > 0 {
        notes.push(format!(
            "{} of {name} had a wrong token. {WRONG_TOKEN_REASON}",
            counted(summary.wrong_token, "reply", "replies")
        ));
    }
    if summary.resent > 0 {
        notes.push(format!(
            "The client sent {} to {name} again on a new connection. Their RTTs start at the first send.",
            counted(summary.resent, "request", "requests")
        ));
    }
    notes
}

/// A note for the case that the side with the lower median has the higher 99th percentile.
fn slower_tail(evidence: &Evidence, [a, b]: [&str; 2]) -> Option<String> {
    let [rtt_a, rtt_b] = evidence.sides.each_ref().map(|side| &side.summary.rtt);
    if rtt_a.count().min(rtt_b.count()) < MIN_TAIL_COUNT {
        return None;
    }
    let p99_a = rtt_a.supported_quantile(Quantile::P99)?;
    let p99_b = rtt_b.supported_quantile(Quantile::P99)?;
    let (slower, faster, high, low) = match (rtt_b.median()? >= rtt_a.median()?, p99_b >= p99_a) {
        (true, false) => (a, b, p99_a, p99_b),
        (false, true) => (b, a, p99_b, p99_a),
        _ => return None,
    };
    (high.as_secs_f64() > MIN_TAIL_RATIO * low.as_secs_f64()).then(|| {
        format!(
            "But the slowest 1 % of {slower} exchanges are slower: p99 is {} for {slower} and {} for {faster}.",
            duration(high),
            duration(low)
        )
    })
}
