//! A trace's lines: its packets, its exchanges, and what they come to.

use super::exchange::BreakdownFields;
use super::finding::IcmpFields;
use crate::capture::flow::Line;
use crate::capture::trace::explanation;
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
    cut: bool,
    explanation: String,
}

#[derive(Serialize)]
pub(super) struct JoinedLine {
    protocol: &'static str,
    exchange: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<BreakdownFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disagreement: Option<String>,
}

/// What the packets come to.
#[derive(Serialize)]
pub(super) struct Sums {
    protocols: Vec<Sum>,
    /// Packets that the capture had no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    /// Packets of a file that are of no exchange.
    others: usize,
    /// Those of them that were cut before their headers ended, or are of an unknown link.
    cut: usize,
    untimed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
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
    closed_by: Option<&'static str>,
}

/// The packets of all exchanges, in the order of the capture.
pub(super) fn lines(trace: &Trace) -> Vec<PacketLine> {
    let mut lines = Vec::new();
    for part in &trace.parts {
        for (place, flow) in part.flows.iter().enumerate() {
            let ends = (flow.client.to_string(), flow.server.to_string());
            let numbers = part.numbers(place);
            lines.extend(flow.lines.iter().map(|line| packet(part, &numbers, &ends, line)));
        }
    }
    lines.sort_by_key(|line| line.number);
    lines
}

fn packet(
    part: &TracedTarget,
    numbers: &[Option<u64>],
    ends: &(String, String),
    line: &Line,
) -> PacketLine {
    PacketLine {
        protocol: part.protocol,
        number: line.number,
        time: time(line.time),
        direction: if line.to_server { "request" } else { "reply" },
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
        cut: line.is_cut,
        explanation: explanation(line),
    }
}

/// The exchanges, as the application and as the wire saw them.
pub(super) fn joined(trace: &Trace) -> Vec<JoinedLine> {
    let of = |part: &TracedTarget| -> Vec<JoinedLine> {
        let joined = part.joined().into_iter().enumerate();
        joined
            .map(|(place, joined)| JoinedLine {
                protocol: part.protocol,
                exchange: joined.exchange,
                rtt_ns: joined.application.map(nanoseconds),
                wire_rtt_ns: joined.on_the_wire.map(nanoseconds),
                difference_ns: joined.difference(),
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
    trace.parts.iter().flat_map(of).collect()
}

impl Sums {
    pub(super) fn of(trace: &Trace) -> Self {
        let protocols = trace.parts.iter().map(|part| Sum {
            protocol: part.protocol,
            target: part.target.clone(),
            interface: part.interface.clone(),
            exchanges: part.totals.exchanges,
            packets: part.totals.packets,
            wire_bytes: part.totals.wire_bytes,
            payload_bytes: part.totals.payload_bytes,
            overhead: part.totals.overhead(),
            round_trips_to_first_reply: part.totals.round_trips,
            closed_by: part
                .totals
                .closed_by_client
                .map(|by_client| if by_client { "client" } else { "server" }),
        });
        Self {
            protocols: protocols.collect(),
            lost: trace.lost,
            others: trace.others,
            cut: trace.cut,
            untimed: trace.untimed,
            file: trace.written.clone(),
            broken: trace.broken.clone(),
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
