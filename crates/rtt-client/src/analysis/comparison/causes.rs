//! Possible causes of a difference between two RTTs, each with its share and its evidence.

mod new_connection;
mod server_program;

use super::PairedDifference;
use crate::analysis::evidence::{Evidence, Side, differences};
use crate::analysis::explain::CauseContext;
use crate::analysis::statistics::{Distribution, Summary};
use crate::model::format::{count, decimal, duration, percent, signed, signed_nanoseconds};
use crate::model::protocol::Phase;
use crate::model::traffic::Traffic;
use crate::protocol::explanations::explanations_of;
use std::time::Duration;

/// The name of several phases together.
pub(crate) const CONNECTION_PHASES: &str = "connection phases";

/// A possible cause of the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The kind of the cause.
    pub kind: CauseKind,
    /// The part of the difference B − A that this cause explains, in nanoseconds. Absent if it is unknown.
    pub share: Option<i64>,
    /// The measurements that support the share, or the reason why there are none.
    pub evidence: String,
}

/// The causes that a comparison examines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    /// Replaces the kinds `Send` to `Receive` if the parts of the RTT were not measured. Its evidence is the reason.
    Breakdown,
    /// From the program to the network interface of this host.
    Send,
    /// The network, both directions together.
    Network,
    /// The host of the server.
    Server,
    /// Network and server together, if they are not separate.
    NetworkAndServer,
    /// From the network interface of this host to the program.
    Receive,
    /// The only phase of a connection before its first exchange, for example the handshake.
    Phase(&'static Phase),
    /// All phases of a connection before its first exchange, if there are several.
    Phases,
    /// The extra time of the first exchange on a connection.
    FirstExchange,
    /// The number and the size of the packets.
    Packets,
    /// The time that a server program adds to the time of its host's kernel.
    ServerProgram,
    /// The size of the request.
    PayloadSize,
    /// A cause that only one protocol has.
    Protocol(&'static ProtocolCause),
}

/// A cause that only one protocol has. The folder of the protocol defines it.
#[derive(Debug, PartialEq, Eq)]
pub struct ProtocolCause {
    /// The name in JSON: `windows`.
    pub name: &'static str,
    /// The name in text.
    pub label: &'static str,
    /// The text after the label if the share is 0: `no effect`.
    pub no_effect: &'static str,
}

impl CauseKind {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Breakdown => "breakdown",
            Self::Send => "send",
            Self::Network => "network",
            Self::Server => "server",
            Self::NetworkAndServer => "network-and-server",
            Self::Receive => "receive",
            Self::Phase(phase) => phase.name,
            Self::Phases => "connection-phases",
            Self::FirstExchange => "first-exchange",
            Self::Packets => "packets",
            Self::ServerProgram => "server-program",
            Self::PayloadSize => "payload-size",
            Self::Protocol(cause) => cause.name,
        }
    }

    /// Whether the cause is a part of the RTT.
    #[must_use]
    pub fn is_part_of_rtt(self) -> bool {
        matches!(
            self,
            Self::Send | Self::Network | Self::Server | Self::NetworkAndServer | Self::Receive
        )
    }
}

/// Lists all causes, in the order of the report.
pub(super) fn list(
    evidence: &Evidence,
    difference: PairedDifference,
    with_connection: Option<PairedDifference>,
    names: [&str; 2],
    confidence: f64,
) -> Vec<Cause> {
    let mut causes = Vec::new();
    // The kernel takes no timestamps of the packets of a handshake, and it does not count them.
    if !evidence.has_handshakes() {
        causes.extend(parts(evidence, names));
        causes.extend(new_connection::causes(evidence, difference, with_connection, names));
        causes.push(packets(evidence, names));
        causes.extend(server_program::cause(evidence, difference, names));
    }
    for (side, name) in evidence.sides.iter().zip(names) {
        // The causes of a side without handshakes describe messages.
        if evidence.has_handshakes() && !side.has_handshakes() {
            continue;
        }
        let context = CauseContext { evidence, side, name };
        for cause in explanations_of(side.protocol).causes(&context) {
            // The same cause can apply to both sides.
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
    }
    // Only requests to an echo server can have any size.
    if evidence.sides.iter().all(|side| side.expected.is_echo()) {
        causes.push(payload_size(evidence, names, confidence));
    }
    causes
}

/// Lists the parts of the RTT. The share of a part is the difference between its median for B and its median for A.
fn parts(evidence: &Evidence, [a, b]: [&str; 2]) -> Vec<Cause> {
    let [of_a, of_b] = evidence.sides.each_ref().map(|side| side.with_timestamps.as_ref());
    let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
        let reason =
            evidence.no_breakdown_reason.as_deref().unwrap_or("the kernel took no timestamps");
        return vec![not_reached(CauseKind::Breakdown, evidence, reason)];
    };
    let medians =
        |part: fn(&Summary) -> &Distribution| [part(of_a), part(of_b)].map(Distribution::median);
    let mut rows = vec![(CauseKind::Send, medians(|summary| &summary.breakdown.send))];
    if of_a.breakdown.server_is_separate() && of_b.breakdown.server_is_separate() {
        rows.push((CauseKind::Network, medians(|summary| &summary.breakdown.network)));
        rows.push((CauseKind::Server, medians(|summary| &summary.breakdown.server)));
    } else {
        rows.push((CauseKind::NetworkAndServer, [of_a, of_b].map(network_and_server)));
    }
    rows.push((CauseKind::Receive, medians(|summary| &summary.breakdown.receive)));
    let exchanges = of_a.breakdown.send.count().min(of_b.breakdown.send.count());
    rows.into_iter()
        .map(|(kind, medians)| match medians {
            [Some(of_a), Some(of_b)] => Cause {
                kind,
                share: Some(signed_nanoseconds(of_b) - signed_nanoseconds(of_a)),
                evidence: format!(
                    "{a} {}, {b} {} (medians of {} exchanges)",
                    duration(of_a),
                    duration(of_b),
                    count(exchanges)
                ),
            },
            _ => not_measured(kind, "the kernel took no timestamps"),
        })
        .collect()
}

/// The median of network and server together. If most exchanges have separate times for network and server, the
/// result is the sum of these two medians.
fn network_and_server(summary: &Summary) -> Option<Duration> {
    let parts = &summary.breakdown;
    if parts.server_is_separate() {
        Some(parts.network.median()? + parts.server.median()?)
    } else {
        parts.network_and_server.median()
    }
}

/// Describes the packets of one exchange. There is no separate share, because the parts of the RTT contain
/// their effect.
fn packets(evidence: &Evidence, names: [&str; 2]) -> Cause {
    let sides = evidence.sides.iter().zip(names).map(|(side, name)| {
        match side.traffic.filter(|_| side.traffic_exchanges > 0) {
            None => {
                let reason = explanations_of(side.protocol).packets_not_counted();
                format!("{name}: not counted, because {reason}.")
            }
            Some(traffic) => {
                let average = |total: u64| per_exchange(total, side.traffic_exchanges);
                let received = average(traffic.packets_in);
                let packets = if received == "1" { "packet" } else { "packets" };
                let opened = if side.has_new_connections() {
                    " These include the packets that open and close a connection."
                } else {
                    ""
                };
                format!(
                    "{name} sent {} and received {received} {packets} for each exchange.{opened} Both directions \
                     together: {}.",
                    average(traffic.packets_out),
                    bytes(side, traffic)
                )
            }
        }
    });
    let sides: Vec<String> = sides.collect();
    Cause { kind: CauseKind::Packets, share: None, evidence: sides.join(" ") }
}

/// Describes the number of bytes of one exchange.
fn bytes(side: &Side, traffic: Traffic) -> String {
    let average = |total: u64| per_exchange(total, side.traffic_exchanges);
    let total = traffic.ip_bytes_out + traffic.ip_bytes_in;
    let title = side.protocol.title;
    // Only the reply of an echo server has the length of the request.
    if !side.expected.is_echo() {
        return format!("{} bytes (payload, and headers of IP and {title})", average(total));
    }
    let payload = 2 * side.request_bytes as u64;
    let headers = total.saturating_sub(payload * side.traffic_exchanges);
    let (payload, headers) = (count(payload), average(headers));
    format!("{payload} bytes of payload and {headers} bytes of headers (IP and {title})")
}

/// Describes the influence of the request size, if the user requested a sweep.
fn payload_size(evidence: &Evidence, [a, b]: [&str; 2], confidence: f64) -> Cause {
    const KIND: CauseKind = CauseKind::PayloadSize;
    if evidence.sweep.is_empty() {
        return not_measured(KIND, "this needs the option --sweep");
    }
    let differences: Vec<(usize, PairedDifference)> = evidence
        .sweep
        .iter()
        .filter_map(|point| {
            Some((point.bytes, PairedDifference::of(&differences(&point.pairs), confidence)?))
        })
        .collect();
    let (Some((smallest, first)), Some((largest, last))) =
        (differences.first(), differences.last())
    else {
        return not_reached(KIND, evidence, "no exchange of any size succeeded");
    };
    Cause {
        kind: KIND,
        share: Some(last.estimate - first.estimate),
        evidence: format!(
            "{b} − {a} is {} at {} bytes and {} at {} bytes. {}",
            signed(first.estimate),
            count(*smallest as u64),
            signed(last.estimate),
            count(*largest as u64),
            change_with_size(&differences, confidence)
        ),
    }
}

/// Describes how the difference depends on the size.
fn change_with_size(differences: &[(usize, PairedDifference)], confidence: f64) -> String {
    let Some(first) = differences.first().and_then(|(_, first)| first.interval) else {
        return "There are too few pairs of each size for a conclusion.".to_owned();
    };
    // Disjoint confidence intervals show that two differences are not equal. The criterion is conservative: two
    // differences can be unequal although their intervals overlap.
    let is_apart = |difference: &PairedDifference| {
        difference.interval.is_some_and(|interval| interval.is_disjoint(first))
    };
    let last_similar =
        differences.iter().rposition(|(_, difference)| !is_apart(difference)).unwrap_or(0);
    match differences.get(last_similar + 1) {
        Some((bytes, _)) => format!(
            "The difference changes at {} bytes ({} confidence).",
            count(*bytes as u64),
            percent(confidence)
        ),
        None => {
            "Within the confidence intervals, the difference is the same at every size.".to_owned()
        }
    }
}

/// A cause without a measurement. If the user ended the comparison early, this is the reason. Otherwise the reason is
/// `reason`.
pub(crate) fn not_reached(kind: CauseKind, evidence: &Evidence, reason: &str) -> Cause {
    not_measured(kind, if evidence.interrupted { "the comparison was interrupted" } else { reason })
}

/// A cause without a measurement.
pub(crate) fn not_measured(kind: CauseKind, reason: &str) -> Cause {
    Cause { kind, share: None, evidence: format!("Not measured: {reason}.") }
}

/// Formats an average with at most two decimals.
pub(crate) fn per_exchange(total: u64, exchanges: u64) -> String {
    if total.is_multiple_of(exchanges) {
        return count(total / exchanges);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let average = total as f64 / exchanges as f64;
    decimal((average * 100.0).round() / 100.0)
}
