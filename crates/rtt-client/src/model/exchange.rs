//! The records of a run: connections, exchanges and their outcomes.

use crate::model::breakdown::Breakdown;
use crate::model::condition::{Condition, Failure};
use crate::model::loss_place::LossPlace;
use crate::model::protocol::Phase;
use bytes::Bytes;
use echo_core::Stamp;
use std::time::Duration;

/// A connection, or an attempt to establish one.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The time before the program requested the connection.
    pub requested: Stamp,
    /// The completed phases, in their order. If the attempt failed, the failed phase and all later phases are absent.
    pub phases: Vec<CompletedPhase>,
    /// Whether all phases are complete.
    pub is_established: bool,
    /// The packets of the handshake that were sent again. Absent if the system does not report it.
    pub retransmitted: Option<Retransmitted>,
}

/// The packets that this host sent again while it opened a connection, because no answer arrived in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retransmitted {
    /// The number of packets.
    pub segments: u32,
    /// The part of the connection's duration before the packet that was answered: the duration minus the round trip
    /// of this packet. Absent if the system has not measured this round trip.
    pub cost: Option<Duration>,
}

/// A completed phase of a connection.
#[derive(Debug, Clone, Copy)]
pub struct CompletedPhase {
    /// The phase.
    pub phase: &'static Phase,
    /// The time of its end.
    pub end: Stamp,
}

/// A completed phase, with its duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseDuration {
    /// The phase.
    pub phase: &'static Phase,
    /// The time from the end of the previous phase. For the first phase, the time from the connection request.
    pub duration: Duration,
}

impl Connection {
    /// A connection attempt at `requested`. No phase is complete.
    #[must_use]
    pub fn requested(requested: Stamp) -> Self {
        Self { requested, phases: Vec::new(), is_established: false, retransmitted: None }
    }

    /// Adds a completed phase.
    pub fn complete(&mut self, phase: &'static Phase, end: Stamp) {
        self.phases.push(CompletedPhase { phase, end });
    }

    /// The end of the last phase, if the connection was established.
    #[must_use]
    pub fn established(&self) -> Option<Stamp> {
        self.phases.last().filter(|_| self.is_established).map(|last| last.end)
    }

    /// The duration of all phases together, if the connection was established.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        Some(self.established()?.since(&self.requested))
    }

    /// The durations of the completed phases.
    pub fn phase_durations(&self) -> impl Iterator<Item = PhaseDuration> + '_ {
        let mut start = self.requested;
        self.phases.iter().map(move |&CompletedPhase { phase, end }| {
            let duration = end.since(&start);
            start = end;
            PhaseDuration { phase, duration }
        })
    }
}

/// One request and its outcome.
#[derive(Debug)]
pub struct Exchange {
    /// The number of the request in the run. The first request has number 1.
    pub seq: u64,
    /// The time before the program passed the request to the system. Absent if the program could not send it.
    pub sent: Option<Stamp>,
    /// With a fixed request rate: how long after its scheduled time the request was sent.
    pub lateness: Option<Duration>,
    /// The position of the exchange on its connection. Absent if the protocol has no connections.
    pub connection_position: Option<ConnectionPosition>,
    /// The outcome.
    pub outcome: Outcome,
    /// The parts of the RTT. Absent if they were not requested, or if a timestamp was missing.
    pub breakdown: Option<Breakdown>,
    /// The time after the program received the first byte of the correct reply. Only for replies of a service on a stream.
    pub first_byte: Option<Stamp>,
    /// The hop limit (TTL) of the packet with the correct reply. Absent if it was not measured.
    pub hop_limit: Option<u8>,
    /// If the exchange is a handshake: its packets that were sent again. Absent if the system does not report it.
    pub retransmitted: Option<Retransmitted>,
    /// The place where the exchange was lost, if it is known when its outcome is decided. Later replies can contain more
    /// evidence, so the counts of the summary are more complete.
    pub lost_where: Option<LossPlace>,
}

/// The position of an exchange among the exchanges on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPosition {
    /// The first exchange on the connection. It is often slower than the others.
    First,
    /// An exchange after the first one.
    Later,
}

/// The outcome of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The correct reply arrived in time.
    Reply {
        /// The time after the program received the last byte of the reply.
        received: Stamp,
        /// The text of the reply. Absent if the user gave no message.
        text: Option<Bytes>,
    },
    /// No complete reply arrived before the timeout.
    Lost(Failure),
    /// The reply is not the expected reply.
    Corrupt {
        /// The time after the program received the first wrong bytes.
        received: Stamp,
        /// The beginning of the received bytes.
        text: Bytes,
        /// The error in the reply.
        failure: Failure,
    },
    /// The system reported an error.
    Error(Failure),
}

impl Outcome {
    /// The outcome of a request that failed.
    pub(crate) fn failed(failure: Failure) -> Self {
        match failure.condition {
            Condition::Silent => Self::Lost(failure),
            _ => Self::Error(failure),
        }
    }

    /// The name in JSON and CSV.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::Lost(_) => "lost",
            Self::Corrupt { .. } => "corrupt",
            Self::Error(_) => "error",
        }
    }

    /// The reason why there is no correct reply. Absent for a correct reply.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Reply { .. } => None,
            Self::Lost(failure) | Self::Corrupt { failure, .. } | Self::Error(failure) => {
                Some(failure)
            }
        }
    }
}

impl Exchange {
    /// The exchange of a request that was not sent.
    pub(crate) fn not_sent(seq: u64, failure: Failure) -> Self {
        Self {
            seq,
            sent: None,
            lateness: None,
            connection_position: None,
            lost_where: LossPlace::of_unsent(&failure),
            outcome: Outcome::failed(failure),
            breakdown: None,
            first_byte: None,
            hop_limit: None,
            retransmitted: None,
        }
    }

    /// The place where the exchange was lost. Absent if it is not lost.
    #[must_use]
    pub fn loss_place(&self) -> Option<LossPlace> {
        matches!(self.outcome, Outcome::Lost(_) | Outcome::Error(_))
            .then(|| self.lost_where.unwrap_or(LossPlace::Unknown))
    }

    /// The time from `sent` to the first byte of the reply. Absent if it was not measured.
    #[must_use]
    pub fn first_byte_time(&self) -> Option<Duration> {
        Some(self.first_byte?.since(&self.sent?))
    }

    /// The round-trip time: from `sent` to `received`, measured with the monotonic clock. Absent without a
    /// correct reply.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        match (&self.outcome, self.sent) {
            (Outcome::Reply { received, .. }, Some(sent)) => Some(received.since(&sent)),
            _ => None,
        }
    }
}

/// The result of a client with a socket that is not connected. The clients of textbooks have such sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnconnectedResult {
    /// A reply, after this time.
    Reply(Duration),
    /// The system's error number (errno), and the time until the error. The number is absent if the error has none.
    Error(Option<i32>, Duration),
    /// Neither a reply nor an error within this time.
    Timeout(Duration),
}
