//! A comparison's lines: its pairs, and the verdict with all that it rests on.

use super::summary::{Figures, Medians};
use crate::analysis::comparison::{PairedDifference, SideId, Verdict};
use crate::analysis::evidence::{self, Evidence, Side, differences};
use crate::model::format::nanoseconds;
use crate::plan::ComparisonPlan;
use serde::Serialize;

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that scripts see")]
pub(super) struct Pair {
    pair: u64,
    first: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    a_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference_ns: Option<i64>,
}

impl Pair {
    pub(super) fn new(number: u64, pair: &evidence::Pair) -> Self {
        Self {
            pair: number,
            first: if pair.b_first { "b" } else { "a" },
            a_rtt_ns: pair.a.map(nanoseconds),
            b_rtt_ns: pair.b.map(nanoseconds),
            difference_ns: pair.difference(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Judged {
    a: String,
    b: String,
    higher: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference_ns: Option<Difference>,
    confidence: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability_b_higher: Option<f64>,
    pairs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_connection: Option<WithConnection>,
    sentence: String,
    warm_up: u64,
    seed: u64,
    duration_ns: u64,
    sides: [OfSide; 2],
    causes: Vec<Cause>,
    claims: Vec<Claim>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sizes: Vec<Size>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// B − A; the bounds are absent where there are too few pairs for them.
#[derive(Serialize)]
struct Difference {
    estimate: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<i64>,
}

/// The same with a connection for each exchange.
#[derive(Serialize)]
struct WithConnection {
    higher: Option<&'static str>,
    difference_ns: Difference,
    probability_b_higher: f64,
    pairs: usize,
}

#[derive(Serialize)]
struct OfSide {
    protocol: &'static str,
    sent: u64,
    received: u64,
    lost: u64,
    corrupt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<Medians>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that scripts see")]
struct Cause {
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    share_ns: Option<i64>,
    evidence: String,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names that scripts see")]
struct Claim {
    claim: &'static str,
    holds: Option<bool>,
    evidence: String,
}

#[derive(Serialize)]
struct Size {
    bytes: usize,
    pairs: usize,
    difference_ns: Difference,
}

impl Judged {
    pub(super) fn new(comparison: &ComparisonPlan, evidence: &Evidence, verdict: &Verdict) -> Self {
        let [a, b] = evidence.sides.each_ref().map(|side| side.target.clone());
        let sizes = evidence.sweep.iter().filter_map(|size| {
            let shift = PairedDifference::of(&differences(&size.pairs), verdict.confidence)?;
            let (bytes, pairs) = (size.bytes, shift.pairs);
            Some(Size { bytes, pairs, difference_ns: Difference::of(&shift) })
        });
        Self {
            a,
            b,
            higher: verdict.difference.and_then(|shift| higher(&shift)),
            difference_ns: verdict.difference.as_ref().map(Difference::of),
            confidence: verdict.confidence,
            probability_b_higher: verdict.difference.map(|shift| shift.probability_b_higher),
            pairs: verdict.difference.map_or(0, |shift| shift.pairs),
            with_connection: verdict.difference_with_connection.map(|shift| WithConnection {
                higher: higher(&shift),
                difference_ns: Difference::of(&shift),
                probability_b_higher: shift.probability_b_higher,
                pairs: shift.pairs,
            }),
            sentence: verdict.sentence.clone(),
            warm_up: evidence.warm_up,
            seed: comparison.seed,
            duration_ns: nanoseconds(evidence.duration),
            sides: evidence.sides.each_ref().map(OfSide::of),
            causes: verdict
                .causes
                .iter()
                .map(|cause| Cause {
                    cause: cause.kind.name(),
                    share_ns: cause.share,
                    evidence: cause.evidence.clone(),
                })
                .collect(),
            claims: verdict
                .claims
                .iter()
                .map(|claim| Claim {
                    claim: claim.claim,
                    holds: claim.holds,
                    evidence: claim.evidence.clone(),
                })
                .collect(),
            sizes: sizes.collect(),
            notes: verdict.notes.clone(),
        }
    }
}

fn higher(shift: &PairedDifference) -> Option<&'static str> {
    shift.higher().map(SideId::name)
}

impl Difference {
    fn of(shift: &PairedDifference) -> Self {
        let (low, high) = shift.interval.unzip();
        Self { estimate: shift.estimate, low, high }
    }
}

impl OfSide {
    fn of(side: &Side) -> Self {
        let steady = &side.summary;
        Self {
            protocol: side.protocol,
            sent: steady.sent,
            received: steady.received,
            lost: steady.lost,
            corrupt: steady.corrupt,
            rtt_ns: Figures::of(&steady.rtt),
            connect_ns: side.with_connection.as_ref().and_then(|fresh| Figures::of(&fresh.connect)),
            breakdown: side
                .instrumented
                .as_ref()
                .and_then(|with| Medians::of(&with.breakdown, with.without_breakdown)),
            condition: side.failure.as_ref().map(|failure| failure.condition.name()),
        }
    }
}
