//! Comma-separated values (RFC 4180): a header, then one row for each exchange or each pair.
//!
//! If a value was not measured, its field is empty.

use crate::analysis::evidence::Pair;
use crate::event::{Event, Report};
use crate::model::breakdown::NetworkAndServer;
use crate::model::exchange::{Exchange, Outcome};
use crate::model::format::nanoseconds;
use chrono::{DateTime, SecondsFormat, Utc};
use echo_core::Stamp;
use std::fmt::Display;
use std::io::{self, Write};

/// The columns of a series. The fields need no quotes, because they never contain commas or quotation marks.
const EXCHANGE_HEADER: &str = "seq,outcome,sent,received,rtt_ns,lateness_ns,send_ns,network_ns,server_ns,\
                               network_and_server_ns,receive_ns,condition,ttl,lost_where,first_byte_ns";

/// The columns of a comparison.
const PAIR_HEADER: &str = "pair,first,a_rtt_ns,b_rtt_ns,difference_ns";

/// Writes the events of a run as comma-separated values.
#[derive(Debug)]
pub struct Csv<Out> {
    out: Out,
}

impl<Out: Write> Csv<Out> {
    /// Creates a report that writes to `out`.
    pub fn new(out: Out) -> Self {
        Self { out }
    }

    fn pair(&mut self, number: u64, pair: &Pair) -> io::Result<()> {
        writeln!(
            self.out,
            "{number},{},{},{},{}",
            pair.first().name(),
            field(pair.a.map(nanoseconds)),
            field(pair.b.map(nanoseconds)),
            field(pair.difference()),
        )
    }

    fn exchange(&mut self, exchange: &Exchange) -> io::Result<()> {
        let received = match &exchange.outcome {
            Outcome::Reply { received, .. } | Outcome::Corrupt { received, .. } => Some(*received),
            Outcome::Lost(_) | Outcome::Error(_) => None,
        };
        let parts = exchange.breakdown;
        let (network, server, combined) = match parts.map(|parts| parts.network_and_server) {
            None => (None, None, None),
            Some(NetworkAndServer::Combined { duration, .. }) => (None, None, Some(duration)),
            Some(NetworkAndServer::Separate { network, server, .. }) => {
                (Some(network), Some(server), None)
            }
        };
        writeln!(
            self.out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            exchange.seq,
            exchange.outcome.name(),
            field(exchange.sent.map(time)),
            field(received.map(time)),
            field(exchange.rtt().map(nanoseconds)),
            field(exchange.lateness.map(nanoseconds)),
            field(parts.map(|parts| nanoseconds(parts.send))),
            field(network.map(nanoseconds)),
            field(server.map(nanoseconds)),
            field(combined.map(nanoseconds)),
            field(parts.map(|parts| nanoseconds(parts.receive))),
            field(exchange.outcome.failure().map(|failure| failure.condition)),
            field(exchange.hop_limit),
            field(exchange.loss_place()),
            field(exchange.first_byte_time().map(nanoseconds)),
        )
    }
}

impl<Out: Write> Report for Csv<Out> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Start(_) => writeln!(self.out, "{EXCHANGE_HEADER}"),
            Event::Exchange(exchange) => self.exchange(exchange),
            Event::ComparisonStart(_) => writeln!(self.out, "{PAIR_HEADER}"),
            Event::Pair { number, pair } => self.pair(*number, pair),
            Event::Summary { .. } | Event::Verdict { .. } => self.out.flush(),
            Event::Protocol(_)
            | Event::AddressLimit(_)
            | Event::FailedAttempt(_)
            | Event::AddressChange(_)
            | Event::Connection(_)
            | Event::Progress(_)
            | Event::ComparisonProgress(_)
            | Event::Finding(_)
            | Event::Host(_)
            | Event::Trace(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Formats a value. An absent value becomes an empty field.
fn field(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Formats a time as in RFC 3339 with nanoseconds, in UTC. All times have the same length, so that sorting them as
/// text sorts them by time.
fn time(stamp: Stamp) -> String {
    DateTime::<Utc>::from(stamp.wall()).to_rfc3339_opts(SecondsFormat::Nanos, true)
}
