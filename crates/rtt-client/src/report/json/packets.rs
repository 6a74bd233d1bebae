//! A trace's lines: its packets, its exchanges, and what they come to.

use super::exchange::BreakdownFields;
use super::finding::IcmpFields;
use crate::capture::flow::{PacketRecord, Side};
use crate::capture::trace::{Trace, TracedTarget};
use crate::model::format::nanoseconds;
use crate::model::icmp::Origin;
use chrono::{DateTime, Local, SecondsFormat};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct PacketLine {
    protocol: &'static str,
    number: usize,
    time: String,
    /// `request` towards the server, `reply` from it.
    direction: &'static str,
    role: &'static str,
    wire_bytes: usize,
    link_bytes: usize,
    ip_bytes: usize,
    transport_bytes: usize,
    payload_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<u64>,
    client: String,
    server: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpFields>,
    /// Whether the capture cut it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    explanation: String,
}

#[derive(Serialize)]
pub(super) struct ExchangeTimingLine {
    protocol: &'static str,
    exchange: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<BreakdownFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disagreement: Option<String>,
}

/// What the packets come to.
#[derive(Serialize)]
pub(super) struct TraceSummary {
    protocols: Vec<Sum>,
    /// Packets that the capture had no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// Packets of a file that are of no exchange.
    skipped: usize,
    /// Those of them that were cut before their headers ended, or are of an unknown link.
    unreadable: usize,
    without_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
}

#[derive(Serialize)]
struct Sum {
    protocol: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    exchanges: usize,
    packets: usize,
    wire_bytes: usize,
    payload_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    overhead: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trips_to_first_reply: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<ClosedBy>,
}

/// How many connections each side closed first.
#[derive(Serialize)]
struct ClosedBy {
    connections: usize,
    client: usize,
    server: usize,
}

/// The packets of all exchanges, in the order of the capture.
pub(super) fn packet_lines(trace: &Trace) -> Vec<PacketLine> {
    let mut lines = Vec::new();
    for part in &trace.targets {
        for (place, flow) in part.flows.iter().enumerate() {
            let ends = (flow.client.to_string(), flow.server.to_string());
            let numbers = part.numbers(place);
            lines.extend(flow.packets.iter().map(|line| packet(part, &numbers, &ends, line)));
        }
    }
    lines.sort_by_key(|line| line.number);
    lines
}

fn packet(
    part: &TracedTarget,
    numbers: &[Option<u64>],
    ends: &(String, String),
    line: &PacketRecord,
) -> PacketLine {
    PacketLine {
        protocol: part.protocol.name,
        number: line.number,
        time: time(line.time),
        direction: if line.sender == Side::Client { "request" } else { "reply" },
        role: line.role.name(),
        wire_bytes: line.sizes.total(),
        link_bytes: line.sizes.link,
        ip_bytes: line.sizes.ip,
        transport_bytes: line.sizes.transport,
        payload_bytes: line.sizes.payload,
        exchange: line.exchange_in(numbers),
        client: ends.0.clone(),
        server: ends.1.clone(),
        payload: String::from_utf8_lossy(&line.payload).into_owned(),
        icmp: line.icmp.and_then(|icmp| IcmpFields::of(Origin::Icmp(icmp))),
        truncated: line.is_truncated,
        explanation: line.explanation(),
    }
}

/// The exchanges, as the application and as the wire saw them.
pub(super) fn exchange_timings(trace: &Trace) -> Vec<ExchangeTimingLine> {
    let of = |part: &TracedTarget| -> Vec<ExchangeTimingLine> {
        let joined = part.exchange_timings().into_iter().enumerate();
        joined
            .map(|(place, joined)| ExchangeTimingLine {
                protocol: part.protocol.name,
                exchange: joined.exchange,
                rtt_ns: joined.program_rtt.map(nanoseconds),
                wire_rtt_ns: joined.wire_rtt.map(nanoseconds),
                host_ns: joined.host_time_ns(),
                breakdown: joined.breakdown.map(BreakdownFields::from),
                condition: part
                    .samples
                    .get(place)
                    .and_then(|sample| sample.failure.as_ref())
                    .map(|failure| failure.condition.name()),
                disagreement: joined.disagreement,
            })
            .collect()
    };
    trace.targets.iter().flat_map(of).collect()
}

impl TraceSummary {
    pub(super) fn of(trace: &Trace) -> Self {
        let protocols = trace.targets.iter().map(|part| Sum {
            protocol: part.protocol.name,
            target: part.target.clone(),
            interface: part.interface.clone(),
            exchanges: part.totals.exchanges,
            packets: part.totals.packets,
            wire_bytes: part.totals.wire_bytes,
            payload_bytes: part.totals.payload_bytes,
            overhead: part.totals.overhead(),
            round_trips_to_first_reply: part.totals.round_trips,
            closed_by: part.totals.closed_by.map(|closed_by| ClosedBy {
                connections: closed_by.connections,
                client: closed_by.client,
                server: closed_by.server,
            }),
        });
        Self {
            protocols: protocols.collect(),
            dropped: trace.dropped,
            skipped: trace.skipped,
            unreadable: trace.unreadable,
            without_time: trace.without_time,
            file: trace.file.clone(),
            incomplete: trace.incomplete.clone(),
        }
    }
}

/// RFC 3339, to the nanosecond, in local time with its offset.
fn time(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).ok();
    let time = seconds.and_then(|s| DateTime::from_timestamp(s, since_1970.subsec_nanos()));
    match time {
        Some(time) => time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Nanos, false),
        // A file can claim any time, and not all have a date.
        None => format!("{} s after 1970", since_1970.as_secs()),
    }
}
