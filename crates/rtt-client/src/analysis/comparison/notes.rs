//! What biases a comparison, and what a reader should know beside the verdict. Pure.

use crate::analysis::evidence::{Evidence, IncompleteExperiment, Side};
use crate::analysis::statistics::Quantile;
use crate::model::format::{count, counted, duration};

/// The smallest number of exchanges for a statement about the slowest 1 %: five of them.
const MIN_TAIL_COUNT: u64 = 500;

/// The 99th percentiles of the sides must differ by more than this factor. Two samples of one distribution
/// usually differ by less.
const MIN_TAIL_RATIO: f64 = 1.1;

/// All notes, the most important one first.
pub(super) fn list(evidence: &Evidence, names: [&str; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(slower_tail(evidence, names));
    for (side, name) in evidence.sides.iter().zip(names) {
        notes.extend(of_side(side, name));
    }
    for IncompleteExperiment { name, pairs_without_reply, pairs } in &evidence.incomplete {
        notes.push(format!(
            "In the experiment with {name}, {} of {} have no reply.",
            count(*pairs_without_reply),
            counted(*pairs, "pair", "pairs")
        ));
    }
    if evidence.interrupted {
        notes.push("Interrupted: some measurements are missing.".into());
    }
    notes.extend(evidence.notes.iter().cloned());
    notes
}

fn of_side(side: &Side, name: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let summary = &side.summary;
    let failed = summary.lost + summary.corrupt;
    if failed > 0 && summary.received > 0 {
        notes.push(format!(
            "{} of {} with {name} have no correct reply, and thus no RTT. The verdict ignores their pairs, so \
             {name} looks better than it is.",
            count(failed),
            counted(summary.sent, "exchange", "exchanges")
        ));
    }
    let retransmitted = summary.tcp.and_then(|info| info.retransmissions).unwrap_or(0);
    if retransmitted > 0 {
        notes.push(format!(
            "{name} retransmitted {}: a lost segment causes a long RTT, where a lost datagram has no RTT.",
            counted(retransmitted, "segment", "segments")
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

/// A note if the side with the lower median has the higher 99th percentile.
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
            "But the slowest 1 % of {slower} exchanges are slower: p99 is {} for {slower}, {} for {faster}.",
            duration(high),
            duration(low)
        )
    })
}
