//! The verdict in one sentence. Pure.

use super::{PairedDifference, SideId, min_pairs};
use crate::analysis::evidence::Evidence;
use crate::model::format::{
    CommonUnit, counted, durations, in_common_unit, percent, share_of_pairs, signed,
};

/// The verdict in one sentence: the side with the higher RTT, a bound, or the reason why there is no verdict.
pub(super) fn sentence(
    difference: Option<PairedDifference>,
    names: [&str; 2],
    evidence: &Evidence,
    confidence: f64,
) -> String {
    let Some(difference) = difference else { return no_replies(names, evidence) };
    let Some((low, high)) = difference.interval else {
        return no_interval(&difference, names, confidence);
    };
    let (low, high) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    let confidence = percent(confidence);
    let Some(higher) = difference.higher() else {
        let bound = durations(&[high]);
        return format!("No measurable difference: below {bound} ({confidence} confidence).");
    };
    let (name, share) = match higher {
        SideId::A => (names[0], 1.0 - difference.probability_b_higher),
        SideId::B => (names[1], difference.probability_b_higher),
    };
    let CommonUnit { numbers, unit } = in_common_unit(&[difference.estimate.abs(), low, high]);
    format!(
        "{name} takes {} {unit} longer ({confidence} confidence interval {} to {} {unit}), in {} pairs.",
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
        "disturbances affect many consecutive pairs; a longer run (-c) can give a verdict"
            .to_owned()
    };
    format!(
        "No verdict from {}: {reason}. The median of {b} - {a} is {}.",
        counted(difference.pairs as u64, "pair", "pairs"),
        signed(difference.estimate)
    )
}
