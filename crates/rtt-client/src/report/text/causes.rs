//! The causes of a difference: the parts of the RTT with bars, then the other causes.

use super::printer::Printer;
use super::rtt_part::RttPart;
use crate::analysis::comparison::{CauseKind, PairedDifference, Verdict};
use crate::model::format::{CommonUnit, in_common_unit, signed};
use std::io::{self, Write};

/// The length of the longest bar.
const BAR_WIDTH: u64 = 20;

/// Writes the causes of a difference.
pub(super) fn write(printer: &mut Printer<impl Write>, verdict: &Verdict) -> io::Result<()> {
    printer.blank()?;
    printer.strong("Where the difference comes from")?;
    if let Some(difference) = &verdict.difference {
        write_parts(printer, verdict, difference)?;
    }
    for cause in verdict.causes.iter().filter(|cause| !cause.kind.is_part_of_rtt()) {
        let label = label(cause.kind);
        match cause.share {
            Some(0) => printer.indented("  ", 4, &format!("{label}: no effect"))?,
            Some(share) => printer.indented("  ", 4, &format!("{label}: {}", signed(share)))?,
            None => printer.indented("  ", 4, label)?,
        }
        printer.labelled("    ", &cause.evidence)?;
    }
    Ok(())
}

/// Writes the parts of the RTT in one unit. A bar shows how much a part contributes, if there is a
/// measurable difference.
fn write_parts(
    printer: &mut Printer<impl Write>,
    verdict: &Verdict,
    difference: &PairedDifference,
) -> io::Result<()> {
    let causes = verdict.causes.iter();
    let parts: Vec<(RttPart, i64, &str)> = causes
        .filter_map(|cause| Some((part(cause.kind)?, cause.share?, &*cause.evidence)))
        .collect();
    let shares: Vec<i64> = parts.iter().map(|(_, share, _)| *share).collect();
    let Some(largest) = shares.iter().map(|share| share.unsigned_abs()).max() else {
        return Ok(());
    };
    let full = largest.max(difference.estimate.unsigned_abs()).max(1);
    let CommonUnit { numbers, unit } = in_common_unit(&shares);
    for ((part, share, evidence), number) in parts.iter().zip(numbers) {
        let sign = if *share >= 0 { "+" } else { "-" };
        let number = format!("{sign}{}", number.trim_start_matches('-'));
        let length =
            if difference.higher().is_some() { share.unsigned_abs() * BAR_WIDTH / full } else { 0 };
        let bar = sign.repeat(usize::try_from(length).unwrap_or(0));
        printer.line(&format!("  {:<18}  {number:>9} {unit}  {bar}", part.name()))?;
        printer.labelled("    ", &format!("{}: {evidence}", part.span()))?;
    }
    let (sum, whole) = (signed(shares.iter().sum()), signed(difference.estimate));
    printer.indented(
        "  ",
        4,
        &format!("sum of these parts {sum}, difference of the RTTs {whole}: medians do not add up exactly"),
    )
}

/// The name of a cause in text.
fn label(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::Breakdown => "parts of the RTT",
        CauseKind::Send => RttPart::Send.name(),
        CauseKind::Network => RttPart::Network.name(),
        CauseKind::Server => RttPart::Server.name(),
        CauseKind::NetworkAndServer => RttPart::NetworkAndServer.name(),
        CauseKind::Receive => RttPart::Receive.name(),
        CauseKind::Handshake => "handshake",
        CauseKind::FirstExchange => "first exchange",
        CauseKind::Packets => "packets",
        CauseKind::Acknowledgements => "acknowledgements",
        CauseKind::NagleAndDelayedAcknowledgement => {
            "Nagle's algorithm and delayed acknowledgements"
        }
        CauseKind::Windows => "TCP windows",
        CauseKind::Retransmission => "retransmissions",
        CauseKind::PayloadSize => "size of the request",
    }
}

/// The part of the RTT that a cause is, if it is one.
fn part(kind: CauseKind) -> Option<RttPart> {
    match kind {
        CauseKind::Send => Some(RttPart::Send),
        CauseKind::Network => Some(RttPart::Network),
        CauseKind::Server => Some(RttPart::Server),
        CauseKind::NetworkAndServer => Some(RttPart::NetworkAndServer),
        CauseKind::Receive => Some(RttPart::Receive),
        _ => None,
    }
}
