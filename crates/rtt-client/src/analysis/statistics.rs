//! The counts and distributions of a run. A [`Summary`] is built from the exchanges one by one.

mod address_changes;
mod breakdown;
mod distribution;
mod handshakes;
mod jitter;
mod notable_replies;
mod replacements;

pub use address_changes::AddressChanges;
pub use breakdown::BreakdownFigures;
pub use distribution::{Distribution, Quantile};
pub use handshakes::HandshakeRetransmissions;
pub use jitter::Jitter;
pub use notable_replies::NotableReplies;
pub use replacements::Replacements;

use crate::analysis::delay_variation::DelayVariation;
use crate::analysis::loss_attribution::LossCounts;
use crate::analysis::outages::Outages;
use crate::analysis::schedule::SlowHost;
use crate::model::address_resolution::AddressResolution;
use crate::model::exchange::{Connection, ConnectionPosition, Exchange, Outcome, PhaseDuration};
use crate::model::format::signed_nanoseconds;
use crate::model::hop_limit::ReplyTtl;
use crate::model::protocol::{Phase, ReplyForm};
use crate::model::receive_queue::ReceiveQueue;
use crate::model::traffic::KernelStatistics;
use std::time::Duration;

/// The first exchange on a connection is a cold start if it takes at least this many times as long as a later
/// exchange.
const COLD_START_RATIO: f64 = 1.5;

/// The smallest number of connections for a statement about the first exchange on a connection. With this number, the
/// probability is 3 % that all first exchanges exceed the median by chance.
const MIN_COLD_STARTS: u64 = 5;

/// The possible reasons for [`Summary::wrong_token`], as a sentence for notes.
pub(crate) const WRONG_TOKEN_REASON: &str = "The server replies before it receives the requests, another host forges replies, or the replies belong to an earlier \
     run from the same local port.";

/// The counts and distributions of a run. Each request has exactly one outcome: `sent = received + lost + corrupt`.
#[derive(Debug, Default)]
pub struct Summary {
    /// Requests, including those that the client could not send because of an error.
    pub sent: u64,
    /// Requests with a correct reply before the timeout.
    pub received: u64,
    /// Requests without a reply before the timeout, for any reason.
    pub lost: u64,
    /// Requests that were in flight when the user interrupted the run. The other counts do not contain them.
    pub in_flight: u64,
    /// The places where the exchanges were lost. The counts are complete only at the end of a series.
    pub lost_where: LossCounts,
    /// Requests with a wrong reply.
    pub corrupt: u64,
    /// The content of some replies.
    pub replies: NotableReplies,
    /// Additional replies to a request that already has a reply.
    pub duplicates: u64,
    /// Replies that arrived after the reply to a later request. RFC 4737 defines this as reordering.
    pub out_of_order: u64,
    /// Replies to requests that already counted as lost, usually because of the timeout.
    pub late: u64,
    /// Replies that belong to no request of this run.
    pub unmatched: u64,
    /// Replies with the number of a request and a wrong token. Their sender has not received this request.
    pub wrong_token: u64,
    /// Requests with an ICMP error and a correct reply in time.
    pub refuted_errors: u64,
    /// Requests that the client sent again on a new connection, because the old one had ended. Their RTTs start at
    /// the first send.
    pub resent: u64,
    /// Requests that are lost because each of their connections ended before the reply, and the client sends a request at
    /// most four times.
    pub not_resent: u64,
    /// The channels that the client replaced, because they did not work.
    pub replacements: Replacements,
    /// The changes of the measured address, because the name of the target has another address.
    pub address_changes: AddressChanges,
    /// The periods in which no request had a correct reply. An outage that lasts until the end of the run is added at the end.
    pub outages: Outages,
    /// Round-trip times.
    pub rtt: Distribution,
    /// Times from the request to the first byte of the reply. The RTT ends at the last byte. Only for the replies of a
    /// service on a stream.
    pub first_byte: Distribution,
    /// With a fixed request rate: from the scheduled send time to the reply.
    pub rtt_from_schedule: Distribution,
    /// With a fixed request rate: how long after their scheduled time the requests were sent.
    pub lateness: Distribution,
    /// For each established connection, the duration of all its phases together.
    pub connect: Distribution,
    /// The packets that were sent again during the handshakes.
    pub handshake_retransmissions: HandshakeRetransmissions,
    /// Durations of each completed phase, in the order of the phases.
    pub phases: Vec<(&'static Phase, Distribution)>,
    /// RTTs of the first exchange on each connection.
    pub first_exchange: Distribution,
    /// RTTs of all other exchanges on connections.
    pub later_exchanges: Distribution,
    /// The time from the close of a connection by this host to its close by the peer.
    pub close: Distribution,
    /// The variation of consecutive RTTs.
    pub jitter: Jitter,
    /// The variation of the delay in each direction. Absent if the server does not report the arrival of requests.
    pub variation: Option<Box<DelayVariation>>,
    /// The parts of the RTTs.
    pub breakdown: BreakdownFigures,
    /// For each exchange that waited for the server's rate limit, the time of this wait. It is a part of the RTT.
    pub limit_delays: Distribution,
    /// RTTs of control exchanges. A control exchange has no kernel timestamps and no timing header. In a run with a
    /// breakdown, the client alternates between control exchanges and other exchanges.
    pub rtt_without_timestamps: Distribution,
    /// The hop limits (TTL) of the correct replies. Absent if they were not measured.
    pub reply_ttl: Option<ReplyTtl>,
    /// The kernel's data about the last connection, and the retransmissions of all connections.
    pub kernel_statistics: Option<KernelStatistics>,
    /// The size of the receive queue, in bytes. Absent if the client requested none.
    pub receive_queue: Option<ReceiveQueue>,
    /// The form of the replies of a server program. Absent if the kernel of the host replies. Also absent if no reply showed
    /// the form, and the user did not select it.
    pub reply_form: Option<ReplyForm>,
    /// The part of this host that could not keep up with the schedule. Absent if the host kept it.
    pub slow_host: Option<SlowHost>,
    /// Exchanges without a breakdown although the user requested one: a timestamp was missing, or a clock was set.
    pub without_breakdown: u64,
    /// The address resolution that delayed the first packet. Absent if the link address of the next hop was known.
    pub address_resolution: Option<AddressResolution>,
    /// Facts that a reader of the result should know, for example why the run ended early.
    pub notes: Vec<String>,
    /// From the start of a series to its last request.
    pub send_duration: Duration,
    /// From the start of the run to its end.
    pub duration: Duration,
}

/// The measurements of a series that do not belong to a single exchange. See the fields of [`Summary`] with the
/// same names.
#[derive(Debug, Default)]
pub(crate) struct SeriesMeasurements {
    pub(crate) close: Distribution,
    pub(crate) rtt_without_timestamps: Distribution,
    pub(crate) kernel_statistics: Option<KernelStatistics>,
    pub(crate) receive_queue: Option<ReceiveQueue>,
    pub(crate) slow_host: Option<SlowHost>,
    pub(crate) address_resolution: Option<AddressResolution>,
    pub(crate) send_duration: Duration,
    pub(crate) reply_form: Option<ReplyForm>,
    pub(crate) notes: Vec<String>,
}

/// The effect of the kernel timestamps and the timing header on the RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampCost {
    /// The median RTT of the exchanges with timestamps.
    pub rtt_with: Duration,
    /// The median RTT of the control exchanges.
    pub rtt_without: Duration,
    /// The number of control exchanges.
    pub exchanges_without: u64,
}

impl TimestampCost {
    /// The cost in nanoseconds: the difference between the medians. It can be negative if the cost is smaller than the
    /// random variation of the RTTs.
    #[must_use]
    pub fn cost(&self) -> i64 {
        signed_nanoseconds(self.rtt_with) - signed_nanoseconds(self.rtt_without)
    }
}

/// The first exchange on a connection takes much longer than later exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdStart {
    /// The median RTT of the first exchanges.
    pub first: Duration,
    /// The median RTT of the later exchanges.
    pub later: Duration,
    /// The number of connections with a first exchange.
    pub connections: u64,
    /// Whether the difference is consistent: enough connections have a first exchange, and almost all of these exchanges
    /// take longer than the median of the later ones. Otherwise, the difference can be chance.
    pub is_consistent: bool,
}

impl Summary {
    /// Adds an exchange.
    pub fn add(&mut self, exchange: &Exchange) {
        self.sent += 1;
        match &exchange.outcome {
            Outcome::Reply { .. } => self.received += 1,
            Outcome::Lost(_) | Outcome::Error(_) => self.lost += 1,
            Outcome::Corrupt { text, .. } => {
                self.corrupt += 1;
                self.replies.wrong(text);
            }
        }
        if let Some(lateness) = exchange.lateness {
            self.lateness.add(lateness);
        }
        if let Some(rtt) = exchange.rtt() {
            self.rtt.add(rtt);
            self.jitter.add(rtt);
            if let Some(lateness) = exchange.lateness {
                self.rtt_from_schedule.add(lateness + rtt);
            }
            match exchange.connection_position {
                Some(ConnectionPosition::First) => self.first_exchange.add(rtt),
                Some(ConnectionPosition::Later) => self.later_exchanges.add(rtt),
                None => {}
            }
        }
        if let Some(time) = exchange.first_byte_time() {
            self.first_byte.add(time);
        }
        self.handshake_retransmissions.add(exchange.retransmitted);
        if let Some(breakdown) = &exchange.breakdown {
            self.breakdown.add(breakdown);
        }
        if let Some(ttl) = exchange.hop_limit {
            self.reply_ttl = Some(ReplyTtl::with(self.reply_ttl, ttl));
        }
    }

    /// Adds the durations of a connection.
    pub(crate) fn add_connection(&mut self, connection: &Connection) {
        // The failure of an attempt contains its retransmissions.
        if connection.is_established {
            self.handshake_retransmissions.add(connection.retransmitted);
        }
        if let Some(duration) = connection.duration() {
            self.connect.add(duration);
        }
        for PhaseDuration { phase, duration } in connection.phase_durations() {
            self.phase(phase).add(duration);
        }
    }

    fn phase(&mut self, phase: &'static Phase) -> &mut Distribution {
        let index = self.phases.iter().position(|(known, _)| *known == phase);
        let index = index.unwrap_or_else(|| {
            self.phases.push((phase, Distribution::default()));
            self.phases.len() - 1
        });
        &mut self.phases[index].1
    }

    /// Adds the counts of a finished series, for example its late replies. The function does not add the exchanges
    /// and the connections. The caller adds these, because it omits the warm-up.
    pub(crate) fn add_round(&mut self, round: &Self) {
        self.replies.add(&round.replies);
        self.duplicates += round.duplicates;
        self.out_of_order += round.out_of_order;
        self.late += round.late;
        self.unmatched += round.unmatched;
        self.wrong_token += round.wrong_token;
        self.refuted_errors += round.refuted_errors;
        self.resent += round.resent;
        self.not_resent += round.not_resent;
        self.without_breakdown += round.without_breakdown;
        self.kernel_statistics = round
            .kernel_statistics
            .map(|info| info.with_earlier_connections(self.kernel_statistics))
            .or(self.kernel_statistics);
    }

    /// Adds the measurements that are complete only at the end of a series.
    pub(crate) fn finish_series(self, measurements: SeriesMeasurements) -> Self {
        let SeriesMeasurements {
            close,
            rtt_without_timestamps,
            kernel_statistics,
            receive_queue,
            slow_host,
            address_resolution,
            send_duration,
            reply_form,
            notes,
        } = measurements;
        Self {
            close,
            rtt_without_timestamps,
            kernel_statistics,
            receive_queue,
            reply_form,
            slow_host,
            address_resolution,
            notes,
            send_duration,
            ..self
        }
    }

    /// Adds the duration of the run at its end.
    pub(crate) fn finish_run(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }

    /// Whether the run has at least one request, and each request has a correct reply.
    #[must_use]
    pub fn all_answered(&self) -> bool {
        self.sent > 0 && self.received == self.sent
    }

    /// The effect of the timestamps on the RTT. Absent without control exchanges.
    #[must_use]
    pub fn timestamp_cost(&self) -> Option<TimestampCost> {
        Some(TimestampCost {
            rtt_with: self.rtt.median()?,
            rtt_without: self.rtt_without_timestamps.median()?,
            exchanges_without: self.rtt_without_timestamps.count(),
        })
    }

    /// The cold start of the connections. Absent if the first exchange takes about as long as later ones.
    #[must_use]
    pub fn cold_start(&self) -> Option<ColdStart> {
        let (first, later) = (self.first_exchange.median()?, self.later_exchanges.median()?);
        let connections = self.first_exchange.count();
        let is_consistent = connections >= MIN_COLD_STARTS
            && self.first_exchange.quantile(0.1).is_some_and(|low| low > later);
        (first.as_secs_f64() >= COLD_START_RATIO * later.as_secs_f64()).then_some(ColdStart {
            first,
            later,
            connections,
            is_consistent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_of_timestamps_can_be_negative() {
        let mut summary = Summary::default();
        assert_eq!(summary.timestamp_cost(), None);
        let (rtt_with, rtt_without) = (Duration::from_nanos(900), Duration::from_micros(1));
        summary.rtt.add(rtt_with);
        summary.rtt_without_timestamps.add(rtt_without);
        let cost = summary.timestamp_cost().unwrap();
        assert_eq!(cost, TimestampCost { rtt_with, rtt_without, exchanges_without: 1 });
        assert_eq!(cost.cost(), -100);
    }

    #[test]
    fn cold_start_needs_a_clearly_slower_first_exchange() {
        let cold_start = |first, later| {
            let mut summary = Summary::default();
            summary.first_exchange.add(Duration::from_micros(first));
            summary.later_exchanges.add(Duration::from_micros(later));
            summary.cold_start()
        };
        assert_eq!(cold_start(59, 40), None);
        assert!(cold_start(61, 40).is_some());
        assert_eq!(Summary::default().cold_start(), None);
    }

    #[test]
    fn cold_start_is_consistent_only_with_several_connections() {
        let is_consistent = |first: &[u64]| {
            let mut summary = Summary::default();
            for rtt in first {
                summary.first_exchange.add(Duration::from_micros(*rtt));
            }
            summary.later_exchanges.add(Duration::from_micros(40));
            summary.cold_start().unwrap().is_consistent
        };
        assert!(!is_consistent(&[5000]));
        assert!(!is_consistent(&[90; 4]));
        assert!(is_consistent(&[90; 5]));
        assert!(!is_consistent(&[30, 30, 90, 90, 90, 90, 90, 90]));
    }

    #[test]
    fn added_round_adds_its_late_replies_but_not_its_exchanges() {
        let retransmissions = |number| {
            Some(KernelStatistics { retransmissions: Some(number), ..KernelStatistics::default() })
        };
        let mut all = Summary {
            sent: 1,
            late: 2,
            kernel_statistics: retransmissions(3),
            ..Summary::default()
        };
        all.add_round(&Summary {
            sent: 10,
            late: 4,
            kernel_statistics: retransmissions(5),
            ..Summary::default()
        });
        all.add_round(&Summary::default());
        assert_eq!((all.sent, all.late), (1, 6));
        assert_eq!(all.kernel_statistics.unwrap().retransmissions, Some(8));
    }
}
