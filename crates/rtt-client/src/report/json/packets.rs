//! The JSON lines of a trace: one for each packet, one for each exchange, and one for the totals.

use super::exchange::BreakdownFields;
use super::finding::IcmpFields;
use crate::capture::flow::{Flow, FlowSide, PacketRecord};
use crate::capture::totals;
use crate::capture::trace::{ExchangeTiming, Trace, TracedTarget};
use crate::model::format::nanoseconds;
use crate::model::icmp::Origin;
use crate::model::protocol::{DisplayAddress, Protocol};
use chrono::{DateTime, Local, SecondsFormat};
use serde::Serialize;
use std::time::Duration;

/// A packet.
#[derive(Serialize)]
pub(super) struct PacketLine {
    protocol: &'static str,
    number: usize,
    time: String,
    /// `request` for a packet from the client, `reply` for a packet from the server.
    direction: &'static str,
    role: &'static str,
    wire_bytes: usize,
    link_bytes: usize,
    ip_bytes: usize,
    transport_bytes: usize,
    payload_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<u64>,
    client: DisplayAddress,
    server: DisplayAddress,
    #[serde(skip_serializing_if = "String::is_empty")]
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpFields>,
    /// Whether the capture contains only a part of the packet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    explanation: String,
}

/// The timing of an exchange.
#[derive(Serialize)]
pub(super) struct ExchangeTimingLine {
    protocol: &'static str,
    exchange: u64,
    /// The RTT that the program measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    /// The time from the request packet to the reply packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    wire_rtt_ns: Option<u64>,
    /// `rtt_ns` minus `wire_rtt_ns`: the time inside this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<BreakdownFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disagreement: Option<String>,
}

/// The totals of a trace, in the last line.
#[derive(Serialize)]
pub(super) struct TraceSummary {
    protocols: Vec<ProtocolTotals>,
    /// The number of packets that the capture lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// The number of packets of a file that belong to no flow.
    skipped: usize,
    /// The number of skipped packets that are truncated or have an unknown link type.
    unreadable: usize,
    /// The number of skipped packets of flows after the maximum number of flows.
    #[serde(skip_serializing_if = "is_zero")]
    beyond_flow_limit: usize,
    without_time: u64,
    /// Present only if the capture reached the maximum number of packets or bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    limit_reached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
    /// Present only if the user ended the trace before it was complete.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
}

#[derive(Serialize)]
struct ProtocolTotals {
    protocol: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    exchanges: usize,
    packets: usize,
    wire_bytes: u64,
    payload_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    overhead: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trips_to_first_reply: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<ClosedBy>,
}

/// The number of connections that each side closed, and of those that were refused.
#[derive(Serialize)]
struct ClosedBy {
    connections: usize,
    client: usize,
    server: usize,
    /// Absent if no connection was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<usize>,
}

/// The lines of all packets, in the order of the capture. Only one line at a time is in memory, because a line is
/// longer than its packet.
pub(super) fn packet_lines(trace: &Trace) -> impl Iterator<Item = PacketLine> + '_ {
    let mut packets = Vec::new();
    for target in &trace.targets {
        for flow in &target.flows {
            packets.extend(flow.packets.iter().map(|packet| (target.protocol, flow, packet)));
        }
    }
    packets.sort_unstable_by_key(|(_, _, packet)| packet.number);
    packets.into_iter().map(|(protocol, flow, packet)| PacketLine::new(protocol, flow, packet))
}

/// The lines of all exchanges.
pub(super) fn exchange_timings(trace: &Trace) -> impl Iterator<Item = ExchangeTimingLine> + '_ {
    trace.targets.iter().flat_map(|target| {
        let timings = target.exchange_timings().into_iter();
        timings.map(move |timing| ExchangeTimingLine::new(target, &timing))
    })
}

impl PacketLine {
    fn new(protocol: &'static Protocol, flow: &Flow, packet: &PacketRecord) -> Self {
        let sizes = packet.sizes;
        Self {
            protocol: protocol.name,
            number: packet.number,
            time: time(packet.time),
            direction: match packet.sender {
                FlowSide::Client => "request",
                FlowSide::Server => "reply",
            },
            role: packet.role.name(),
            wire_bytes: sizes.total(),
            link_bytes: sizes.link,
            ip_bytes: sizes.ip,
            transport_bytes: sizes.transport,
            payload_bytes: sizes.payload,
            exchange: packet.exchange,
            client: protocol.display_address(flow.client),
            server: protocol.display_address(flow.server),
            payload: String::from_utf8_lossy(&packet.payload).into_owned(),
            icmp: packet.icmp.and_then(|icmp| IcmpFields::of(Origin::Icmp(icmp))),
            truncated: packet.is_truncated,
            explanation: packet.explanation(),
        }
    }
}

impl ExchangeTimingLine {
    fn new(target: &TracedTarget, timing: &ExchangeTiming) -> Self {
        let failure = target.failure(timing.exchange);
        Self {
            protocol: target.protocol.name,
            exchange: timing.exchange,
            rtt_ns: timing.program_rtt.map(nanoseconds),
            wire_rtt_ns: timing.wire_rtt.map(nanoseconds),
            host_ns: timing.host_time_ns(),
            breakdown: timing.breakdown.map(BreakdownFields::from),
            condition: failure.map(|failure| failure.condition.name()),
            disagreement: timing.disagreement.map(|disagreement| disagreement.to_string()),
        }
    }
}

impl TraceSummary {
    pub(super) fn of(trace: &Trace) -> Self {
        Self {
            protocols: trace.targets.iter().map(ProtocolTotals::of).collect(),
            dropped: trace.dropped,
            skipped: trace.skipped,
            unreadable: trace.unreadable,
            beyond_flow_limit: trace.beyond_flow_limit,
            without_time: trace.without_time,
            limit_reached: trace.limit_reached,
            file: trace.file.clone(),
            incomplete: trace.incomplete.clone(),
            interrupted: trace.interrupted,
        }
    }
}

impl ProtocolTotals {
    fn of(target: &TracedTarget) -> Self {
        let totals = target.totals;
        Self {
            protocol: target.protocol.name,
            target: target.target.clone(),
            interface: target.interface.clone(),
            exchanges: totals.exchanges,
            packets: totals.packets,
            wire_bytes: totals.wire_bytes,
            payload_bytes: totals.payload_bytes,
            overhead: totals.overhead(),
            round_trips_to_first_reply: totals.round_trips,
            closed_by: totals.closed_by.map(ClosedBy::from),
        }
    }
}

impl From<totals::ClosedBy> for ClosedBy {
    fn from(closed_by: totals::ClosedBy) -> Self {
        let totals::ClosedBy { connections, client, server, refused } = closed_by;
        Self { connections, client, server, refused: (refused > 0).then_some(refused) }
    }
}

/// The seconds from 1970 to the last day of the year 9999, in UTC. A time of RFC 3339 has a year with four digits. Time
/// zones differ from UTC by less than a day, so the year of an earlier time has four digits in every time zone.
const LATEST_RFC_3339: u64 = 253_402_300_800 - 86_400;

/// A time in the local time zone with its offset, to the nanosecond (RFC 3339). A file can contain a later time.
fn time(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let in_range = i64::try_from(seconds).ok().filter(|_| seconds < LATEST_RFC_3339);
    match in_range.and_then(|s| DateTime::from_timestamp(s, since_1970.subsec_nanos())) {
        Some(time) => time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Nanos, false),
        None => format!("{seconds} s after 1970"),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
