//! JSON Lines for programs: one event on each line. docs/output.md describes the fields. Pure.
//!
//! A field without a measured value is absent.

mod exchange;
mod finding;
mod packets;
mod start;
mod summary;
mod verdict;

pub use start::{Host, Invocation};

use crate::analysis::comparison::SideId;
use crate::capture::trace::Trace;
use crate::event::{ComparisonStart, Event, Report};
use chrono::{DateTime, Local, SecondsFormat};
use echo_core::{Stamp, is_terminal_control};
use exchange::{AttemptLine, ConnectionLine, ExchangeLine};
use finding::FindingLine;
use serde::Serialize;
use start::StartLine;
use std::fmt::Write as _;
use std::io::{self, Write};
use summary::SummaryLine;
use verdict::{PairLine, VerdictLine};

/// What a JSON report contains.
#[derive(Debug, Clone, Default)]
pub struct JsonConfig {
    /// Omit the lines of the individual exchanges and pairs.
    pub quiet: bool,
    /// How the program was started, for the `start` event. A library user can omit it.
    pub invocation: Option<Invocation>,
}

/// Writes the events of a run as JSON Lines.
#[derive(Debug)]
pub struct Json<Out> {
    out: Out,
    config: JsonConfig,
}

impl<Out: Write> Json<Out> {
    /// A report that writes to `out`.
    pub fn new(out: Out, config: JsonConfig) -> Self {
        Self { out, config }
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let text = escape_terminal_control(serde_json::to_string(line)?);
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// A trace has one line for each packet, one for each exchange, and one with the totals.
    fn trace(&mut self, trace: &Trace) -> io::Result<()> {
        for line in packets::packet_lines(trace) {
            self.line(&Line::Packet(Box::new(line)))?;
        }
        for line in packets::exchange_timings(trace) {
            self.line(&Line::ExchangeTiming(line))?;
        }
        self.line(&Line::Trace(packets::TraceSummary::of(trace)))
    }

    /// A comparison has two `start` lines, one for each side.
    fn comparison_start(&mut self, start: &ComparisonStart<'_>) -> io::Result<()> {
        for (start, side) in start.sides.iter().zip([SideId::A, SideId::B]) {
            let line = StartLine::new(start, Some(side), self.config.invocation.as_ref());
            self.line(&Line::Start(Box::new(line)))?;
        }
        Ok(())
    }
}

impl<Out: Write> Report for Json<Out> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let quiet = self.config.quiet;
        let line = match event {
            Event::Start(start) => {
                let line = StartLine::new(start, None, self.config.invocation.as_ref());
                Line::Start(Box::new(line))
            }
            Event::FailedAttempt(attempt) => Line::Attempt((*attempt).into()),
            Event::Connection(connection) => Line::Connection((*connection).into()),
            Event::Exchange(exchange) if !quiet => Line::Exchange(Box::new((*exchange).into())),
            Event::ComparisonStart(start) => return self.comparison_start(start),
            Event::Trace(trace) => return self.trace(trace),
            Event::Pair { number, pair } if !quiet => Line::Pair(PairLine::new(*number, pair)),
            Event::Finding(finding) => Line::Finding(Box::new(FindingLine::from(*finding))),
            Event::Summary { plan, summary } => {
                Line::Summary(Box::new(SummaryLine::new(plan, summary)))
            }
            Event::Verdict { comparison, evidence, verdict } => {
                Line::Verdict(Box::new(VerdictLine::new(comparison, evidence, verdict)))
            }
            Event::Exchange(_)
            | Event::Progress(_)
            | Event::Pair { .. }
            | Event::ComparisonProgress(_) => return Ok(()),
        };
        self.line(&line)?;
        let is_last = matches!(event, Event::Summary { .. } | Event::Verdict { .. });
        if is_last { self.out.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Escapes the control characters that a terminal would execute and that JSON does not escape itself. They can
/// occur only inside strings, where `\uXXXX` has the same meaning.
fn escape_terminal_control(json: String) -> String {
    if !json.contains(is_terminal_control) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_terminal_control(character) {
            // All of them are in the basic multilingual plane, so four digits suffice.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Start(Box<StartLine>),
    Attempt(AttemptLine),
    Connection(ConnectionLine),
    Exchange(Box<ExchangeLine>),
    Summary(Box<SummaryLine>),
    Finding(Box<FindingLine>),
    Packet(Box<packets::PacketLine>),
    #[serde(rename = "exchange-timing")]
    ExchangeTiming(packets::ExchangeTimingLine),
    Trace(packets::TraceSummary),
    Pair(PairLine),
    Verdict(Box<VerdictLine>),
}

/// RFC 3339 with nanoseconds, in local time with its offset.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).to_rfc3339_opts(SecondsFormat::Nanos, false)
}
