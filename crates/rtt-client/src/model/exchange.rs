//! The records of a run: connections, exchanges and their outcomes. Data only. Pure.

use crate::model::breakdown::Breakdown;
use crate::model::condition::Failure;
use bytes::Bytes;
use echo_core::Stamp;
use std::time::Duration;

/// A connection, or the attempt to establish one.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// The time before the program called `connect`.
    pub requested: Stamp,
    /// The time when the system reported the connection as established, if it did.
    pub established: Option<Stamp>,
}

impl Connection {
    /// The duration of the handshake, if the connection was established.
    #[must_use]
    pub fn handshake(&self) -> Option<Duration> {
        Some(self.established?.since(&self.requested))
    }
}

/// One request and its outcome.
#[derive(Debug)]
pub struct Exchange {
    /// The number of the request in the run. The first request has number 1.
    pub seq: u64,
    /// The time before the program handed the request to the system, if it did.
    pub sent: Option<Stamp>,
    /// With a fixed request rate: the delay of the actual send after the intended send.
    pub lateness: Option<Duration>,
    /// The position of the exchange on its connection. Absent if the protocol has no connections.
    pub connection_position: Option<ConnectionPosition>,
    /// The outcome.
    pub outcome: Outcome,
    /// The parts of the RTT, if they were requested and could be computed.
    pub breakdown: Option<Breakdown>,
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
        /// The time after the system delivered the last byte of the reply.
        received: Stamp,
        /// The text of the reply, if the user gave the message.
        text: Option<Bytes>,
    },
    /// No complete reply arrived before the timeout.
    Lost(Failure),
    /// The reply is not the request in upper case.
    Corrupt {
        /// The time after the system delivered the bytes that show the error.
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

    /// The reason why there is no correct reply, if there is none.
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
    /// The round-trip time: from handing the request to the system until the program has the reply, by the
    /// monotonic clock. Only an exchange with a correct reply has one.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        match (&self.outcome, self.sent) {
            (Outcome::Reply { received, .. }, Some(sent)) => Some(received.since(&sent)),
            _ => None,
        }
    }
}

/// What the textbook's UDP client receives. Its socket is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnconnectedResult {
    /// A reply, after this time.
    Reply(Duration),
    /// An error of the system, with its number (errno) if it has one, after this time.
    Error(Option<i32>, Duration),
    /// Neither a reply nor an error within this time.
    Timeout(Duration),
}
