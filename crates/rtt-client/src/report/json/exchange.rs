//! The lines of names with many addresses, failed attempts, connections and exchanges.

use super::finding::FailureFields;
use super::time;
use crate::event::{AddressLimit, FailedAttempt};
use crate::model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Exchange, Outcome, PhaseDuration};
use crate::model::format::nanoseconds;
use crate::model::loss_place::LossPlace;
use crate::model::protocol::{DisplayAddress, Protocol};
use serde::Serialize;
use std::borrow::Cow;

/// A name with more addresses than the client tries.
#[derive(Serialize)]
pub(super) struct AddressesLine {
    host: String,
    found: usize,
    tried: usize,
}

impl From<&AddressLimit> for AddressesLine {
    fn from(limit: &AddressLimit) -> Self {
        let AddressLimit { host, found, tried } = limit.clone();
        Self { host, found, tried }
    }
}

/// An address that did not answer. The client then tried another address.
#[derive(Serialize)]
pub(super) struct AttemptLine {
    protocol: &'static str,
    address: DisplayAddress,
    #[serde(flatten)]
    failure: ExplainedFailure,
}

impl From<&FailedAttempt> for AttemptLine {
    fn from(attempt: &FailedAttempt) -> Self {
        Self {
            protocol: attempt.protocol.name,
            address: attempt.protocol.display_address(attempt.address),
            failure: ExplainedFailure::new(&attempt.failure, Some(attempt.protocol)),
        }
    }
}

/// A connection, or an attempt to establish one.
#[derive(Serialize)]
pub(super) struct ConnectionLine {
    requested: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    established: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted: Option<u32>,
    /// The part of `connect_ns` that the retransmissions cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmission_cost_ns: Option<u64>,
    /// Only if the protocol has several phases, or if the attempt failed after its first phase.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<PhaseFields>,
}

/// A completed phase of a connection.
#[derive(Serialize)]
struct PhaseFields {
    phase: &'static str,
    duration_ns: u64,
}

impl From<&Connection> for ConnectionLine {
    fn from(connection: &Connection) -> Self {
        let is_one_phase = connection.is_established && connection.phases.len() == 1;
        let phases = connection.phase_durations().map(PhaseFields::from);
        Self {
            requested: time(connection.requested),
            established: connection.established().map(time),
            connect_ns: connection.duration().map(nanoseconds),
            retransmitted: connection.retransmitted.map(|retransmitted| retransmitted.segments),
            retransmission_cost_ns: connection
                .retransmitted
                .and_then(|retransmitted| retransmitted.cost)
                .filter(|_| connection.is_established)
                .map(nanoseconds),
            phases: if is_one_phase { Vec::new() } else { phases.collect() },
        }
    }
}

impl From<PhaseDuration> for PhaseFields {
    fn from(PhaseDuration { phase, duration }: PhaseDuration) -> Self {
        Self { phase: phase.name, duration_ns: nanoseconds(duration) }
    }
}

/// A request and its outcome.
#[derive(Serialize)]
pub(super) struct ExchangeLine {
    seq: u64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u8>,
    /// Only if the exchange is a handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmitted: Option<u32>,
    /// The part of `rtt_ns` that the retransmissions cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    retransmission_cost_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakdown: Option<BreakdownFields>,
    /// The reason why `breakdown` has no separate network and server: [`CombinedReason::name`]. The field is outside
    /// `breakdown`, so that `breakdown` contains only durations.
    #[serde(skip_serializing_if = "Option::is_none")]
    combined_reason: Option<&'static str>,
    #[serde(flatten)]
    failure: Option<ExplainedFailure>,
    /// [`LossPlace::name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_where: Option<&'static str>,
}

impl ExchangeLine {
    /// `protocol` is the protocol of the run, if the run has started.
    pub(super) fn new(exchange: &Exchange, protocol: Option<&Protocol>) -> Self {
        let (received, text) = match &exchange.outcome {
            Outcome::Reply { received, text } => (Some(*received), text.as_ref()),
            Outcome::Corrupt { received, text, .. } => (Some(*received), Some(text)),
            Outcome::Lost(_) | Outcome::Error(_) => (None, None),
        };
        Self {
            seq: exchange.seq,
            outcome: exchange.outcome.name(),
            sent: exchange.sent.map(time),
            received: received.map(time),
            rtt_ns: exchange.rtt().map(nanoseconds),
            first_byte_ns: exchange.first_byte_time().map(nanoseconds),
            reply: text.map(|text| String::from_utf8_lossy(text).into_owned()),
            lateness_ns: exchange.lateness.map(nanoseconds),
            ttl: exchange.hop_limit,
            retransmitted: exchange.retransmitted.map(|retransmitted| retransmitted.segments),
            retransmission_cost_ns: exchange
                .retransmitted
                .and_then(|retransmitted| retransmitted.cost)
                .map(nanoseconds),
            breakdown: exchange.breakdown.map(BreakdownFields::from),
            combined_reason: exchange.breakdown.and_then(combined_reason),
            failure: exchange
                .outcome
                .failure()
                .map(|failure| ExplainedFailure::new(failure, protocol)),
            lost_where: exchange.loss_place().map(LossPlace::name),
        }
    }
}

fn combined_reason(breakdown: Breakdown) -> Option<&'static str> {
    match breakdown.network_and_server {
        NetworkAndServer::Separate { .. } => None,
        NetworkAndServer::Combined { reason, .. } => Some(CombinedReason::name(reason)),
    }
}

/// A failure, with its meaning in one sentence.
#[derive(Serialize)]
struct ExplainedFailure {
    condition: &'static str,
    /// Absent if the client did not try to send the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ns: Option<u64>,
    #[serde(flatten)]
    fields: FailureFields,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Cow<'static, str>>,
}

impl ExplainedFailure {
    fn new(failure: &Failure, protocol: Option<&Protocol>) -> Self {
        Self {
            condition: failure.condition.name(),
            after_ns: failure.measured_after().map(nanoseconds),
            fields: FailureFields::from(failure),
            explanation: protocol.map(|protocol| failure.meaning(protocol)),
        }
    }
}

/// The parts of one RTT. They add up to the RTT.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the JSON interface")]
pub(super) struct BreakdownFields {
    send_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ns: Option<u64>,
    /// Network and server together, if they are not separate.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_and_server_ns: Option<u64>,
    receive_ns: u64,
    /// The part of `server_ns` in which the request waited for the server's rate limit. Absent if it did not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_limit_ns: Option<u64>,
}

impl From<Breakdown> for BreakdownFields {
    fn from(breakdown: Breakdown) -> Self {
        let (network, server, combined) = match breakdown.network_and_server {
            NetworkAndServer::Separate { network, server, .. } => {
                (Some(network), Some(server), None)
            }
            NetworkAndServer::Combined { duration, .. } => (None, None, Some(duration)),
        };
        Self {
            send_ns: nanoseconds(breakdown.send),
            network_ns: network.map(nanoseconds),
            server_ns: server.map(nanoseconds),
            network_and_server_ns: combined.map(nanoseconds),
            receive_ns: nanoseconds(breakdown.receive),
            server_limit_ns: match breakdown.network_and_server {
                NetworkAndServer::Separate { limit, .. } if !limit.is_zero() => {
                    Some(nanoseconds(limit))
                }
                _ => None,
            },
        }
    }
}
