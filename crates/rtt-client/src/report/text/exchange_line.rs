//! The line of one exchange in a series.

use super::breakdown_bar;
use super::printer::Printer;
use super::table::{MICROSECONDS, MILLISECONDS};
use crate::model::exchange::{Exchange, Retransmitted};
use crate::model::format::counted;
use crate::model::icmp::Origin;
use std::io::{self, Write};

/// The number of columns for the RTT. Usual values fit.
const NUMBER_WIDTH: usize = 9;

/// The indentation of the second and later lines of one exchange.
const CONTINUATION_INDENT: usize = 10;

/// Writes the heading of the lines.
pub(super) fn write_heading(printer: &mut Printer<impl Write>) -> io::Result<()> {
    printer.strong(&format!("   no.  {:>NUMBER_WIDTH$}", "RTT"))
}

/// Writes the RTT of an exchange, or the reason why there is none.
pub(super) fn write(printer: &mut Printer<impl Write>, exchange: &Exchange) -> io::Result<()> {
    let text = match (exchange.rtt(), &exchange.breakdown) {
        // A part can be shorter than a microsecond, so the sum and the RTT are in microseconds.
        (Some(rtt), Some(breakdown)) => {
            let (number, unit) = (MICROSECONDS.number(rtt), MICROSECONDS.name);
            let sum = breakdown_bar::sum(breakdown);
            return printer.indented(
                &format!("{:>6}  {number:>NUMBER_WIDTH$} {unit} = ", exchange.seq),
                CONTINUATION_INDENT,
                &format!("{sum}{}", lateness(exchange)),
            );
        }
        (Some(rtt), None) => {
            let (number, unit) = (MILLISECONDS.number(rtt), MILLISECONDS.name);
            let (lateness, sent_again) = (lateness(exchange), sent_again(exchange));
            format!("{number:>NUMBER_WIDTH$} {unit}{lateness}{sent_again}")
        }
        (None, _) => match failure(exchange) {
            Some(failure) => failure,
            None => return Ok(()),
        },
    };
    printer.labelled(&format!("{:>6}  ", exchange.seq), &text)
}

/// The delay of the send after its scheduled time.
fn lateness(exchange: &Exchange) -> String {
    exchange.lateness.map_or_else(String::new, |lateness| {
        format!(", sent {} after the scheduled time", MILLISECONDS.quantity(lateness))
    })
}

/// The packets of a handshake that were sent again.
fn sent_again(exchange: &Exchange) -> String {
    let retransmitted = exchange.retransmitted.filter(|it| it.segments > 0);
    retransmitted.map_or_else(String::new, |Retransmitted { segments, .. }| {
        format!(", {} sent again", counted(segments.into(), "segment", "segments"))
    })
}

fn failure(exchange: &Exchange) -> Option<String> {
    let failure = exchange.outcome.failure()?;
    let mut text = format!("{}: {}", exchange.outcome.name(), failure.condition);
    match (failure.origin, &failure.error) {
        (Some(Origin::Icmp(icmp)), _) => {
            text.extend([", reported by ".to_owned(), icmp.to_string()]);
        }
        (Some(Origin::ThisHost), Some(error)) => text.extend([", ".to_owned(), error.to_string()]),
        _ => {}
    }
    if failure.measured_after().is_none() {
        text.push_str(", not sent");
    }
    if let Some(detail) = &failure.detail {
        text.extend([", ", detail]);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, microseconds, printer, written};
    use super::*;
    use crate::model::breakdown::{Breakdown, NetworkAndServer};
    use crate::model::condition::{Condition, Failure};
    use crate::model::exchange::Outcome;
    use echo_core::Stamp;

    fn exchange() -> Exchange {
        let sent = Stamp::just_before();
        let received = sent.later(microseconds(1043));
        Exchange {
            seq: 7,
            sent: Some(sent),
            lateness: None,
            connection_position: None,
            outcome: Outcome::Reply { received, text: None },
            breakdown: None,
            first_byte: None,
            hop_limit: None,
            retransmitted: None,
            lost_where: None,
        }
    }

    fn line(width: usize, exchange: &Exchange) -> String {
        let mut printer = printer(width);
        write(&mut printer, exchange).unwrap();
        written(printer)
    }

    #[test]
    fn reply_line_has_the_rtt_and_the_lateness() {
        assert_eq!(line(80, &exchange()), "     7      1.043 ms\n");
        let late = Exchange { lateness: Some(microseconds(20)), ..exchange() };
        let expected = "     7      1.043 ms, sent 0.020 ms after the scheduled time\n";
        assert_eq!(line(80, &late), expected);
    }

    #[test]
    fn line_of_a_handshake_has_its_retransmissions() {
        let retransmitted = |segments| Some(Retransmitted { segments, cost: None });
        let repeated = Exchange { retransmitted: retransmitted(1), ..exchange() };
        assert_eq!(line(80, &repeated), "     7      1.043 ms, 1 segment sent again\n");
        let once = Exchange { retransmitted: retransmitted(0), ..exchange() };
        assert_eq!(line(80, &once), "     7      1.043 ms\n");
    }

    #[test]
    fn breakdown_and_rtt_have_one_unit() {
        let (network, server) = (microseconds(1000), microseconds(20));
        let network_and_server =
            NetworkAndServer::Separate { network, server, limit: std::time::Duration::ZERO };
        let (send, receive) = (microseconds(3), microseconds(20));
        let breakdown = Some(Breakdown { send, network_and_server, receive });
        for width in WIDTHS {
            let text = line(width, &Exchange { breakdown, ..exchange() });
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let expected = "7 1,043.00 µs = send 3.00 + network 1,000.00 + server 20.00 + \
                            receive 20.00 µs";
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn line_of_a_lost_exchange_has_the_condition() {
        let outcome = Outcome::Lost(Failure::new(Condition::Silent, microseconds(500)));
        assert_eq!(line(80, &Exchange { outcome, ..exchange() }), "     7  lost: silent\n");
    }
}
