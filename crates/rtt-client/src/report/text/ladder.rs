//! A trace: a ladder of packets for each flow, the exchanges as application and wire saw them, and the protocols
//! side by side.

use super::wrap::wrapped;
use crate::capture::flow::{Flow, PacketRecord, Side};
use crate::capture::totals::ClosedBy;
use crate::capture::trace::{Trace, TracedTarget};
use crate::model::format::{count, duration, signed};
use echo_core::escape;
use std::io::{self, Write};
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// How long an arrow is, with the role in it.
const ARROW: usize = 25;

/// How many characters of a payload stand in its packet's line.
const SHOWN: usize = 15;

/// How many exchanges have a line each; of more, the figures are in JSON.
const MOST_JOINED: usize = 20;

/// Writes a trace.
pub(super) fn write(out: &mut impl Write, trace: &Trace) -> io::Result<()> {
    for part in &trace.targets {
        if part.flows.is_empty() {
            wrapped(
                out,
                "  ",
                &format!("{} {}: no packet of it was captured.", part.protocol.title, part.target),
            )?;
        }
        for flow in &part.flows {
            ladder(out, part, flow)?;
        }
        for sample in part.samples.iter().filter_map(|sample| sample.failure.as_ref()) {
            wrapped(out, "  ", &format!("{} {}: {sample}", part.protocol.title, part.target))?;
        }
        joined(out, part)?;
    }
    difference(out, trace)?;
    match trace.dropped {
        Some(0) => {}
        Some(lost) => {
            let lost = count(lost);
            let told = format!("{lost} packets were lost by the capture: the ladders have holes.");
            wrapped(out, "", &told)?;
        }
        None => writeln!(out, "Whether the capture lost packets is not told.")?,
    }
    if let Some(broken) = &trace.incomplete {
        wrapped(out, "", &format!("Read as far as it goes: {}.", escape(broken.as_bytes())))?;
    }
    if trace.skipped > 0 {
        let (others, all) = (count(trace.skipped as u64), count(trace.packets as u64));
        writeln!(out, "{others} of the file's {all} packets are of no exchange, or seen twice.")?;
    }
    if trace.unreadable > 0 {
        let cut = count(trace.unreadable as u64);
        wrapped(
            out,
            "",
            &format!(
                "{cut} of these were cut before their headers ended, or are of an unknown link."
            ),
        )?;
    }
    if trace.without_time > 0 {
        let untimed = count(trace.without_time);
        wrapped(out, "", &format!("{untimed} packets have no time, so no RTT of theirs is one."))?;
    }
    if trace.targets.is_empty() {
        writeln!(out, "No exchange over UDP or TCP is in it.")?;
    }
    if let Some(file) = &trace.file {
        wrapped(out, "", &format!("The packets are in {file}, with comments, for Wireshark."))?;
    }
    Ok(())
}

fn ladder(out: &mut impl Write, part: &TracedTarget, flow: &Flow) -> io::Result<()> {
    let on = part.interface.as_ref().map_or_else(String::new, |name| format!(", on {name}"));
    wrapped(out, "  ", &format!("{} {} -> {}{on}", part.protocol.title, flow.client, flow.server))?;
    writeln!(
        out,
        "\n     no        time  client          server  link+IP+{}+payload",
        part.protocol.title
    )?;
    let first = flow.packets.first().map_or(Duration::ZERO, |line| line.time);
    for line in &flow.packets {
        rung(out, line, first)?;
    }
    writeln!(out)
}

/// A packet's line.
fn rung(out: &mut impl Write, line: &PacketRecord, first: Duration) -> io::Result<()> {
    let time = line
        .time
        .checked_sub(first)
        .map_or_else(|| format!("-{}", duration(first.saturating_sub(line.time))), duration);
    let sizes = line.sizes;
    let sizes = format!("{}+{}+{}+{}", sizes.link, sizes.ip, sizes.transport, sizes.payload);
    let mut text = format!("  {:>5} {time:>11}  {}  {sizes:<14}", line.number, arrow(line));
    if line.sizes.payload > 0 && line.icmp.is_none() {
        text.extend([" ", &shown(&line.payload, line.sizes.payload)]);
    }
    writeln!(out, "{}", text.trim_end())?;
    if line.icmp.is_some() || line.detail.is_some() || line.is_truncated {
        wrapped(
            out,
            "                     ",
            &format!("                     {}", line.explanation()),
        )?;
    }
    Ok(())
}

/// As much of a payload of `length` bytes as there is room for, a character at a time.
fn shown(payload: &[u8], length: usize) -> String {
    let (mut text, mut width) = (String::new(), 0);
    let mut rest = &payload[..payload.len().min(4 * SHOWN)];
    while !rest.is_empty() {
        // A character has four bytes at most; what is none is escaped by the byte.
        let next = (1..=rest.len().min(4)).find(|end| std::str::from_utf8(&rest[..*end]).is_ok());
        let (one, behind) = rest.split_at(next.unwrap_or(1));
        let one = escape(one);
        width += one.width();
        if width > SHOWN {
            break;
        }
        text.push_str(&one);
        rest = behind;
    }
    if rest.is_empty() && payload.len() == length {
        return text;
    }
    while text.width() > SHOWN - 3 {
        text.pop();
    }
    text + "..."
}

/// `--request------------>` or `<-----------reply--`.
fn arrow(line: &PacketRecord) -> String {
    let role = line.role.label();
    let dashes = "-".repeat(ARROW.saturating_sub(role.len() + 3));
    if line.sender == Side::Client {
        format!("--{role}{dashes}>")
    } else {
        format!("<{dashes}{role}--")
    }
}

/// The exchanges as both saw them.
fn joined(out: &mut impl Write, part: &TracedTarget) -> io::Result<()> {
    let joined = part.exchange_timings();
    for one in joined.iter().take(MOST_JOINED) {
        let on_the_wire = match one.wire_rtt {
            Some(time) => duration(time),
            None => continue,
        };
        let mut told = vec![format!("  exchange {}: {on_the_wire} on the wire", one.exchange)];
        if let (Some(application), Some(difference)) = (one.program_rtt, one.host_time_ns()) {
            let (application, difference) = (duration(application), signed(difference));
            told.push(format!(", {application} in the application: {difference}"));
        }
        if let Some(parts) = &one.breakdown {
            told.push(format!("; {}", super::bar::in_words(parts)));
        }
        if let Some(disagreement) = &one.disagreement {
            told.push(format!("; {disagreement}"));
        }
        let told = told.concat();
        wrapped(out, "    ", &told)?;
    }
    if joined.len() > MOST_JOINED {
        writeln!(out, "  ... and {} exchanges more", joined.len() - MOST_JOINED)?;
    }
    if joined.is_empty() { Ok(()) } else { writeln!(out) }
}

/// The protocols side by side.
fn difference(out: &mut impl Write, trace: &Trace) -> io::Result<()> {
    let parts: Vec<&TracedTarget> =
        trace.targets.iter().filter(|part| part.totals.packets > 0).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let mut row = |name: &str, cell: &dyn Fn(&TracedTarget) -> String| {
        let cells: Vec<String> = parts.iter().map(|part| format!("{:>12}", cell(part))).collect();
        writeln!(out, "{name:<38}{}", cells.concat())
    };
    row("", &|part| part.protocol.title.to_owned())?;
    row("exchanges", &|part| count(part.totals.exchanges as u64))?;
    row("packets", &|part| count(part.totals.packets as u64))?;
    row("bytes on the wire", &|part| count(part.totals.wire_bytes as u64))?;
    row("bytes of payload", &|part| count(part.totals.payload_bytes as u64))?;
    row("overhead", &|part| {
        part.totals.overhead().map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share))
    })?;
    row("round trips before the first reply", &|part| {
        part.totals.round_trips.map_or_else(|| "none came".into(), |trips| trips.to_string())
    })?;
    row("who closes", &|part| {
        part.totals.closed_by.map_or_else(
            String::new,
            |ClosedBy { connections, client, server }| {
                format!("client {client}, server {server} of {connections}")
            },
        )
    })?;
    writeln!(out)
}
