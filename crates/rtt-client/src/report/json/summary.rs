//! The line of a summary: the measured values of a run.

use super::losses::LossFields;
use super::outages::OutagesFields;
use super::path::{AddressResolutionFields, OneWayFields, QueueFields, ReplacementFields};
use crate::analysis::schedule::SlowHost;
use crate::analysis::statistics::{
    BreakdownFigures, Distribution, Quantile, Summary, TimestampCost,
};
use crate::model::format::nanoseconds;
use crate::model::hop_limit::ReplyTtl;
use crate::model::protocol::ReplyForm;
use crate::model::traffic::KernelStatistics;
use crate::plan::Plan;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct SummaryLine {
    protocol: &'static str,
    /// Whether the exchanges are handshakes. Absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    connect_only: bool,
    target: String,
    sent: u64,
    received: u64,
    lost: u64,
    #[serde(flatten)]
    losses: LossFields,
    duplicates: u64,
    out_of_order: u64,
    late: u64,
    corrupt: u64,
    unmatched: u64,
    wrong_token: u64,
    /// The form of the replies: `upper` or `same`.
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<&'static str>,
    refuted_errors: u64,
    resent: u64,
    /// Absent if it is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_resent: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replacements: Vec<ReplacementFields>,
    /// The number of changes of the measured address. Absent if it is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    address_changes: Option<u64>,
    #[serde(flatten)]
    outages: OutagesFields,
    duration_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<DistributionFields>,
    /// Only for the replies of a service on a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_from_schedule_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_ns: Option<u64>,
    /// The delay there, above its minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    variation_there_ns: Option<DistributionFields>,
    /// The processing time of the server, above its minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    variation_server_ns: Option<DistributionFields>,
    /// The delay back, above its minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    variation_back_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_way_delay: Option<OneWayFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<DistributionFields>,
    /// Only if connections have several phases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<PhaseFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_rtt_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    later_rtt_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_ns: Option<DistributionFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_ttl: Option<ReplyTtlFields>,
    /// The name of the field depends on the protocol.
    #[serde(flatten)]
    kernel_statistics: BTreeMap<&'static str, KernelStatisticsFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<BreakdownMedians>,
    /// The waits for the server's rate limit, of the exchanges that waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_limit: Option<ServerLimitFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_cost: Option<TimestampCostFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receive_queue: Option<QueueFields>,
    /// The part of this host that could not keep up with the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_resolution: Option<AddressResolutionFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A distribution of durations, in nanoseconds. A quantile is absent if there are fewer values than
/// [`Quantile::min_count`].
#[derive(Serialize)]
pub(super) struct DistributionFields {
    min: u64,
    mean: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stddev: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999: Option<u64>,
    max: u64,
}

/// The hop limits (TTL) of the replies.
#[derive(Serialize)]
struct ReplyTtlFields {
    min: u8,
    max: u8,
    /// The distance in hops, with an assumed initial value. Absent if the values differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    hops: Option<u8>,
}

/// The kernel's data about a connection.
#[derive(Serialize)]
struct KernelStatisticsFields {
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

/// The medians of the parts. They usually do not add up to the median of the RTT.
#[derive(Serialize)]
pub(super) struct BreakdownMedians {
    send_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ns: Option<u64>,
    /// Network and server together. Present only if more than half of the exchanges have no separate times for the
    /// two parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_and_server_ns: Option<u64>,
    receive_ns: u64,
    exchanges: u64,
    /// Exchanges in which network and server are not separate, because the reply had no timing header.
    without_timing_header: u64,
    /// Exchanges in which network and server are not separate, because the server's kernel did not timestamp the
    /// request.
    without_server_timestamp: u64,
    /// Exchanges in which network and server are not separate, because the kernel of the target's host replied. Absent
    /// if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_replies: Option<u64>,
    /// Exchanges without any breakdown.
    without_breakdown: u64,
}

/// The exchanges that waited for the server's rate limit.
#[derive(Serialize)]
struct ServerLimitFields {
    exchanges: u64,
    delay_ns: DistributionFields,
}

/// The effect of the timestamps on the RTT, from control exchanges without timestamps.
#[derive(Serialize)]
struct TimestampCostFields {
    exchanges: u64,
    rtt_without_ns: u64,
    cost_ns: i64,
}

impl SummaryLine {
    pub(super) fn new(plan: &Plan, summary: &Summary) -> Self {
        let variation = summary.variation.as_deref();
        Self {
            protocol: plan.protocol.name,
            connect_only: plan.protocol.is_handshake(),
            target: plan.target.to_string(),
            sent: summary.sent,
            received: summary.received,
            lost: summary.lost,
            losses: LossFields::from(&summary.lost_where),
            duplicates: summary.duplicates,
            out_of_order: summary.out_of_order,
            late: summary.late,
            corrupt: summary.corrupt,
            unmatched: summary.unmatched,
            wrong_token: summary.wrong_token,
            echo: summary.reply_form.map(ReplyForm::name),
            refuted_errors: summary.refuted_errors,
            resent: summary.resent,
            not_resent: (summary.not_resent > 0).then_some(summary.not_resent),
            replacements: summary.replacements.first.iter().map(ReplacementFields::from).collect(),
            address_changes: Some(summary.address_changes.count).filter(|count| *count > 0),
            outages: OutagesFields::from(&summary.outages),
            duration_ns: nanoseconds(summary.duration),
            rtt_ns: DistributionFields::of(&summary.rtt),
            first_byte_ns: DistributionFields::of(&summary.first_byte),
            rtt_from_schedule_ns: DistributionFields::of(&summary.rtt_from_schedule),
            lateness_ns: DistributionFields::of(&summary.lateness),
            jitter_ns: summary.jitter.estimate().map(nanoseconds),
            variation_there_ns: variation.and_then(|delays| DistributionFields::of(&delays.there)),
            variation_server_ns: variation
                .and_then(|delays| DistributionFields::of(&delays.server)),
            variation_back_ns: variation.and_then(|delays| DistributionFields::of(&delays.back)),
            one_way_delay: variation.and_then(|delays| OneWayFields::of(delays.one_way.as_ref()?)),
            connect_ns: DistributionFields::of(&summary.connect),
            phases: PhaseFields::of_several(summary),
            first_rtt_ns: DistributionFields::of(&summary.first_exchange),
            later_rtt_ns: DistributionFields::of(&summary.later_exchanges),
            close_ns: DistributionFields::of(&summary.close),
            reply_ttl: summary.reply_ttl.map(ReplyTtlFields::from),
            kernel_statistics: plan
                .protocol
                .kernel_statistics
                .zip(summary.kernel_statistics.as_ref().map(KernelStatisticsFields::from))
                .into_iter()
                .collect(),
            breakdown: BreakdownMedians::of(&summary.breakdown, summary.without_breakdown),
            server_limit: DistributionFields::of(&summary.limit_delays).map(|delay_ns| {
                ServerLimitFields { exchanges: summary.limit_delays.count(), delay_ns }
            }),
            timestamp_cost: summary.timestamp_cost().map(TimestampCostFields::from),
            receive_queue: summary.receive_queue.map(QueueFields::from),
            slow_host: summary.slow_host.as_ref().map(SlowHost::explanation),
            address_resolution: summary.address_resolution.map(AddressResolutionFields::from),
            notes: summary.notes.clone(),
        }
    }
}

/// The durations of one phase of the connections.
#[derive(Serialize)]
struct PhaseFields {
    phase: &'static str,
    duration_ns: DistributionFields,
}

impl PhaseFields {
    /// The fields of all phases, if there are several. The duration of a single phase is `connect_ns`.
    fn of_several(summary: &Summary) -> Vec<Self> {
        let phases = summary.phases.iter().filter_map(|(phase, durations)| {
            Some(Self { phase: phase.name, duration_ns: DistributionFields::of(durations)? })
        });
        if summary.phases.len() > 1 { phases.collect() } else { Vec::new() }
    }
}

impl DistributionFields {
    /// The fields. Absent if the distribution is empty.
    pub(super) fn of(distribution: &Distribution) -> Option<Self> {
        let quantile =
            |quantile: Quantile| distribution.supported_quantile(quantile).map(nanoseconds);
        Some(Self {
            min: distribution.min().map(nanoseconds)?,
            mean: distribution.mean().map(nanoseconds)?,
            stddev: distribution.stddev().map(nanoseconds),
            p50: quantile(Quantile::P50),
            p90: quantile(Quantile::P90),
            p99: quantile(Quantile::P99),
            p999: quantile(Quantile::P999),
            max: distribution.max().map(nanoseconds)?,
        })
    }
}

impl From<ReplyTtl> for ReplyTtlFields {
    fn from(ttl: ReplyTtl) -> Self {
        let hops = ttl.distance().map(|distance| distance.hops);
        Self { min: ttl.min(), max: ttl.max(), hops }
    }
}

impl From<&KernelStatistics> for KernelStatisticsFields {
    fn from(info: &KernelStatistics) -> Self {
        let optional = |duration: Option<Duration>| duration.map(nanoseconds);
        Self {
            rtt_ns: optional(info.rtt),
            rtt_variation_ns: optional(info.rtt_variation),
            min_rtt_ns: optional(info.min_rtt),
            retransmissions: info.retransmissions,
            congestion_window: info.congestion_window,
            segment_size: info.segment_size,
            busy_ns: optional(info.busy),
            limited_by_peer_ns: optional(info.limited_by_peer),
            limited_by_buffer_ns: optional(info.limited_by_buffer),
        }
    }
}

impl BreakdownMedians {
    /// The medians. Absent if no exchange has a breakdown.
    pub(super) fn of(figures: &BreakdownFigures, without_breakdown: u64) -> Option<Self> {
        let median = |distribution: &Distribution| distribution.median().map(nanoseconds);
        let separate = figures.server_is_separate();
        Some(Self {
            send_ns: median(&figures.send)?,
            network_ns: median(&figures.network).filter(|_| separate),
            server_ns: median(&figures.server).filter(|_| separate),
            network_and_server_ns: median(&figures.network_and_server).filter(|_| !separate),
            receive_ns: median(&figures.receive)?,
            exchanges: figures.send.count(),
            without_timing_header: figures.without_timing_header,
            without_server_timestamp: figures.without_server_timestamp,
            kernel_replies: Some(figures.kernel_replies).filter(|count| *count > 0),
            without_breakdown,
        })
    }
}

impl From<TimestampCost> for TimestampCostFields {
    fn from(cost: TimestampCost) -> Self {
        Self {
            exchanges: cost.exchanges_without,
            rtt_without_ns: nanoseconds(cost.rtt_without),
            cost_ns: cost.cost(),
        }
    }
}
