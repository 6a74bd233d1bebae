//! The result of a comparison: first the verdict, then the distributions, the causes and the claims.

use super::printer::Printer;
use super::quantiles::Columns;
use super::table::{MILLISECONDS, TENTHS_OF_A_MICROSECOND, Table};
use super::{causes, histogram, requests};
use crate::analysis::comparison::{Claim, Verdict, side_names};
use crate::analysis::evidence::{Evidence, Side};
use crate::model::format::{count, counted};
use crate::plan::ComparisonPlan;
use std::io::{self, Write};
use std::time::Duration;

/// If an RTT is longer, the table is in milliseconds instead of microseconds.
const MAX_IN_MICROSECONDS: Duration = Duration::from_secs(1);

/// Writes the result of a comparison.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    comparison: &ComparisonPlan,
    evidence: &Evidence,
    verdict: &Verdict,
) -> io::Result<()> {
    printer.strong(&verdict.sentence)?;
    if let Some(sentence) = &verdict.sentence_with_connection {
        printer.strong(sentence)?;
    }
    verdict.notes.iter().try_for_each(|note| printer.paragraph(note))?;
    printer.blank()?;
    let names = side_names(evidence);
    for ((side, letter), name) in evidence.sides.iter().zip(["A", "B"]).zip(names) {
        write_side(printer, side, letter, name)?;
    }
    if verdict.difference.is_none() {
        return Ok(());
    }
    write_settings(printer, comparison, evidence)?;
    histogram::write(printer, &evidence.pairs, names)?;
    write_quantiles(printer, evidence, names)?;
    causes::write(printer, verdict, names)?;
    if verdict.claims.is_empty() {
        return Ok(());
    }
    printer.blank()?;
    printer.strong("Common claims, checked against this run")?;
    verdict.claims.iter().try_for_each(|claim| write_claim(printer, claim))
}

/// Writes the target of a side. If the side could not be measured, also writes the reason.
fn write_side(
    printer: &mut Printer<impl Write>,
    side: &Side,
    letter: &str,
    name: &str,
) -> io::Result<()> {
    let shown = side.address.map(|address| side.protocol.display_address(address).to_string());
    let address = match (shown, &side.failure) {
        (_, Some(failure)) => format!(", {}", failure.describe(side.protocol)),
        (Some(shown), None) if !side.target.contains(&shown) => format!(" ({shown})"),
        (_, None) => String::new(),
    };
    let service = side.expected.service();
    let service = service.map(|service| format!(", service {}", service.name)).unwrap_or_default();
    let name = if name == letter { String::new() } else { format!("{name}  ") };
    let text = format!("{}{service}{address}", side.target);
    printer.indented(&format!("{letter}  {name}"), 3, &text)
}

fn write_settings(
    printer: &mut Printer<impl Write>,
    comparison: &ComparisonPlan,
    evidence: &Evidence,
) -> io::Result<()> {
    let text = format!(
        "{} in random order (--seed {}){}, after {} that are not counted; \
         {:.1} s in total. The difference is the median of the differences within the pairs.",
        counted(evidence.pairs.len() as u64, "pair", "pairs"),
        comparison.seed,
        messages(evidence),
        counted(evidence.warm_up, "warm-up pair", "warm-up pairs"),
        evidence.duration.as_secs_f64()
    );
    printer.labelled("   ", &text)
}

/// The sizes of the messages. Empty if no side has messages.
fn messages(evidence: &Evidence) -> String {
    let requests_of = |side: &Side| requests(side.request_bytes, side.server_sends_first());
    let mut sides = evidence.sides.iter().zip(side_names(evidence));
    let Some((side, name)) = sides.find(|(side, _)| !side.has_handshakes()) else {
        return String::new();
    };
    let name = if evidence.has_handshakes() { format!("{name} ") } else { String::new() };
    let bytes = counted(side.request_bytes as u64, "byte", "bytes");
    let [a, b] = evidence.sides.each_ref().map(requests_of);
    let is_echo = |side: &Side| side.expected.is_echo() || side.has_handshakes();
    if evidence.sides.iter().all(is_echo) {
        // Only the replies of echo servers have the size of the requests.
        format!(", {name}requests and replies of {bytes}")
    } else if a == b {
        format!(", {a}")
    } else {
        let common = "requests of ";
        let b = if a.starts_with(common) { b.strip_prefix(common).unwrap_or(&b) } else { &b };
        format!(", {a} (A) and {b} (B)")
    }
}

/// Writes a table with the quantiles of both sides.
fn write_quantiles(
    printer: &mut Printer<impl Write>,
    evidence: &Evidence,
    names: [&str; 2],
) -> io::Result<()> {
    let columns = Columns::new(evidence.sides.iter().map(|side| &side.summary.rtt));
    let longest = evidence.sides.iter().filter_map(|side| side.summary.rtt.max());
    let longest = longest.max().unwrap_or_default();
    let unit = if longest < MAX_IN_MICROSECONDS { TENTHS_OF_A_MICROSECOND } else { MILLISECONDS };
    let headings = columns.headings().into_iter().chain(["lost"]);
    let mut table = Table::new(2, format!("RTT in {}", unit.name), headings);
    for (side, name) in evidence.sides.iter().zip(names) {
        if side.summary.rtt.count() > 0 {
            let lost = count(side.summary.lost + side.summary.corrupt);
            table.row(name, columns.cells(&side.summary.rtt, unit).into_iter().chain([lost]));
        }
    }
    printer.blank()?;
    printer.table(&table)?;
    columns.write_missing(printer)
}

fn write_claim(printer: &mut Printer<impl Write>, claim: &Claim) -> io::Result<()> {
    let result = match claim.holds {
        Some(true) => "holds",
        Some(false) => "refuted",
        None => "not decided",
    };
    let text = format!("\"{}\": {}", claim.claim, claim.evidence);
    printer.labelled(&format!("  {result:<11}  "), &text)
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{in_all_layouts, microseconds, printer, words, written};
    use super::*;
    use crate::analysis::comparison::judge;
    use crate::analysis::evidence::Pair;
    use crate::plan::{ComparisonSettings, Settings};
    use crate::protocol::registry::protocol_named;

    fn comparison() -> ComparisonPlan {
        let settings = ComparisonSettings {
            each: Settings::series(1),
            pairs: Some(500),
            duration: None,
            seed: 42,
            confidence: 0.95,
            sweep: false,
        };
        ComparisonPlan::new(&"192.0.2.7".parse().unwrap(), None, &settings).unwrap()
    }

    fn side(protocol: &str, count: u64, start: u64) -> Side {
        let protocol = protocol_named(protocol).unwrap();
        let target = format!("{}-server.example", protocol.title);
        let mut side = Side { request_bytes: 64, ..Side::new(protocol, target) };
        (0..count).for_each(|number| side.summary.rtt.add(microseconds(start + number % 9)));
        side
    }

    /// B takes about 20 µs longer.
    fn evidence(count: u64) -> Evidence {
        let pair = |number: u64| Pair {
            b_first: false,
            a: Some(microseconds(100 + number % 9)),
            b: Some(microseconds(120 + number % 7)),
        };
        Evidence {
            pairs: (0..count).map(pair).collect(),
            ..Evidence::new([side("udp", count, 100), side("tcp", count, 120)])
        }
    }

    fn text(evidence: &Evidence) -> String {
        let (comparison, verdict) = (comparison(), judge(evidence, 0.95));
        // The histogram is omitted, because the number of its columns depends on the width.
        in_all_layouts(|printer| {
            printer.strong(&verdict.sentence)?;
            write_settings(printer, &comparison, evidence)?;
            write_quantiles(printer, evidence, ["UDP", "TCP"])?;
            causes::write(printer, &verdict, ["UDP", "TCP"])?;
            verdict.claims.iter().try_for_each(|claim| write_claim(printer, claim))
        })
    }

    #[test]
    fn quantiles_have_one_unit_and_enough_values() {
        let text = text(&evidence(500));
        let heading = text.lines().find(|line| line.contains("RTT in")).unwrap();
        assert_eq!(words(heading), "RTT in µs min mean p50 p90 p99 max lost");
        let row = text.lines().find(|line| line.starts_with("  UDP ")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        let ["UDP", times @ .., "0"] = &cells[..] else { panic!("{row}") };
        assert_eq!((times.len(), times[0], times[5]), (6, "100.0", "108.0"), "{row}");
        assert!(times.iter().all(|time| time.len() == "100.0".len()), "{row}");
    }

    #[test]
    fn verdict_is_the_first_line_and_the_sides_follow() {
        let evidence = evidence(500);
        let verdict = judge(&evidence, 0.95);
        let mut printer = printer(80);
        write(&mut printer, &comparison(), &evidence, &verdict).unwrap();
        let text = written(printer);
        let first: String = verdict.sentence.chars().take(20).collect();
        assert!(text.starts_with(&first), "{text}");
        for part in ["A  UDP  UDP-server.example\n", "B  TCP  TCP-server.example\n", "(--seed 42)"]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn comparison_without_pairs_has_only_verdict_and_sides() {
        let evidence = evidence(0);
        let verdict = judge(&evidence, 0.95);
        let mut printer = printer(80);
        write(&mut printer, &comparison(), &evidence, &verdict).unwrap();
        let text = written(printer);
        assert!(text.ends_with("B  TCP  TCP-server.example\n"), "{text}");
    }
}
