//! The lines of a comparison: its pairs, and the verdict.

use super::summary::{BreakdownMedians, DistributionFields};
use crate::analysis::comparison::{self, PairedDifference, SideId, Verdict};
use crate::analysis::evidence::{self, Evidence, Side, SweepPoint, differences};
use crate::model::format::nanoseconds;
use crate::plan::ComparisonPlan;
use serde::Serialize;

/// A pair of exchanges.
#[derive(Serialize)]
pub(super) struct PairLine {
    pair: u64,
    first: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    a_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference_ns: Option<i64>,
}

impl PairLine {
    pub(super) fn new(number: u64, pair: &evidence::Pair) -> Self {
        Self {
            pair: number,
            first: pair.first().name(),
            a_rtt_ns: pair.a.map(nanoseconds),
            b_rtt_ns: pair.b.map(nanoseconds),
            difference_ns: pair.difference(),
        }
    }
}

/// The verdict, with its measurements.
#[derive(Serialize)]
pub(super) struct VerdictLine {
    a: String,
    b: String,
    higher: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference_ns: Option<Estimate>,
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
    sides: [SideFields; 2],
    causes: Vec<CauseFields>,
    claims: Vec<ClaimFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sizes: Vec<SizeFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// An estimate with the bounds of its confidence interval. The bounds are absent if there is no interval.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the JSON interface")]
struct Estimate {
    estimate: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<i64>,
}

/// The difference with a new connection for each exchange.
#[derive(Serialize)]
struct WithConnection {
    higher: Option<&'static str>,
    difference_ns: Estimate,
    probability_b_higher: f64,
    pairs: usize,
    sentence: String,
}

/// The main measurement of one side.
#[derive(Serialize)]
struct SideFields {
    protocol: &'static str,
    sent: u64,
    received: u64,
    lost: u64,
    corrupt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<BreakdownMedians>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
}

#[derive(Serialize)]
struct CauseFields {
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    share_ns: Option<Estimate>,
    evidence: String,
}

#[derive(Serialize)]
struct ClaimFields {
    claim: &'static str,
    holds: Option<bool>,
    evidence: String,
}

/// The difference at one request size.
#[derive(Serialize)]
struct SizeFields {
    bytes: usize,
    pairs: usize,
    difference_ns: Estimate,
}

impl VerdictLine {
    pub(super) fn new(comparison: &ComparisonPlan, evidence: &Evidence, verdict: &Verdict) -> Self {
        let [a, b] = evidence.sides.each_ref().map(|side| side.target.clone());
        let sizes =
            evidence.sweep.iter().filter_map(|point| SizeFields::of(point, verdict.confidence));
        let with_connection =
            verdict.difference_with_connection.zip(verdict.sentence_with_connection.as_ref());
        Self {
            a,
            b,
            higher: verdict.difference.and_then(higher),
            difference_ns: verdict.difference.map(Estimate::from),
            confidence: verdict.confidence,
            probability_b_higher: verdict
                .difference
                .map(|difference| difference.probability_b_higher),
            pairs: verdict.difference.map_or(0, |difference| difference.pairs),
            with_connection: with_connection.map(|(difference, sentence)| WithConnection {
                higher: higher(difference),
                difference_ns: difference.into(),
                probability_b_higher: difference.probability_b_higher,
                pairs: difference.pairs,
                sentence: sentence.clone(),
            }),
            sentence: verdict.sentence.clone(),
            warm_up: evidence.warm_up,
            seed: comparison.seed,
            duration_ns: nanoseconds(evidence.duration),
            sides: evidence.sides.each_ref().map(SideFields::from),
            causes: verdict.causes.iter().map(CauseFields::from).collect(),
            claims: verdict.claims.iter().map(ClaimFields::from).collect(),
            sizes: sizes.collect(),
            notes: verdict.notes.clone(),
        }
    }
}

fn higher(difference: PairedDifference) -> Option<&'static str> {
    difference.higher().map(SideId::name)
}

impl From<PairedDifference> for Estimate {
    fn from(difference: PairedDifference) -> Self {
        let interval = difference.interval;
        Self {
            estimate: difference.estimate,
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
        }
    }
}

impl From<&Side> for SideFields {
    fn from(side: &Side) -> Self {
        let summary = &side.summary;
        Self {
            protocol: side.protocol.name,
            sent: summary.sent,
            received: summary.received,
            lost: summary.lost,
            corrupt: summary.corrupt,
            rtt_ns: DistributionFields::of(&summary.rtt),
            connect_ns: side
                .with_connection
                .as_ref()
                .or_else(|| side.has_new_connections().then_some(summary))
                .and_then(|summary| DistributionFields::of(&summary.connect)),
            breakdown: side.with_timestamps.as_ref().and_then(|summary| {
                BreakdownMedians::of(&summary.breakdown, summary.without_breakdown)
            }),
            condition: side.failure.as_ref().map(|failure| failure.condition.name()),
        }
    }
}

impl From<&comparison::Cause> for CauseFields {
    fn from(cause: &comparison::Cause) -> Self {
        Self {
            cause: cause.kind.name(),
            share_ns: cause.share.map(|estimate| Estimate { estimate, low: None, high: None }),
            evidence: cause.evidence.clone(),
        }
    }
}

impl From<&comparison::Claim> for ClaimFields {
    fn from(claim: &comparison::Claim) -> Self {
        Self { claim: claim.claim, holds: claim.holds, evidence: claim.evidence.clone() }
    }
}

impl SizeFields {
    fn of(point: &SweepPoint, confidence: f64) -> Option<Self> {
        let difference = PairedDifference::of(&differences(&point.pairs), confidence)?;
        Some(Self { bytes: point.bytes, pairs: difference.pairs, difference_ns: difference.into() })
    }
}
