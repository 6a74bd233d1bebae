//! For a person: what was sent and when, what came back and when, and how long that took.
//!
//! Results go to the writer that it is made with; why there are none goes to the other one, a line each.

use super::{Event, Report, Start};
use crate::{Connection, Exchange, Outcome, Protocol};
use chrono::{DateTime, Local};
use echo_core::{Stamp, escape};
use std::io::{self, Write};
use std::time::Duration;

/// How much of a wrong answer is shown, in bytes: enough to see what speaks there.
const WRONG_ANSWER_SHOWN: usize = 200;

/// Writes a run for a person.
#[derive(Debug)]
pub struct Text<Out, Complaints> {
    out: Out,
    complaints: Complaints,
    whom: String,
    protocol: Option<&'static Protocol>,
    /// The first line, until there is something to stand under it.
    heading: String,
    connection: Option<Connection>,
}

impl<Out: Write, Complaints: Write> Text<Out, Complaints> {
    /// A report that writes results to `out`, and what went wrong to `complaints`.
    pub fn new(out: Out, complaints: Complaints) -> Self {
        Self {
            out,
            complaints,
            whom: String::new(),
            protocol: None,
            heading: String::new(),
            connection: None,
        }
    }

    fn start(&mut self, start: &Start<'_>) {
        let title = start.protocol.title;
        self.protocol = Some(start.protocol);
        self.whom = match start.address {
            Some(address) => format!("{title} {address}"),
            None => format!("{title} {}", start.target),
        };
        if let (Some(address), Some(local)) = (start.address, start.local) {
            self.heading = format!("{title} to {address} from {local}");
        }
    }

    fn exchange(&mut self, exchange: &Exchange) -> io::Result<()> {
        let (Outcome::Reply { received, text }, Some(sent), Some(rtt)) =
            (&exchange.outcome, exchange.sent, exchange.rtt())
        else {
            return self.complain(exchange);
        };
        let handshake =
            self.connection.and_then(|made| Some((made, made.established?, made.handshake()?)));
        let out = &mut self.out;
        writeln!(out, "{}\n", self.heading)?;
        line(out, "reply", &escape(text))?;
        if let Some((connection, established, _)) = handshake {
            line(out, "connection request sent", &time(connection.requested))?;
            line(out, "connection established", &time(established))?;
        }
        line(out, "request sent", &time(sent))?;
        line(out, "reply received", &time(*received))?;
        writeln!(out)?;
        match handshake {
            None => line(out, "RTT", &milliseconds(rtt))?,
            Some((connection, _, handshake)) => {
                line(out, "handshake", &milliseconds(handshake))?;
                line(out, "request RTT", &milliseconds(rtt))?;
                let total = received.since(&connection.requested);
                line(out, "total RTT", &milliseconds(total))?;
            }
        }
        out.flush()
    }

    fn complain(&mut self, exchange: &Exchange) -> io::Result<()> {
        if let Some(failure) = exchange.outcome.failure() {
            let whom = &self.whom;
            writeln!(self.complaints, "rtt-client: {whom} {failure}")?;
        }
        if let Outcome::Corrupt { text, .. } = &exchange.outcome {
            let shown = &text[..text.len().min(WRONG_ANSWER_SHOWN)];
            let more = if shown.len() < text.len() { "..." } else { "" };
            writeln!(self.complaints, "  it answered: {}{more}", escape(shown))?;
        }
        Ok(())
    }
}

impl<Out: Write, Complaints: Write> Report for Text<Out, Complaints> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Start(start) => self.start(start),
            Event::Attempt(attempt) => {
                let title = self.protocol.map_or("", |protocol| protocol.title);
                let (address, failure) = (attempt.address, &attempt.failure);
                let after = milliseconds(failure.after);
                writeln!(
                    self.complaints,
                    "rtt-client: {title} {address} {} after {after}; trying the next address",
                    failure.condition
                )?;
            }
            Event::Connection(connection) => self.connection = Some(**connection),
            Event::Exchange(exchange) => self.exchange(exchange)?,
            // One exchange needs no summary.
            Event::Summary(..) => {}
        }
        Ok(())
    }
}

fn line(out: &mut impl Write, what: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {what:<23}  {value}")
}

/// Local time, with its offset, to the microsecond.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).format("%Y-%m-%d %H:%M:%S%.6f %:z").to_string()
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}
