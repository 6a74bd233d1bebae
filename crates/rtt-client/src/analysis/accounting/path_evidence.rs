//! [`PathEvidence`]: the evidence of a run about the path: where exchanges were lost, and how the delays varied.

use super::ReceivedReply;
use crate::analysis::delay_variation::{DelayClocks, DelayCollector, DelaySample, DelayVariation};
use crate::analysis::loss_attribution::{LossAttribution, LossCounts};
use crate::analysis::loss_pattern::{LossPattern, LossTracker};
use crate::model::format::signed_nanoseconds;
use crate::model::receive_queue::ReceiveDrops;
use echo_core::Stamp;
use echo_core::header::ArrivalClock;
use echo_core::header::version2::{ClockState, Report};
use std::time::SystemTime;

/// The evidence about the path.
#[derive(Debug, Default)]
pub(super) struct PathEvidence {
    pub(super) losses: LossAttribution,
    pub(super) pattern: LossTracker,
    delays: DelayCollector,
    /// The time of the first request with a delay sample.
    first_sample: Option<Stamp>,
}

/// The conclusions from the evidence.
pub(super) struct PathResult {
    pub(super) lost_where: LossCounts,
    pub(super) variation: Option<Box<DelayVariation>>,
    pub(super) loss_pattern: Option<LossPattern>,
}

impl PathEvidence {
    /// Adds the first reply to request `seq`, in time or late.
    pub(super) fn answered(&mut self, seq: u64, reply: &ReceivedReply) {
        if let Some(counts) = reply.report.version2().and_then(|report| report.flow) {
            self.losses.answered(seq, counts, reply.receive_drops);
        }
    }

    /// Adds the delays in both directions, if the server reported them.
    pub(super) fn add_delays(
        &mut self,
        sent: Stamp,
        reply: &ReceivedReply,
        transmitted: Option<SystemTime>,
    ) {
        let Some(Report { timing, arrival, clock, .. }) = reply.report.version2() else { return };
        let kernel =
            transmitted.zip(reply.timestamp).filter(|_| timing.arrival == ArrivalClock::Kernel);
        let (left, returned) = kernel.unwrap_or((sent.wall(), reply.received.wall()));
        let first = *self.first_sample.get_or_insert(sent);
        self.delays.add(DelaySample {
            at: sent.since(&first),
            there: signed_nanoseconds(arrival).saturating_sub(wall_nanoseconds(left)),
            back: wall_nanoseconds(returned)
                .saturating_sub(signed_nanoseconds(arrival + timing.server)),
            server: signed_nanoseconds(timing.server),
            clocks: DelayClocks {
                server: timing.arrival,
                client: if kernel.is_some() { ArrivalClock::Kernel } else { ArrivalClock::Program },
            },
            clock,
        });
    }

    /// See [`Accounting::finish`](super::Accounting::finish).
    pub(super) fn finish(
        self,
        receive_drops: Option<ReceiveDrops>,
        clock: ClockState,
    ) -> PathResult {
        PathResult {
            lost_where: self.losses.finish(receive_drops),
            variation: self.delays.finish(clock).map(Box::new),
            loss_pattern: self.pattern.pattern(),
        }
    }
}

/// The time since 1970-01-01 UTC, in nanoseconds.
fn wall_nanoseconds(time: SystemTime) -> i64 {
    signed_nanoseconds(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
