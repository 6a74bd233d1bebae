//! JSON Lines for programs: one event on each line. docs/output.md describes the fields.
//!
//! If a value was not measured, its field is absent.

mod exchange;
mod finding;
mod host;
mod losses;
mod outages;
mod packets;
mod path;
mod protocol;
mod summary;
mod verdict;

use crate::analysis::comparison::SideId;
use crate::capture::trace::Trace;
use crate::event::{ComparisonStart, Event, Report, Start};
use crate::model::format::nanoseconds;
use crate::model::protocol::{DisplayAddress, Protocol};
use chrono::{DateTime, Local, SecondsFormat};
use echo_core::{Stamp, escape_json};
use exchange::{AddressesLine, AttemptLine, ConnectionLine, ExchangeLine};
use finding::FindingLine;
use host::HostLine;
use outages::AddressLine;
use protocol::ProtocolLine;
use serde::Serialize;
use std::io::{self, Write};
use summary::SummaryLine;
use verdict::{PairLine, VerdictLine};

/// The options of a JSON report.
#[derive(Debug, Clone, Default)]
pub struct JsonConfig {
    /// Omit the lines of the individual exchanges and pairs.
    pub quiet: bool,
    /// The arguments and the host of the program, for the `start` event. A library user can omit them.
    pub invocation: Option<Invocation>,
}

/// The arguments and the host of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Invocation {
    /// The arguments of the command line, without the program's name.
    pub arguments: Vec<String>,
    /// The host that runs the program.
    pub host: Host,
}

/// The host that runs the program.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// The operating system, its release and the architecture: `linux 6.12.1 x86_64`.
    pub system: String,
    /// The number of CPUs that the program can use. Absent if the system does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<usize>,
}

/// Writes the events of a run as JSON Lines.
#[derive(Debug)]
pub struct Json<Out> {
    out: Out,
    config: JsonConfig,
    /// The protocol of the run. Absent before its start.
    protocol: Option<&'static Protocol>,
}

impl<Out: Write> Json<Out> {
    /// Creates a report that writes to `out`.
    pub fn new(out: Out, config: JsonConfig) -> Self {
        Self { out, config, protocol: None }
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let json = serde_json::to_string(line)?;
        self.out.write_all(escape_json(&json).as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Writes a line for each packet, a line for each exchange, and a line with the totals.
    fn trace(&mut self, trace: &Trace) -> io::Result<()> {
        for line in packets::packet_lines(trace) {
            self.line(&Line::Packet(Box::new(line)))?;
        }
        for line in packets::exchange_timings(trace) {
            self.line(&Line::ExchangeTiming(line))?;
        }
        self.line(&Line::Trace(packets::TraceSummary::of(trace)))
    }

    /// Writes a `start` line for each side.
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
                self.protocol = Some(start.plan.protocol);
                let line = StartLine::new(start, None, self.config.invocation.as_ref());
                Line::Start(Box::new(line))
            }
            Event::Protocol(protocol) => Line::Protocol((*protocol).into()),
            Event::AddressLimit(limit) => Line::Addresses((*limit).into()),
            Event::FailedAttempt(attempt) => Line::Attempt((*attempt).into()),
            Event::AddressChange(change) => Line::Address((*change).into()),
            Event::Connection(connection) => Line::Connection((*connection).into()),
            Event::Exchange(exchange) if !quiet => {
                Line::Exchange(Box::new(ExchangeLine::new(exchange, self.protocol)))
            }
            Event::ComparisonStart(start) => return self.comparison_start(start),
            Event::Trace(trace) => return self.trace(trace),
            Event::Pair { number, pair } if !quiet => Line::Pair(PairLine::new(*number, pair)),
            Event::Finding(finding) => Line::Finding(Box::new(FindingLine::from(*finding))),
            Event::Host(host) => Line::Host(Box::new(HostLine::from(*host))),
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

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Start(Box<StartLine>),
    Protocol(ProtocolLine),
    Addresses(AddressesLine),
    Attempt(AttemptLine),
    Address(AddressLine),
    Connection(ConnectionLine),
    Exchange(Box<ExchangeLine>),
    Summary(Box<SummaryLine>),
    Finding(Box<FindingLine>),
    Host(Box<HostLine>),
    Packet(Box<packets::PacketLine>),
    #[serde(rename = "exchange-timing")]
    ExchangeTiming(packets::ExchangeTimingLine),
    Trace(packets::TraceSummary),
    Pair(PairLine),
    Verdict(Box<VerdictLine>),
}

#[derive(Serialize)]
struct StartLine {
    version: &'static str,
    #[serde(flatten)]
    invocation: Option<Invocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    protocol: &'static str,
    /// Whether the exchanges are handshakes. Absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    connect_only: bool,
    /// The name of the predefined service. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<DisplayAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<DisplayAddress>,
    clock_cost_ns: u64,
}

impl StartLine {
    fn new(start: &Start<'_>, side: Option<SideId>, invocation: Option<&Invocation>) -> Self {
        let protocol = start.plan.protocol;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            invocation: invocation.cloned(),
            side: side.map(SideId::name),
            protocol: protocol.name,
            connect_only: protocol.is_handshake(),
            service: start.plan.expected_server().service().map(|service| service.name),
            target: start.plan.target.to_string(),
            address: start.address.map(|address| protocol.display_address(address)),
            local: start.local.map(|local| protocol.display_address(local)),
            clock_cost_ns: nanoseconds(start.clock_cost),
        }
    }
}

/// Formats a time as in RFC 3339 with nanoseconds, in local time with its offset.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).to_rfc3339_opts(SecondsFormat::Nanos, false)
}
