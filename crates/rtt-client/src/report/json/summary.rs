//! The summary's line: every figure of a run that was measured, and none that was not.

use crate::analysis::statistics::{BreakdownFigures, Distribution, Summary};
use crate::model::format::nanoseconds;
use crate::model::tcp_info::TcpInfo;
use crate::plan::Plan;
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct Totals {
    protocol: &'static str,
    target: String,
    sent: u64,
    received: u64,
    lost: u64,
    duplicates: u64,
    out_of_order: u64,
    late: u64,
    corrupt: u64,
    unmatched: u64,
    duration_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_from_schedule_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_rtt_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steady_rtt_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_ns: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_info: Option<Connection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<Medians>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruments: Option<Instruments>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A distribution, in nanoseconds.
#[derive(Serialize)]
pub(super) struct Figures {
    min: u64,
    mean: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stddev: Option<u64>,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

/// What the kernel knows of a connection.
#[derive(Serialize)]
struct Connection {
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_variation_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmissions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    congestion_window: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    busy_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_by_peer_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_by_buffer_ns: Option<u64>,
}

/// The parts' medians. Medians do not add up, not even to a median.
#[derive(Serialize)]
pub(super) struct Medians {
    send_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_and_server_ns: Option<u64>,
    receive_ns: u64,
    exchanges: u64,
    without_breakdown: u64,
}

/// What the breakdown's instruments cost, by exchanges without them made in between.
#[derive(Serialize)]
struct Instruments {
    exchanges: u64,
    rtt_without_ns: u64,
    cost_ns: i64,
}

impl Totals {
    pub(super) fn new(plan: &Plan, summary: &Summary) -> Self {
        Self {
            protocol: plan.protocol.name,
            target: plan.target.to_string(),
            sent: summary.sent,
            received: summary.received,
            lost: summary.lost,
            duplicates: summary.duplicates,
            out_of_order: summary.out_of_order,
            late: summary.late,
            corrupt: summary.corrupt,
            unmatched: summary.unmatched,
            duration_ns: nanoseconds(summary.duration),
            rtt_ns: Figures::of(&summary.rtt),
            rtt_from_schedule_ns: Figures::of(&summary.rtt_from_schedule),
            lateness_ns: Figures::of(&summary.lateness),
            jitter_ns: summary.jitter.estimate().map(nanoseconds),
            connect_ns: Figures::of(&summary.connect),
            first_rtt_ns: Figures::of(&summary.first_exchange),
            steady_rtt_ns: Figures::of(&summary.later_exchanges),
            close_ns: Figures::of(&summary.close),
            tcp_info: summary.tcp.as_ref().map(Connection::of),
            breakdown: Medians::of(&summary.breakdown, summary.without_breakdown),
            instruments: Instruments::of(summary),
            notes: summary.notes.clone(),
        }
    }
}

impl Figures {
    pub(super) fn of(distribution: &Distribution) -> Option<Self> {
        let (min, max) = distribution.min_max()?;
        let quantile = |share| distribution.quantile(share).map(nanoseconds);
        Some(Self {
            min: nanoseconds(min),
            mean: distribution.mean().map(nanoseconds)?,
            stddev: distribution.stddev().map(nanoseconds),
            p50: quantile(0.5)?,
            p90: quantile(0.9)?,
            p99: quantile(0.99)?,
            p999: quantile(0.999)?,
            max: nanoseconds(max),
        })
    }
}

impl Connection {
    fn of(info: &TcpInfo) -> Self {
        let told = |duration: Option<Duration>| duration.map(nanoseconds);
        Self {
            rtt_ns: told(info.rtt),
            rtt_variation_ns: told(info.rtt_variation),
            min_rtt_ns: told(info.min_rtt),
            retransmissions: info.retransmissions,
            congestion_window: info.congestion_window,
            segment_size: info.segment_size,
            busy_ns: told(info.busy),
            limited_by_peer_ns: told(info.limited_by_peer),
            limited_by_buffer_ns: told(info.limited_by_buffer),
        }
    }
}

impl Medians {
    pub(super) fn of(parts: &BreakdownFigures, without_breakdown: u64) -> Option<Self> {
        let median = |distribution: &Distribution| distribution.median().map(nanoseconds);
        let split = parts.server_is_separate();
        Some(Self {
            send_ns: median(&parts.send)?,
            network_ns: median(&parts.network).filter(|_| split),
            server_ns: median(&parts.server).filter(|_| split),
            network_and_server_ns: median(&parts.network_and_server).filter(|_| !split),
            receive_ns: median(&parts.receive)?,
            exchanges: parts.send.count(),
            without_breakdown,
        })
    }
}

impl Instruments {
    fn of(summary: &Summary) -> Option<Self> {
        let without = nanoseconds(summary.uninstrumented.median()?);
        let with = nanoseconds(summary.rtt.median()?);
        let cost_ns = i64::try_from(with).ok()? - i64::try_from(without).ok()?;
        Some(Self { exchanges: summary.uninstrumented.count(), rtt_without_ns: without, cost_ns })
    }
}
