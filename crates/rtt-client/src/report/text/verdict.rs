//! A comparison: the verdict first, then the distributions, the quantiles, the causes and the claims.

use super::plot;
use super::wrap::wrapped;
use crate::analysis::comparison::{Cause, CauseKind, Verdict, side_names};
use crate::analysis::evidence::Evidence;
use crate::model::format::{count, signed};
use crate::plan::ComparisonPlan;
use std::io::{self, Write};
use std::time::Duration;

/// How many columns the longest bar has.
const BAR: u64 = 20;

/// The parts of an RTT that have a row of the table, and what they are.
const PARTS: [(CauseKind, &str); 4] = [
    (CauseKind::Send, "application to wire"),
    (CauseKind::Network, "on the way, both ways"),
    (CauseKind::Server, "from its kernel to its reply"),
    (CauseKind::Receive, "wire to application"),
];

/// Writes a comparison.
pub(super) fn write(
    out: &mut impl Write,
    comparison: &ComparisonPlan,
    evidence: &Evidence,
    verdict: &Verdict,
) -> io::Result<()> {
    wrapped(out, "", &verdict.sentence)?;
    if let Some(fresh) = &verdict.sentence_with_connection {
        wrapped(out, "", fresh)?;
    }
    for note in &verdict.notes {
        wrapped(out, "", note)?;
    }
    writeln!(out)?;
    let names = side_names(evidence);
    for ((side, letter), name) in evidence.sides.iter().zip(["A", "B"]).zip(names) {
        let address = match (side.address, &side.failure) {
            (_, Some(failure)) => format!(", {failure}"),
            (Some(address), None) if !side.target.contains(&address.to_string()) => {
                format!(" ({address})")
            }
            _ => String::new(),
        };
        let label = if name == letter { String::new() } else { format!("  {name}") };
        wrapped(out, "   ", &format!("{letter}{label}  {}{address}", side.target))?;
    }
    if verdict.difference.is_none() {
        return Ok(());
    }
    let made = format!(
        "   {} pairs of {} bytes each way, {} warm-up pairs left out, in random order (--seed {}), {:.1} s",
        count(evidence.pairs.len() as u64),
        evidence.sides[0].request_bytes,
        count(evidence.warm_up),
        comparison.seed,
        evidence.duration.as_secs_f64()
    );
    wrapped(out, "   ", &made)?;
    if let Some(lines) = plot::draw(&evidence.pairs, names) {
        writeln!(out)?;
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    quantiles(out, evidence, names)?;
    writeln!(out, "\nWhy")?;
    parts(out, verdict)?;
    for cause in verdict.causes.iter().filter(|cause| !cause.kind.is_part_of_rtt()) {
        let share = match cause.share {
            Some(0) => " (nothing)".to_owned(),
            Some(share) => format!(" ({})", signed(share)),
            None => String::new(),
        };
        let name = cause.kind.name().replace('-', " ");
        wrapped(out, "    ", &format!("  {name}{share}: {}", cause.evidence))?;
    }
    writeln!(out, "\nWhat people say")?;
    for claim in &verdict.claims {
        let holds = match claim.holds {
            Some(true) => "holds   ",
            Some(false) => "refuted ",
            None => "open    ",
        };
        wrapped(out, "    ", &format!("  {holds} \"{}\": {}", claim.claim, claim.evidence))?;
    }
    Ok(())
}

fn quantiles(out: &mut impl Write, evidence: &Evidence, names: [&str; 2]) -> io::Result<()> {
    let largest = evidence.sides.iter().filter_map(|side| side.summary.rtt.min_max());
    let largest = largest.map(|(_, largest)| largest).max().unwrap_or_default();
    // Microseconds with one decimal have room for seven digits.
    let (unit, scale) = if largest < Duration::from_secs(1) { ("µs", 1e6) } else { ("ms", 1e3) };
    writeln!(
        out,
        "\n  {unit:<5}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}",
        "min", "p50", "p90", "p99", "p99.9", "max", "lost"
    )?;
    for (side, name) in evidence.sides.iter().zip(names) {
        let Some((min, max)) = side.summary.rtt.min_max() else { continue };
        let cell = |time: Duration| format!("{:.1}", time.as_secs_f64() * scale);
        write!(out, "  {name:<5}{:>10}", cell(min))?;
        for share in [0.5, 0.9, 0.99, 0.999] {
            let quantile = side.summary.rtt.quantile(share);
            write!(out, "{:>10}", quantile.map_or_else(String::new, cell))?;
        }
        writeln!(out, "{:>10}{:>8}", cell(max), side.summary.lost + side.summary.corrupt)?;
    }
    Ok(())
}

/// The parts of the RTT as a table, their shares in the difference as bars, if there is a difference.
fn parts(out: &mut impl Write, verdict: &Verdict) -> io::Result<()> {
    let rows: Vec<(&Cause, i64)> = verdict
        .causes
        .iter()
        .filter(|cause| cause.kind.is_part_of_rtt())
        .filter_map(|cause| Some((cause, cause.share?)))
        .collect();
    let (Some(largest), Some(shift)) =
        (rows.iter().map(|(_, share)| share.unsigned_abs()).max(), verdict.difference)
    else {
        return Ok(());
    };
    let full = largest.max(shift.estimate.unsigned_abs()).max(1);
    for (cause, share) in &rows {
        let meaning = PARTS.iter().find(|(kind, _)| *kind == cause.kind);
        let meaning = meaning.map_or("not told apart", |(_, meaning)| meaning);
        let length = if shift.higher().is_some() { share.unsigned_abs() * BAR / full } else { 0 };
        let sign = if *share >= 0 { "+" } else { "-" };
        let bar = sign.repeat(usize::try_from(length).unwrap_or(0));
        writeln!(out, "  {:<8} {:>11}  {bar:<20}  {meaning}", cause.kind.name(), signed(*share))?;
        wrapped(out, "           ", &format!("           {}", cause.evidence))?;
    }
    let together = rows.iter().map(|(_, share)| share).sum();
    let told = format!(
        "           together {}, measured apart from the {} above: medians do not add up exactly",
        signed(together),
        signed(shift.estimate)
    );
    wrapped(out, "           ", &told)
}
