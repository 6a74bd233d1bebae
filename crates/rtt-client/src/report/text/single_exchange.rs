//! One exchange of the user's message: the reply, the times, and the durations between them.

use super::printer::Printer;
use super::table::MILLISECONDS;
use crate::analysis::statistics::Summary;
use crate::model::exchange::{CompletedPhase, Connection, Exchange, Outcome, PhaseDuration};
use crate::model::hop_limit::ReplyTtl;
use crate::model::received_text::received_text;
use crate::plan::Plan;
use chrono::{DateTime, Local};
use echo_core::{Stamp, escape};
use std::io::{self, Write};
use std::time::Duration;

/// The event at the start of the first phase of a connection.
const CONNECTION_REQUESTED: &str = "connection requested";

/// The names of the two events of an exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels {
    request: &'static str,
    reply: &'static str,
    /// The duration between them, if a connection was opened first.
    duration: &'static str,
    /// Whether the reply has a text.
    has_text: bool,
}

impl Default for Labels {
    fn default() -> Self {
        Self::MESSAGES
    }
}

impl Labels {
    pub(super) const MESSAGES: Self = Self {
        request: "request sent",
        reply: "reply received",
        duration: "request RTT",
        has_text: true,
    };
    /// The server sends first.
    const GREETING: Self = Self { request: "wait started", duration: "RTT", ..Self::MESSAGES };
    const HANDSHAKE: Self = Self {
        request: CONNECTION_REQUESTED,
        reply: "connection established",
        duration: "RTT",
        has_text: false,
    };

    pub(super) fn of(plan: &Plan) -> Self {
        if plan.protocol.is_handshake() {
            Self::HANDSHAKE
        } else if plan.server_sends_first() {
            Self::GREETING
        } else {
            Self::MESSAGES
        }
    }
}

/// The form of the reply in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ReplyText {
    /// The reply of an echo server.
    #[default]
    Echo,
    /// The reply of a service. Without a defined end, it is complete when its first bytes arrive.
    Service { has_end: bool },
}

impl ReplyText {
    pub(super) fn of(plan: &Plan) -> Self {
        match plan.payload.service() {
            Some(service) => Self::Service { has_end: service.has_reply_end() },
            None => Self::Echo,
        }
    }

    /// Whether the time to the first byte can differ from the RTT.
    pub(super) fn has_end(self) -> bool {
        self == Self::Service { has_end: true }
    }

    fn show(self, reply: &[u8]) -> String {
        match self {
            Self::Echo => escape(reply),
            Self::Service { .. } => received_text(reply),
        }
    }
}

/// Writes an exchange that has an RTT.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    heading: &str,
    labels: Labels,
    reply: ReplyText,
    connection: Option<&Connection>,
    exchange: &Exchange,
) -> io::Result<()> {
    let (Outcome::Reply { received, text }, Some(sent), Some(rtt)) =
        (&exchange.outcome, exchange.sent, exchange.rtt())
    else {
        return Ok(());
    };
    let connection = connection.filter(|connection| connection.is_established);
    printer.strong(heading)?;
    printer.blank()?;
    if labels.has_text {
        line(printer, "reply", &reply.show(text.as_deref().unwrap_or_default()))?;
    }
    if let Some(connection) = connection {
        line(printer, CONNECTION_REQUESTED, &time(connection.requested))?;
        for CompletedPhase { phase, end } in &connection.phases {
            line(printer, phase.end, &time(*end))?;
        }
    }
    line(printer, labels.request, &time(sent))?;
    line(printer, labels.reply, &time(*received))?;
    printer.blank()?;
    match connection {
        None => {
            let span = format!("{} → {}", labels.request, labels.reply);
            duration(printer, "RTT", rtt, &span)?;
        }
        Some(connection) => write_parts(printer, labels, connection, sent, *received)?,
    }
    if let Some(first_byte) = exchange.first_byte_time().filter(|_| reply.has_end()) {
        let span = format!("{} → first byte of the reply", labels.request);
        duration(printer, "first byte", first_byte, &span)?;
    }
    if let Some(ttl) = exchange.hop_limit {
        let ttl = ReplyTtl::from(ttl);
        let lead = format!("  {:<13}  {:>9}     ", "reply TTL", ttl.range());
        printer.labelled(&lead, &ttl.to_string())?;
    }
    printer.flush()
}

/// Writes the notes about the exchange.
pub(super) fn write_notes(printer: &mut Printer<impl Write>, summary: &Summary) -> io::Result<()> {
    if !summary.notes.is_empty() && summary.all_answered() {
        printer.blank()?;
    }
    summary.notes.iter().try_for_each(|note| printer.paragraph(note))
}

/// Writes the parts of the time from the connection request to the reply. Each part is rounded to whole microseconds.
/// The total is the sum of the rounded parts, so that the printed values add up.
fn write_parts(
    printer: &mut Printer<impl Write>,
    labels: Labels,
    connection: &Connection,
    sent: Stamp,
    received: Stamp,
) -> io::Result<()> {
    let mut total = Duration::ZERO;
    let mut part = |printer: &mut _, label: &str, length, meaning: &str| {
        let length = rounded(length);
        total += length;
        duration(printer, label, length, meaning)
    };
    let mut start = CONNECTION_REQUESTED;
    for PhaseDuration { phase, duration } in connection.phase_durations() {
        part(printer, phase.name, duration, &format!("{start} → {}", phase.end))?;
        start = phase.end;
    }
    let opened = connection.established().unwrap_or(connection.requested);
    let Labels { request, reply, .. } = labels;
    part(printer, "in the client", sent.since(&opened), &format!("{start} → {request}"))?;
    part(printer, labels.duration, received.since(&sent), &format!("{request} → {reply}"))?;
    duration(printer, "total", total, &format!("{CONNECTION_REQUESTED} → {reply}"))
}

/// Rounds to a whole microsecond, the smallest unit that is printed.
fn rounded(duration: Duration) -> Duration {
    let microseconds = (duration.as_nanos() + 500) / 1000;
    Duration::from_micros(u64::try_from(microseconds).unwrap_or(u64::MAX))
}

fn line(printer: &mut Printer<impl Write>, label: &str, value: &str) -> io::Result<()> {
    printer.labelled(&format!("  {label:<22}  "), value)
}

fn duration(
    printer: &mut Printer<impl Write>,
    label: &str,
    duration: Duration,
    meaning: &str,
) -> io::Result<()> {
    let number = MILLISECONDS.number(duration);
    let lead = format!("  {label:<13}  {number:>9} {}  ", MILLISECONDS.name);
    printer.labelled(&lead, &format!("({meaning})"))
}

/// Local time and its offset from UTC, to the microsecond.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).format("%Y-%m-%d %H:%M:%S%.6f %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, printer, written};
    use super::*;
    use crate::model::protocol::Phase;

    static HANDSHAKE: Phase = Phase { name: "handshake", end: "connection established" };

    fn exchange(connected: bool) -> (Option<Connection>, Exchange) {
        let requested = Stamp::just_before();
        let after = |nanoseconds| requested.later(Duration::from_nanos(nanoseconds));
        let mut connection = Connection::requested(requested);
        connection.complete(&HANDSHAKE, after(57_400));
        connection.is_established = true;
        let exchange = Exchange {
            seq: 1,
            sent: Some(after(63_800)),
            lateness: None,
            connection_position: None,
            outcome: Outcome::Reply { received: after(87_900), text: Some("HELLO".into()) },
            breakdown: None,
            first_byte: None,
            hop_limit: None,
            retransmitted: None,
            lost_where: None,
        };
        (connected.then_some(connection), exchange)
    }

    #[test]
    fn printed_parts_add_up_to_the_total() {
        let (connection, exchange) = exchange(true);
        for width in WIDTHS {
            let mut printer = printer(width);
            write(
                &mut printer,
                "TCP to server from client",
                Labels::MESSAGES,
                ReplyText::Echo,
                connection.as_ref(),
                &exchange,
            )
            .unwrap();
            let text = written(printer);
            let figure = |label: &str| {
                let line = text.lines().find(|line| line.trim().starts_with(label)).unwrap();
                let (before, _) = line.split_once(" ms").unwrap();
                before.split(' ').next_back().unwrap().to_owned()
            };
            let parts = ["handshake", "in the client", "request RTT", "total"].map(figure);
            // The total is 87.9 µs, but the rounded parts are 57, 6 and 24 µs.
            assert_eq!(parts, ["0.057", "0.006", "0.024", "0.087"], "{text}");
        }
    }

    #[test]
    fn exchange_without_a_connection_has_one_duration() {
        let (connection, exchange) = exchange(false);
        let mut printer = printer(80);
        write(
            &mut printer,
            "UDP to server from client",
            Labels::MESSAGES,
            ReplyText::Echo,
            connection.as_ref(),
            &exchange,
        )
        .unwrap();
        let text = written(printer);
        assert_eq!(text.matches(" ms ").count(), 1, "{text}");
        assert!(text.contains("  RTT                0.024 ms  (request sent → reply received)"));
        assert!(text.contains("  reply                   HELLO\n"), "{text}");
        assert!(!text.contains("TTL"), "{text}");
    }

    #[test]
    fn hop_limit_of_the_reply_is_printed_if_it_was_measured() {
        let (connection, exchange) = exchange(false);
        let exchange = Exchange { hop_limit: Some(63), ..exchange };
        let mut printer = printer(80);
        write(
            &mut printer,
            "to server",
            Labels::MESSAGES,
            ReplyText::Echo,
            connection.as_ref(),
            &exchange,
        )
        .unwrap();
        let text = written(printer);
        let line =
            "  reply TTL             63     (1 router on the way back, if it started at 64)\n";
        assert!(text.contains(line), "{text}");
    }
}
