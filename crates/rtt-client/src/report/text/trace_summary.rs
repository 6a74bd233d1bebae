//! The text after the packet diagrams: times of the exchanges, totals of each protocol, notes about the capture.

use super::breakdown_bar;
use super::printer::Printer;
use super::table::{Table, Unit};
use crate::capture::file::{MAX_PACKETS, MAX_TOTAL_BYTES};
use crate::capture::flows::MAX_FLOWS;
use crate::capture::totals::Totals;
use crate::capture::trace::{ExchangeTiming, Trace, TracedTarget};
use crate::model::format::{count, joined};
use crate::protocol::registry::PROTOCOLS;
use echo_core::escape;
use std::io::{self, Write};
use std::time::Duration;

/// The maximum number of exchanges that are listed. JSON output lists all of them.
const MAX_EXCHANGES: usize = 20;

/// The cell of a value that does not exist.
const NONE: &str = "-";

/// Writes two RTTs for each exchange of a target: one from the packets, one from the program.
pub(super) fn write_timings(
    printer: &mut Printer<impl Write>,
    target: &TracedTarget,
) -> io::Result<()> {
    let timings = target.exchange_timings();
    let shown = &timings[..timings.len().min(MAX_EXCHANGES)];
    let times = shown.iter().flat_map(|timing| [timing.wire_rtt, timing.program_rtt]).flatten();
    let unit = Unit::for_packets(times.max().unwrap_or_default());
    shown.iter().try_for_each(|timing| write_timing(printer, timing, unit))?;
    if timings.len() > MAX_EXCHANGES {
        let more = (timings.len() - MAX_EXCHANGES) as u64;
        printer.line(&format!("... and {} more exchanges", count(more)))?;
    }
    if timings.is_empty() { Ok(()) } else { printer.blank() }
}

fn write_timing(
    printer: &mut Printer<impl Write>,
    timing: &ExchangeTiming,
    unit: Unit,
) -> io::Result<()> {
    let Some(wire) = timing.wire_rtt else { return Ok(()) };
    let mut text = format!(
        "exchange {}: {} between the request and reply packets",
        timing.exchange,
        unit.quantity(wire)
    );
    if let (Some(program), Some(host)) = (timing.program_rtt, timing.host_time_ns()) {
        // A change of the system clock can make the time inside the host negative.
        let sign = if host < 0 { "-" } else { "" };
        let host = unit.quantity(Duration::from_nanos(host.unsigned_abs()));
        text.extend([
            format!(", {} measured by the program", unit.quantity(program)),
            format!("; the difference of {sign}{host} was spent inside this host, before the request packet and \
                 after the reply packet"),
        ]);
    }
    printer.indented("", 2, &text)?;
    if let Some(breakdown) = &timing.breakdown {
        printer.labelled("  parts: ", &breakdown_bar::sum(breakdown))?;
    }
    if let Some(disagreement) = &timing.disagreement {
        printer.labelled("  note: ", &disagreement.to_string())?;
    }
    Ok(())
}

/// Writes a table of totals with a column for each target.
pub(super) fn write_totals(printer: &mut Printer<impl Write>, trace: &Trace) -> io::Result<()> {
    let targets: Vec<&TracedTarget> =
        trace.targets.iter().filter(|target| target.totals.packets > 0).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(0, "", targets.iter().map(|target| target.protocol.title));
    let mut row = |label: &str, cell: &dyn Fn(&Totals) -> Option<String>| {
        let cells = targets.iter().map(|target| cell(&target.totals));
        table.row(label, cells.map(|cell| cell.unwrap_or_else(|| NONE.to_owned())));
    };
    let number = |number: usize| Some(count(number as u64));
    row("exchanges", &|totals| number(totals.exchanges));
    row("packets", &|totals| number(totals.packets));
    row("bytes on the wire", &|totals| Some(count(totals.wire_bytes)));
    row("bytes of payload", &|totals| Some(count(totals.payload_bytes)));
    row("headers, share of bytes", &|totals| {
        totals.overhead().map(|share| format!("{:.1} %", 100.0 * share))
    });
    row("round trips up to the first reply", &|totals| totals.round_trips.and_then(number));
    if targets.iter().any(|target| target.totals.closed_by.is_some()) {
        row("connections", &|totals| number(totals.closed_by?.connections));
        row("  closed by the client first", &|totals| number(totals.closed_by?.client));
        row("  closed by the server first", &|totals| number(totals.closed_by?.server));
        let is_refused =
            |target: &&TracedTarget| target.totals.closed_by.is_some_and(|it| it.refused > 0);
        if targets.iter().any(is_refused) {
            row("  refused, never open", &|totals| number(totals.closed_by?.refused));
        }
    }
    printer.table(&table)?;
    printer.blank()
}

/// Writes the limitations of the trace, and the path of its file.
pub(super) fn write_notes(printer: &mut Printer<impl Write>, trace: &Trace) -> io::Result<()> {
    match trace.dropped {
        Some(0) => {}
        Some(dropped) => printer.paragraph(&format!(
            "The capture lost {} packets, so the diagrams are incomplete.",
            count(dropped)
        ))?,
        None => printer.paragraph("It is not known whether the capture lost packets.")?,
    }
    if trace.limit_reached {
        printer.paragraph(&format!(
            "For each target, the capture stores at most {} packets and {} MiB. It reached this limit.",
            count(MAX_PACKETS as u64),
            MAX_TOTAL_BYTES / (1024 * 1024)
        ))?;
    }
    if let Some(reason) = &trace.incomplete {
        let reason = escape(reason.as_bytes());
        printer.paragraph(&format!("Only a part of the file was read: {reason}."))?;
    }
    if trace.skipped > 0 {
        printer.paragraph(&format!(
            "{} of the {} packets in the file do not belong to an exchange, or are copies.",
            count(trace.skipped as u64),
            count(trace.packets as u64)
        ))?;
    }
    if trace.unreadable > 0 {
        printer.paragraph(&format!(
            "{} of these packets are cut off within their headers, or have an unknown link type.",
            count(trace.unreadable as u64)
        ))?;
    }
    if trace.beyond_flow_limit > 0 {
        printer.paragraph(&format!(
            "The first {} flows are explained. {} of these packets belong to other flows.",
            count(MAX_FLOWS as u64),
            count(trace.beyond_flow_limit as u64)
        ))?;
    }
    if trace.without_time > 0 {
        printer.paragraph(&format!(
            "{} packets have no timestamp, so the RTTs of their exchanges are not valid.",
            count(trace.without_time)
        ))?;
    }
    if trace.interrupted {
        printer.paragraph("Interrupted by a signal: the trace is not complete.")?;
    } else if trace.targets.is_empty() {
        let dissected = PROTOCOLS.iter().filter(|protocol| protocol.ip_numbers.is_some());
        let titles: Vec<&str> = dissected.map(|protocol| protocol.title).collect();
        let text = format!("The file contains no exchange over {}.", joined(&titles, "or"));
        printer.paragraph(&text)?;
    }
    if let Some(file) = &trace.file {
        let text = format!(
            "The packets are in the file {file}, each with a comment. Wireshark can open the file."
        );
        printer.paragraph(&text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, microseconds, printer, words, written};
    use super::*;

    #[test]
    fn time_inside_this_host_is_the_difference_of_the_two_rtts() {
        let timing = ExchangeTiming {
            exchange: 1,
            wire_rtt: Some(Duration::from_nanos(76_700)),
            program_rtt: Some(Duration::from_nanos(123_400)),
            breakdown: None,
            disagreement: None,
        };
        let unit = Unit::for_packets(microseconds(124));
        for width in WIDTHS {
            let mut printer = printer(width);
            write_timing(&mut printer, &timing, unit).unwrap();
            let expected = "exchange 1: 76.7 µs between the request and reply packets, 123.4 µs measured by \
                            the program; the difference of 46.7 µs was spent inside this host, before the request packet \
                            and after the reply packet";
            assert_eq!(words(&written(printer)), expected);
        }
    }

    #[test]
    fn notes_state_every_limitation() {
        let trace = Trace {
            dropped: Some(1234),
            incomplete: Some("the file ends inside a packet".to_owned()),
            skipped: 3,
            packets: 10,
            unreadable: 1,
            beyond_flow_limit: 1,
            without_time: 2,
            limit_reached: true,
            ..Trace::default()
        };
        for width in WIDTHS {
            let mut printer = printer(width);
            write_notes(&mut printer, &trace).unwrap();
            let text = words(&written(printer));
            for expected in [
                "The capture lost 1,234 packets, so the diagrams are incomplete.",
                "Only a part of the file was read: the file ends inside a packet.",
                "3 of the 10 packets in the file do not belong to an exchange, or are copies.",
                "at most 100,000 packets and 64 MiB. It reached this limit.",
                "1 of these packets are cut off",
                "The first 1,000 flows are explained. 1 of these packets belong to other flows.",
                "2 packets have no timestamp",
                "The file contains no exchange over UDP",
            ] {
                assert!(text.contains(expected), "{expected} in {text}");
            }
        }
    }
}
