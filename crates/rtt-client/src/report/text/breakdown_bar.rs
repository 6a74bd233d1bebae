//! The parts of an RTT: their names, their sum in one line, and a bar with a legend.

use super::appearance::Style;
use super::printer::Printer;
use super::table::MICROSECONDS;
use crate::analysis::statistics::BreakdownFigures;
use crate::model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};
use crate::model::format::count;
use std::io::{self, Write};
use std::time::Duration;

/// The number of columns of the bar, without its brackets. Rounding can add two columns, and the line must fit into
/// 60 columns.
const BAR_WIDTH: usize = 54;

/// If the largest part has at least this share of the RTT, a sentence explains it.
const DOMINANT_SHARE: f64 = 0.4;

/// A part of an RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RttPart {
    Send,
    Network,
    Server,
    /// Network and server together, if they are not separate.
    NetworkAndServer,
    Receive,
}

impl RttPart {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Network => "network",
            Self::Server => "server",
            Self::NetworkAndServer => "network and server",
            Self::Receive => "receive",
        }
    }

    /// The start and the end of the part, for a legend. At a width of 80, this text can have up to 37 columns.
    pub(super) fn span(self) -> &'static str {
        match self {
            Self::Send => "from program to network interface",
            Self::Network => "to the server and back",
            Self::Server => "at the server, from request to reply",
            Self::NetworkAndServer => "between the request and reply packets",
            Self::Receive => "from network interface to program",
        }
    }

    /// The start and the end of the part, as the end of a sentence. The words "the time" precede it.
    fn clause(self) -> &'static str {
        match self {
            Self::Send => {
                "from the program's send call until the packet is at the network interface"
            }
            Self::Network => "on the way to the server and back",
            Self::Server => {
                "from the arrival of the request in the server's kernel until the server sends the reply"
            }
            Self::NetworkAndServer => {
                "from the departure of the request packet until the arrival of the reply packet"
            }
            Self::Receive => {
                "from the arrival of the reply packet until the waiting program runs again and has the \
                 reply"
            }
        }
    }
}

/// The parts of one exchange in one line: `send 2.17 + network 20.01 + server 8.40 + receive 42.00 µs`.
pub(super) fn sum(breakdown: &Breakdown) -> String {
    let Breakdown { send, network_and_server, receive } = *breakdown;
    let number = |part| MICROSECONDS.number(part);
    let middle = match network_and_server {
        NetworkAndServer::Combined { duration, .. } => {
            format!("network and server {}", number(duration))
        }
        NetworkAndServer::Separate { network, server, .. } => {
            format!("network {} + server {}", number(network), number(server))
        }
    };
    let (send, receive, unit) = (number(send), number(receive), MICROSECONDS.name);
    format!("send {send} + {middle} + receive {receive} {unit}")
}

/// Writes the medians of the parts as a bar with a legend, and a sentence about the largest part.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    figures: &BreakdownFigures,
) -> io::Result<()> {
    let parts = medians(figures);
    let whole: Duration = parts.iter().map(|(_, median)| *median).sum();
    if whole.is_zero() {
        return Ok(());
    }
    printer.blank()?;
    let heading = match figures.send.count() {
        1 => "Where the time went".to_owned(),
        exchanges => format!("Where the time went (medians of {} exchanges)", count(exchanges)),
    };
    printer.strong(&heading)?;
    write_bar(printer, &parts, whole)?;
    if let Some((part, median)) = parts.iter().max_by_key(|(_, median)| *median)
        && share(*median, whole) >= DOMINANT_SHARE
    {
        let (time, whole) = (MICROSECONDS.number(*median), MICROSECONDS.quantity(whole));
        let clause = part.clause();
        printer
            .paragraph(&format!("The largest part, {time} of {whole}, is the time {clause}."))?;
    }
    if let Some(reason) = figures.combined_reason() {
        printer.paragraph(explain(reason))?;
    }
    Ok(())
}

/// Writes the bar, and a line of the legend for each part.
fn write_bar(
    printer: &mut Printer<impl Write>,
    parts: &[(RttPart, Duration)],
    whole: Duration,
) -> io::Result<()> {
    let fills = printer.charset.bar_fills();
    let styling = printer.styling;
    let segment = |place: usize, cells| {
        styling.apply(Style::Segment(place), &fills[place % fills.len()].to_string().repeat(cells))
    };
    let bar: String = parts
        .iter()
        .enumerate()
        .map(|(place, (_, median))| segment(place, cells(*median, whole)))
        .collect();
    // The escape codes of the colours have no width, so the bar fits every width.
    writeln!(printer.out, "  [{bar}]")?;
    for (place, (part, median)) in parts.iter().enumerate() {
        let share = format!("{:.0} %", 100.0 * share(*median, whole));
        let time = MICROSECONDS.quantity(*median);
        let label = format!("{:<18}{time:>12}{share:>6}", part.name());
        let label = printer.charset.encode(&label);
        let lead = format!("  {} {label}  ", segment(place, 2));
        printer.with_styled_label(&lead, part.span())?;
    }
    Ok(())
}

/// Explains why network and server are one part.
fn explain(reason: CombinedReason) -> &'static str {
    match reason {
        CombinedReason::NoTimingHeader => {
            "Network and server are not separate: the replies have no timing header, so the time at the \
             server is not known."
        }
        CombinedReason::NoServerTimestamp => {
            "Network and server are not separate: the server's kernel has no timestamp of the request. This \
             is usual for the first request that a socket of the server receives. The server enables \
             timestamps when it reads that request."
        }
        CombinedReason::KernelReply => {
            "Network and server are not separate: the kernel of the target's host replies. It reports no \
             processing time."
        }
    }
}

/// The parts that were measured, in the order of an exchange.
fn medians(figures: &BreakdownFigures) -> Vec<(RttPart, Duration)> {
    let mut rows = vec![(RttPart::Send, &figures.send)];
    // Some exchanges can have separate parts while others do not. Only the more frequent kind is shown, because both
    // kinds together would count the same time twice.
    if figures.server_is_separate() {
        rows.push((RttPart::Network, &figures.network));
        rows.push((RttPart::Server, &figures.server));
    } else {
        rows.push((RttPart::NetworkAndServer, &figures.network_and_server));
    }
    rows.push((RttPart::Receive, &figures.receive));
    rows.into_iter().filter_map(|(part, values)| Some((part, values.median()?))).collect()
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64()
}

/// The number of cells of a part in the bar. A part that is not zero has at least one cell.
fn cells(part: Duration, whole: Duration) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to the width of the bar"
    )]
    let cells = (BAR_WIDTH as f64 * share(part, whole)).round() as usize;
    cells.max(usize::from(!part.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::super::appearance::{Charset, Styling};
    use super::super::test_support::{WIDTHS, microseconds, printer, written};
    use super::*;

    fn combined() -> BreakdownFigures {
        let mut parts = BreakdownFigures::default();
        parts.send.add(microseconds(1));
        parts.network_and_server.add(microseconds(30));
        parts.receive.add(microseconds(42));
        parts
    }

    fn separate() -> BreakdownFigures {
        let mut parts = BreakdownFigures::default();
        parts.send.add(microseconds(1));
        parts.network.add(microseconds(20));
        parts.server.add(microseconds(10));
        parts.receive.add(microseconds(12));
        parts
    }

    #[test]
    fn bar_fits_every_width_and_the_largest_part_is_explained() {
        for width in WIDTHS {
            let mut printer = printer(width);
            write(&mut printer, &combined()).unwrap();
            let text = written(printer);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("[░▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▒"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(words.contains("the replies have no timing header"), "{text}");
            assert!(words.contains("42.00 of 73.00 µs, is the time from the arrival"), "{text}");
        }
        let mut printer = printer(80);
        write(&mut printer, &BreakdownFigures::default()).unwrap();
        assert_eq!(written(printer), "");
    }

    #[test]
    fn ascii_bar_consists_of_ascii_characters() {
        let mut printer = Printer { charset: Charset::Ascii, ..printer(80) };
        write(&mut printer, &separate()).unwrap();
        let text = written(printer);
        assert!(text.contains("[.####") && text.contains("10.00 us"), "{text}");
    }

    #[test]
    fn colours_appear_only_if_they_are_enabled() {
        let mut coloured = Printer { styling: Styling::BoldAndColour, ..printer(60) };
        write(&mut coloured, &separate()).unwrap();
        let coloured = written(coloured);
        assert!(coloured.contains("\x1b[34m░\x1b[0m\x1b[32m▓"), "{coloured}");
        let mut plain = printer(60);
        write(&mut plain, &separate()).unwrap();
        // `written` rejects escape codes in plain text.
        assert!(written(plain).contains("[░▓▓▓"));
    }

    #[test]
    fn missing_server_timestamp_is_the_reason_if_it_is_more_frequent() {
        let mut figures = combined();
        figures.without_server_timestamp = 1;
        let mut printer = printer(80);
        write(&mut printer, &figures).unwrap();
        assert!(written(printer).contains("the server's kernel has no timestamp"));
    }

    #[test]
    fn parts_of_an_exchange_are_written_as_a_sum() {
        let (network, server) = (microseconds(20), microseconds(10));
        let network_and_server =
            NetworkAndServer::Separate { network, server, limit: Duration::ZERO };
        let (send, receive) = (microseconds(1), microseconds(12));
        let breakdown = Breakdown { send, network_and_server, receive };
        let expected = "send 1.00 + network 20.00 + server 10.00 + receive 12.00 µs";
        assert_eq!(sum(&breakdown), expected);
    }
}
