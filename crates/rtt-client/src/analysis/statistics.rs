//! The counts and distributions of a run, built from its exchanges one by one. Pure.

mod distribution;

pub use distribution::{Distribution, Quantile};

use crate::model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};
use crate::model::exchange::{ConnectionPosition, Exchange, Outcome};
use crate::model::format::nanoseconds;
use crate::model::tcp_info::TcpInfo;
use std::time::Duration;

/// The counts and distributions of a run. A request counts once: `sent = received + lost + corrupt`.
#[derive(Debug, Default)]
pub struct Summary {
    /// Requests, including those that the system did not send because of an error.
    pub sent: u64,
    /// Requests whose correct reply arrived in time.
    pub received: u64,
    /// Requests without a reply in time, for any reason.
    pub lost: u64,
    /// Requests whose reply was not correct.
    pub corrupt: u64,
    /// Additional replies to a request that already has one.
    pub duplicates: u64,
    /// Replies that arrived after the reply to a later request (reordering as in RFC 4737, by number).
    pub out_of_order: u64,
    /// Replies that arrived after the timeout. Their requests count as lost.
    pub late: u64,
    /// Replies that belong to no request of this run.
    pub unmatched: u64,
    /// Requests that the client sent again on a new connection, because the peer had closed the old one.
    /// Their RTTs start at the first send.
    pub resent: u64,
    /// Round-trip times.
    pub rtt: Distribution,
    /// With a fixed request rate: from the intended send to the reply.
    pub rtt_from_schedule: Distribution,
    /// With a fixed request rate: from the intended to the actual send.
    pub lateness: Distribution,
    /// Durations of the handshakes.
    pub connect: Distribution,
    /// RTTs of the first exchange on each connection.
    pub first_exchange: Distribution,
    /// RTTs of all other exchanges on connections.
    pub later_exchanges: Distribution,
    /// From this side's end of a connection to the peer's end.
    pub close: Distribution,
    /// The variation of consecutive RTTs.
    pub jitter: Jitter,
    /// The parts of the RTTs.
    pub breakdown: BreakdownFigures,
    /// RTTs of control exchanges: the same exchanges, but without the instruments of the breakdown. The client
    /// makes them between the others.
    pub uninstrumented: Distribution,
    /// The kernel's data about the last connection, and counts over all connections of the run.
    pub tcp: Option<TcpInfo>,
    /// Exchanges for which a breakdown was requested, but the timestamps did not allow one.
    pub without_breakdown: u64,
    /// Facts that a reader of the figures should know.
    pub notes: Vec<String>,
    /// From the start of a series to its last request.
    pub send_duration: Duration,
    /// From the start of the run to its end.
    pub duration: Duration,
}

impl Summary {
    /// Adds an exchange.
    pub fn add(&mut self, exchange: &Exchange) {
        self.sent += 1;
        match exchange.outcome {
            Outcome::Reply { .. } => self.received += 1,
            Outcome::Lost(_) | Outcome::Error(_) => self.lost += 1,
            Outcome::Corrupt { .. } => self.corrupt += 1,
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
        if let Some(breakdown) = &exchange.breakdown {
            self.breakdown.add(breakdown);
        }
    }

    /// Whether there was a request, and every request had a correct reply.
    #[must_use]
    pub fn all_answered(&self) -> bool {
        self.sent > 0 && self.received == self.sent
    }
}

/// The interarrival jitter of RFC 3550, section 6.4.1, applied to round-trip times: each difference between
/// consecutive RTTs moves the estimate by one sixteenth of its distance from the estimate.
#[derive(Debug, Default)]
pub struct Jitter {
    last: Option<Duration>,
    /// In nanoseconds. Absent before the second RTT.
    estimate: Option<f64>,
}

impl Jitter {
    /// Adds the next RTT, in the order of arrival.
    pub fn add(&mut self, rtt: Duration) {
        if let Some(last) = self.last.replace(rtt) {
            #[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are 104 days")]
            let difference = nanoseconds(rtt.abs_diff(last)) as f64;
            let estimate = self.estimate.unwrap_or(0.0);
            self.estimate = Some(estimate + (difference - estimate) / 16.0);
        }
    }

    /// The estimate. Absent with fewer than two RTTs.
    #[must_use]
    pub fn estimate(&self) -> Option<Duration> {
        self.estimate.map(|nanoseconds| Duration::from_secs_f64(nanoseconds / 1e9))
    }
}

/// The parts of many RTTs.
///
/// An exchange adds to `network` and `server` if these parts are separate, and otherwise to
/// `network_and_server`. In a run with our own server, a few exchanges are combined: usually the first one on
/// each connection.
#[derive(Debug, Default)]
pub struct BreakdownFigures {
    /// From the program to the network interface.
    pub send: Distribution,
    /// Network and server together, of exchanges for which they are not separate.
    pub network_and_server: Distribution,
    /// The number of these exchanges with [`CombinedReason::NoTimingHeader`].
    pub without_timing_header: u64,
    /// The number of these exchanges with [`CombinedReason::NoServerTimestamp`].
    pub without_server_timestamp: u64,
    /// The network alone.
    pub network: Distribution,
    /// The server alone.
    pub server: Distribution,
    /// From the arrival of the packet to the program.
    pub receive: Distribution,
}

impl BreakdownFigures {
    /// Whether network and server are separate for at least half of the exchanges. Reports show only the larger
    /// group: a mixture would count the time between the packets twice.
    #[must_use]
    pub fn server_is_separate(&self) -> bool {
        self.server.count() >= self.network_and_server.count()
    }

    pub(crate) fn add(&mut self, breakdown: &Breakdown) {
        self.send.add(breakdown.send);
        self.receive.add(breakdown.receive);
        match breakdown.network_and_server {
            NetworkAndServer::Combined { duration, reason } => {
                self.network_and_server.add(duration);
                match reason {
                    CombinedReason::NoTimingHeader => self.without_timing_header += 1,
                    CombinedReason::NoServerTimestamp => self.without_server_timestamp += 1,
                }
            }
            NetworkAndServer::Separate { network, server } => {
                self.network.add(network);
                self.server.add(server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_follows_the_formula_of_the_rfc() {
        let mut jitter = Jitter::default();
        jitter.add(Duration::from_micros(100));
        assert_eq!(jitter.estimate(), None);
        jitter.add(Duration::from_micros(116));
        assert_eq!(jitter.estimate(), Some(Duration::from_micros(1)));
        jitter.add(Duration::from_micros(99));
        assert_eq!(jitter.estimate(), Some(Duration::from_micros(2)));
    }

    #[test]
    fn reasons_for_combined_parts_are_counted() {
        let mut figures = BreakdownFigures::default();
        let duration = Duration::from_micros(30);
        for reason in [
            CombinedReason::NoServerTimestamp,
            CombinedReason::NoTimingHeader,
            CombinedReason::NoServerTimestamp,
        ] {
            let network_and_server = NetworkAndServer::Combined { duration, reason };
            let (send, receive) = (Duration::ZERO, Duration::ZERO);
            figures.add(&Breakdown { send, network_and_server, receive });
        }
        assert_eq!((figures.without_timing_header, figures.without_server_timestamp), (1, 2));
        assert_eq!(figures.network_and_server.count(), 3);
        assert!(!figures.server_is_separate());
    }
}
