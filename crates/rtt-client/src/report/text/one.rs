//! One exchange of the user's message, with its times.

use super::milliseconds;
use crate::model::exchange::{Connection, Exchange, Outcome};
use chrono::{DateTime, Local};
use echo_core::{Stamp, escape};
use std::io::{self, Write};

/// Writes an exchange that has an RTT.
pub(super) fn write(
    out: &mut impl Write,
    heading: &str,
    connection: Option<Connection>,
    exchange: &Exchange,
) -> io::Result<()> {
    let (Outcome::Reply { received, text }, Some(sent), Some(rtt)) =
        (&exchange.outcome, exchange.sent, exchange.rtt())
    else {
        return Ok(());
    };
    let handshake = connection.and_then(|made| Some((made, made.established?, made.handshake()?)));
    writeln!(out, "{heading}\n")?;
    line(out, "reply", &escape(text.as_deref().unwrap_or_default()))?;
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
            line(out, "total RTT", &milliseconds(received.since(&connection.requested)))?;
        }
    }
    out.flush()
}

fn line(out: &mut impl Write, what: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {what:<23}  {value}")
}

/// Local time, with its offset, to the microsecond.
fn time(stamp: Stamp) -> String {
    DateTime::<Local>::from(stamp.wall()).format("%Y-%m-%d %H:%M:%S%.6f %:z").to_string()
}
