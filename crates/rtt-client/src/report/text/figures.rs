//! The figures of a series, as a table of a few lines.

use super::bar;
use crate::analysis::statistics::{Distribution, Summary};
use crate::model::tcp_info::TcpInfo;
use crate::plan::Plan;
use std::io::{self, Write};
use std::time::Duration;

/// Writes the figures of a series.
pub(super) fn write(out: &mut impl Write, plan: &Plan, summary: &Summary) -> io::Result<()> {
    let Summary { sent, received, lost, corrupt, .. } = summary;
    let seconds = summary.duration.as_secs_f64();
    writeln!(
        out,
        "\n{sent} sent, {received} received, {lost} lost{}, {corrupt} corrupt, in {seconds:.3} s",
        share(*lost, *sent)
    )?;
    let asides: Vec<String> = [
        (summary.duplicates, "doubled"),
        (summary.out_of_order, "out of order"),
        (summary.late, "late"),
        (summary.unmatched, "of no request"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !asides.is_empty() {
        writeln!(out, "replies: {}", asides.join(", "))?;
    }
    if summary.rtt.count() > 0 {
        writeln!(
            out,
            "\n{:<15}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}",
            "ms", "min", "mean", "p50", "p90", "p99", "p99.9", "max"
        )?;
    }
    for (name, distribution) in [
        ("RTT", &summary.rtt),
        ("from schedule", &summary.rtt_from_schedule),
        ("sent late by", &summary.lateness),
        ("handshake", &summary.connect),
        ("first exchange", &summary.first_exchange),
        ("steady state", &summary.later_exchanges),
        ("close", &summary.close),
    ] {
        row(out, name, distribution)?;
    }
    if let Some(stddev) = summary.rtt.stddev() {
        write!(out, "standard deviation {} ms", number(stddev))?;
        match summary.jitter.estimate() {
            Some(jitter) => writeln!(out, ", jitter {} ms (RFC 3550)", number(jitter))?,
            None => writeln!(out)?,
        }
    }
    if let Some(rate) = plan.settings.rate {
        // As many intervals as requests, less one, from the first request to the last.
        #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
        let achieved = sent.saturating_sub(1) as f64 / summary.send_duration.as_secs_f64();
        if achieved.is_finite() {
            writeln!(out, "{achieved:.1} a second of {rate} asked for")?;
        }
    }
    if let Some(info) = &summary.tcp {
        writeln!(out, "{}", kernel(info))?;
    }
    if let Some(breakdown) = bar::of_medians(&summary.breakdown) {
        writeln!(out, "\n{breakdown}")?;
    }
    if let (Some(without), Some(with)) = (summary.uninstrumented.median(), summary.rtt.median()) {
        writeln!(
            out,
            "without these instruments the median RTT is {} ms, with them {} ms",
            number(without),
            number(with)
        )?;
    }
    if summary.without_breakdown > 0 {
        writeln!(
            out,
            "{} exchanges could not be split: a stamp was missing",
            summary.without_breakdown
        )?;
    }
    for note in &summary.notes {
        writeln!(out, "{note}")?;
    }
    Ok(())
}

fn row(out: &mut impl Write, name: &str, of: &Distribution) -> io::Result<()> {
    let (Some((min, max)), Some(mean)) = (of.min_max(), of.mean()) else { return Ok(()) };
    write!(out, "{name:<15}{:>8}{:>8}", number(min), number(mean))?;
    for share in [0.5, 0.9, 0.99, 0.999] {
        write!(out, "{:>8}", of.quantile(share).map_or_else(String::new, number))?;
    }
    writeln!(out, "{:>8}", number(max))
}

/// What the kernel knows of the connection, in a line.
fn kernel(info: &TcpInfo) -> String {
    let mut parts = Vec::new();
    if let Some(rtt) = info.rtt {
        parts.push(format!("smoothed RTT {} ms", number(rtt)));
    }
    if let Some(min) = info.min_rtt {
        parts.push(format!("smallest {} ms", number(min)));
    }
    if let Some(retransmissions) = info.retransmissions {
        parts.push(format!("{retransmissions} retransmitted"));
    }
    if let Some(window) = info.congestion_window {
        parts.push(format!("window {window}"));
    }
    format!("kernel: {}", parts.join(", "))
}

/// A share in per cent, where there is one to tell.
fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
    let percent = 100.0 * part as f64 / whole as f64;
    format!(" ({percent:.2} %)")
}

/// Milliseconds in at most seven characters, with three decimals where there is room.
fn number(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    match milliseconds {
        ..1000.0 => format!("{milliseconds:.3}"),
        ..100_000.0 => format!("{milliseconds:.1}"),
        _ => format!("{milliseconds:.0}"),
    }
}
