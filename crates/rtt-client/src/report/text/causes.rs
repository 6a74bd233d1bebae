//! The causes of a difference: the parts of the RTT with bars, then the other causes.

use super::breakdown_bar::RttPart;
use super::printer::Printer;
use crate::analysis::comparison::{CONNECTION_PHASES, CauseKind, PairedDifference, Verdict};
use crate::model::format::{CommonUnit, in_common_unit, signed};
use std::io::{self, Write};

/// The length of the longest bar.
const BAR_WIDTH: u64 = 20;

/// Writes the causes of a difference. `names` are the names of side A and side B.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    verdict: &Verdict,
    [a, b]: [&str; 2],
) -> io::Result<()> {
    printer.blank()?;
    printer.strong(&format!("Where the difference comes from ({b} − {a})"))?;
    if let Some(difference) = &verdict.difference {
        write_parts(printer, verdict, difference)?;
    }
    for cause in verdict.causes.iter().filter(|cause| !cause.kind.is_part_of_rtt()) {
        let label = label(cause.kind);
        let heading = match (cause.kind, cause.share) {
            (_, None) => label.to_owned(),
            (CauseKind::Protocol(cause), Some(0)) => format!("{label}: {}", cause.no_effect),
            (_, Some(0)) => format!("{label}: no effect"),
            (_, Some(share)) => format!("{label}: {}", signed(share)),
        };
        printer.indented("  ", 4, &heading)?;
        printer.labelled("    ", &cause.evidence)?;
    }
    Ok(())
}

/// Writes the parts of the RTT in one unit. If the difference is measurable, a bar shows the contribution of
/// each part.
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
        &format!(
            "The parts add up to {sum}; the RTTs differ by {whole}. The parts were measured in \
             separate exchanges with kernel timestamps, and medians do not add up exactly."
        ),
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
        CauseKind::Phase(phase) => phase.name,
        CauseKind::Phases => CONNECTION_PHASES,
        CauseKind::FirstExchange => "first exchange",
        CauseKind::Packets => "packets",
        CauseKind::ServerProgram => "server program",
        CauseKind::PayloadSize => "size of the request",
        CauseKind::Protocol(cause) => cause.label,
    }
}

/// The part of the RTT, if the cause is a part.
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

#[cfg(test)]
mod tests {
    use super::super::test_support::{in_all_layouts, words};
    use super::*;
    use crate::analysis::comparison::{Cause, ProtocolCause};

    static TWO_WRITES: ProtocolCause = ProtocolCause {
        name: "two-writes",
        label: "delayed acknowledgements",
        no_effect: "no effect on this comparison (one write for each request)",
    };
    static WINDOWS: ProtocolCause =
        ProtocolCause { name: "windows", label: "TCP windows", no_effect: "no effect" };

    fn cause(kind: CauseKind, share: Option<i64>) -> Cause {
        Cause { kind, share, evidence: "the evidence".to_owned() }
    }

    #[test]
    fn causes_have_signed_shares_and_bars() {
        let difference = PairedDifference::of(&[1750; 100], 0.95);
        let causes = vec![
            cause(CauseKind::Send, Some(-250)),
            cause(CauseKind::Receive, Some(2230)),
            cause(CauseKind::Protocol(&TWO_WRITES), Some(0)),
            cause(CauseKind::FirstExchange, Some(3720)),
            cause(CauseKind::Protocol(&WINDOWS), Some(0)),
            cause(CauseKind::PayloadSize, None),
        ];
        let verdict = Verdict {
            difference,
            difference_with_connection: None,
            confidence: 0.95,
            sentence: String::new(),
            sentence_with_connection: None,
            causes,
            claims: Vec::new(),
            all_answered: true,
            notes: Vec::new(),
        };
        let text = in_all_layouts(|printer| write(printer, &verdict, ["UDP", "TCP"]));
        for line in [
            "Where the difference comes from (TCP − UDP)",
            "  send                    -0.25 µs  --",
            "  receive                 +2.23 µs  ++++++++++++++++++++",
            "  first exchange: +3.72 µs",
            "  TCP windows: no effect",
            "  size of the request",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
        let text = words(&text);
        for sentence in [
            "The parts add up to +1.98 µs; the RTTs differ by +1.75 µs. The parts were measured in \
             separate exchanges with kernel timestamps, and medians do not add up exactly.",
            "delayed acknowledgements: no effect on this comparison (one write for each request)",
        ] {
            assert!(text.contains(sentence), "{sentence} in {text}");
        }
    }
}
