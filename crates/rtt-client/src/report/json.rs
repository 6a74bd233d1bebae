//! For a program: JSON Lines, one event a line. What was not measured is absent.

use super::{Attempt, Event, Report, Start};
use crate::statistics::nanoseconds;
use crate::{Connection, Distribution, Exchange, Failure, Outcome, Plan, Summary};
use chrono::{DateTime, Local, SecondsFormat};
use echo_core::{Stamp, acts_on_terminals};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;

/// Writes a run for a program.
#[derive(Debug)]
pub struct Json<Out> {
    out: Out,
}

impl<Out: Write> Json<Out> {
    /// A report that writes to `out`.
    pub fn new(out: Out) -> Self {
        Self { out }
    }
}

impl<Out: Write> Report for Json<Out> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let line = match event {
            Event::Start(start) => Line::from(*start),
            Event::Attempt(attempt) => Line::from(*attempt),
            Event::Connection(connection) => Line::from(*connection),
            Event::Exchange(exchange) => Line::from(*exchange),
            Event::Summary(plan, summary) => Line::Summary(Totals::new(plan, summary)),
        };
        let text = harmless(serde_json::to_string(&line)?);
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

/// The same JSON, but nothing in it acts on a terminal that it is shown on. Beyond the characters that
/// JSON itself escapes, such can only stand in strings, where an escape means the same.
fn harmless(json: String) -> String {
    if !json.contains(acts_on_terminals) {
        return json;
    }
    let mut harmless = String::with_capacity(json.len());
    for character in json.chars() {
        if acts_on_terminals(character) {
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
        #[serde(flatten)]
        failure: Option<Trouble>,
    },
    Summary(Totals),
}

/// What is known of a failure.
#[derive(Serialize)]
struct Trouble {
    condition: &'static str,
    after_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    explanation: &'static str,
}

#[derive(Serialize)]
struct Totals {
    protocol: &'static str,
    target: String,
    sent: u64,
    received: u64,
    lost: u64,
    corrupt: u64,
    duration_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<Figures>,
}

/// A distribution, in nanoseconds.
#[derive(Serialize)]
struct Figures {
    min: u64,
    mean: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl From<&Start<'_>> for Line {
    fn from(start: &Start<'_>) -> Self {
        Self::Start {
            protocol: start.protocol.name,
            target: start.target.to_string(),
            address: start.address,
            local: start.local,
            clock_cost_ns: nanoseconds(start.clock_cost),
        }
    }
}

impl From<&Attempt> for Line {
    fn from(attempt: &Attempt) -> Self {
        Self::Attempt { address: attempt.address, failure: Trouble::from(&attempt.failure) }
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
            Outcome::Reply { received, text } | Outcome::Corrupt { received, text, .. } => {
                (Some(*received), Some(text))
            }
            Outcome::Lost(_) | Outcome::Error(_) => (None, None),
        };
        Self::Exchange {
            seq: exchange.seq,
            outcome: exchange.outcome.name(),
            sent: exchange.sent.map(time),
            received: received.map(time),
            rtt_ns: exchange.rtt().map(nanoseconds),
            reply: text.map(|text| String::from_utf8_lossy(text).into_owned()),
            failure: exchange.outcome.failure().map(Trouble::from),
        }
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        Self {
            condition: failure.condition.name(),
            after_ns: nanoseconds(failure.after),
            errno: failure.error.as_ref().and_then(io::Error::raw_os_error),
            detail: failure.detail.clone(),
            explanation: failure.condition.meaning(),
        }
    }
}

impl Totals {
    fn new(plan: &Plan, summary: &Summary) -> Self {
        Self {
            protocol: plan.protocol.name,
            target: plan.target.to_string(),
            sent: summary.sent,
            received: summary.received,
            lost: summary.lost,
            corrupt: summary.corrupt,
            duration_ns: nanoseconds(summary.duration),
            rtt_ns: Figures::of(&summary.rtt),
            connect_ns: Figures::of(&summary.connect),
        }
    }
}

impl Figures {
    fn of(distribution: &Distribution) -> Option<Self> {
        let (min, mean, max) = distribution.extent()?;
        let quantile = |share| distribution.quantile(share).map(nanoseconds);
        Some(Self {
            min: nanoseconds(min),
            mean: nanoseconds(mean),
            p50: quantile(0.5)?,
            p90: quantile(0.9)?,
            p99: quantile(0.99)?,
            p999: quantile(0.999)?,
            max: nanoseconds(max),
        })
    }
}

/// RFC 3339, to the nanosecond, in local time with its offset.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).to_rfc3339_opts(SecondsFormat::Nanos, false)
}
