//! For a program: JSON Lines, one event a line. What was not measured is absent.

mod finding;
mod packets;
mod summary;
mod verdict;

use crate::capture::trace::Trace;
use crate::event::{ComparisonStart, Event, FailedAttempt, Report, Start};
use crate::model::breakdown::{Breakdown, NetworkAndServer};
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::format::nanoseconds;
use chrono::{DateTime, Local, SecondsFormat};
use echo_core::{Stamp, is_terminal_control};
use finding::{Found, Told};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use summary::Totals;
use verdict::{Judged, Pair};

/// Writes a run for a program.
#[derive(Debug)]
pub struct Json<Out> {
    out: Out,
    quiet: bool,
}

impl<Out: Write> Json<Out> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let text = harmless(serde_json::to_string(line)?);
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// A trace has a line a packet, a line an exchange, and the sums.
    fn trace(&mut self, trace: &Trace) -> io::Result<()> {
        for line in packets::packet_lines(trace) {
            self.line(&Line::Packet(Box::new(line)))?;
        }
        for line in packets::exchange_timings(trace) {
            self.line(&Line::ExchangeTiming(line))?;
        }
        self.line(&Line::Trace(packets::TraceSummary::of(trace)))
    }

    /// A comparison has two starts, one a side.
    fn comparison(&mut self, start: &ComparisonStart<'_>) -> io::Result<()> {
        for (start, name) in start.sides.iter().zip(["a", "b"]) {
            let mut line = Line::from(start);
            if let Line::Start { side, .. } = &mut line {
                *side = Some(name);
            }
            self.line(&line)?;
        }
        Ok(())
    }

    /// A report that writes to `out`; without a line an exchange, if `quiet`.
    pub fn new(out: Out, quiet: bool) -> Self {
        Self { out, quiet }
    }
}

impl<Out: Write> Report for Json<Out> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let line = match event {
            Event::Start(start) => Line::from(*start),
            Event::FailedAttempt(attempt) => Line::from(*attempt),
            Event::Connection(connection) => Line::from(*connection),
            Event::Exchange(exchange) if !self.quiet => Line::from(*exchange),
            Event::ComparisonStart(start) => return self.comparison(start),
            Event::Trace(trace) => return self.trace(trace),
            Event::Pair { number, pair } if !self.quiet => Line::Pair(Pair::new(*number, pair)),
            Event::Finding(finding) => Line::Finding(Box::new(Found::of(finding))),
            Event::Verdict { comparison, evidence, verdict } => {
                Line::Verdict(Box::new(Judged::new(comparison, evidence, verdict)))
            }
            Event::Exchange(_)
            | Event::Progress(_)
            | Event::Pair { .. }
            | Event::ComparisonProgress(_) => {
                return Ok(());
            }
            Event::Summary { plan, summary } => Line::Summary(Box::new(Totals::new(plan, summary))),
        };
        self.line(&line)?;
        let is_last = matches!(event, Event::Summary { .. } | Event::Verdict { .. });
        if is_last { self.out.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The same JSON, but nothing in it acts on a terminal that it is shown on. Beyond the characters that
/// JSON itself escapes, such can only stand in strings, where an escape means the same.
fn harmless(json: String) -> String {
    if !json.contains(is_terminal_control) {
        return json;
    }
    let mut harmless = String::with_capacity(json.len());
    for character in json.chars() {
        if is_terminal_control(character) {
            // All of them are in the basic plane: four digits tell each.
            let _ = write!(harmless, "\\u{:04x}", u32::from(character));
        } else {
            harmless.push(character);
        }
    }
    harmless
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Start {
        #[serde(skip_serializing_if = "Option::is_none")]
        side: Option<&'static str>,
        protocol: &'static str,
        target: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<SocketAddr>,
        #[serde(skip_serializing_if = "Option::is_none")]
        local: Option<SocketAddr>,
        clock_cost_ns: u64,
    },
    /// An address that did not answer before another was tried.
    Attempt {
        protocol: &'static str,
        address: SocketAddr,
        #[serde(flatten)]
        failure: Trouble,
    },
    Connection {
        requested: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        established: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        connect_ns: Option<u64>,
    },
    Exchange {
        seq: u64,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        sent: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        received: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rtt_ns: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        lateness_ns: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        breakdown: Option<BreakdownFields>,
        #[serde(flatten)]
        failure: Option<Trouble>,
    },
    Summary(Box<Totals>),
    Finding(Box<Found>),
    Packet(Box<packets::PacketLine>),
    #[serde(rename = "exchange-timing")]
    ExchangeTiming(packets::ExchangeTimingLine),
    Trace(packets::TraceSummary),
    Pair(Pair),
    Verdict(Box<Judged>),
}

/// What is known of a failure.
#[derive(Serialize)]
struct Trouble {
    condition: &'static str,
    after_ns: u64,
    #[serde(flatten)]
    told: Told,
    explanation: &'static str,
}

/// The parts of one RTT; they add up to it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the interface's names")]
struct BreakdownFields {
    send_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ns: Option<u64>,
    /// Network and server, where they can't be told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_and_server_ns: Option<u64>,
    receive_ns: u64,
}

impl From<&Start<'_>> for Line {
    fn from(start: &Start<'_>) -> Self {
        Self::Start {
            side: None,
            protocol: start.plan.protocol.name,
            target: start.plan.target.to_string(),
            address: start.address,
            local: start.local,
            clock_cost_ns: nanoseconds(start.clock_cost),
        }
    }
}

impl From<&FailedAttempt> for Line {
    fn from(attempt: &FailedAttempt) -> Self {
        Self::Attempt {
            protocol: attempt.protocol.name,
            address: attempt.address,
            failure: Trouble::from(&attempt.failure),
        }
    }
}

impl From<&Connection> for Line {
    fn from(connection: &Connection) -> Self {
        Self::Connection {
            requested: time(connection.requested),
            established: connection.established.map(time),
            connect_ns: connection.handshake().map(nanoseconds),
        }
    }
}

impl From<&Exchange> for Line {
    fn from(exchange: &Exchange) -> Self {
        let (received, text) = match &exchange.outcome {
            Outcome::Reply { received, text } => (Some(*received), text.as_ref()),
            Outcome::Corrupt { received, text, .. } => (Some(*received), Some(text)),
            Outcome::Lost(_) | Outcome::Error(_) => (None, None),
        };
        Self::Exchange {
            seq: exchange.seq,
            outcome: exchange.outcome.name(),
            sent: exchange.sent.map(time),
            received: received.map(time),
            rtt_ns: exchange.rtt().map(nanoseconds),
            reply: text.map(|text| String::from_utf8_lossy(text).into_owned()),
            lateness_ns: exchange.lateness.map(nanoseconds),
            breakdown: exchange.breakdown.map(BreakdownFields::from),
            failure: exchange.outcome.failure().map(Trouble::from),
        }
    }
}

impl From<Breakdown> for BreakdownFields {
    fn from(breakdown: Breakdown) -> Self {
        let (network, server, both) = match breakdown.network_and_server {
            NetworkAndServer::Combined { duration, .. } => (None, None, Some(duration)),
            NetworkAndServer::Separate { network, server } => (Some(network), Some(server), None),
        };
        Self {
            send_ns: nanoseconds(breakdown.send),
            network_ns: network.map(nanoseconds),
            server_ns: server.map(nanoseconds),
            network_and_server_ns: both.map(nanoseconds),
            receive_ns: nanoseconds(breakdown.receive),
        }
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        Self {
            condition: failure.condition.name(),
            after_ns: nanoseconds(failure.after),
            told: Told::of(failure),
            explanation: failure.condition.meaning(),
        }
    }
}

/// RFC 3339, to the nanosecond, in local time with its offset.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).to_rfc3339_opts(SecondsFormat::Nanos, false)
}
