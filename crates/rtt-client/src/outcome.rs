//! What happened: a connection, an exchange and how it came out. All data, nothing judged.

use crate::Failure;
use bytes::Bytes;
use echo_core::Stamp;
use std::time::Duration;

/// The making of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// When the connection request was handed to the system.
    pub requested: Stamp,
    /// When the system said that the connection stands, if it ever did.
    pub established: Option<Stamp>,
}

impl Connection {
    /// How long the handshake took.
    #[must_use]
    pub fn handshake(&self) -> Option<Duration> {
        Some(self.established?.since(&self.requested))
    }
}

/// One request and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// When the request was handed to the system, if it was.
    pub sent: Option<Stamp>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The reply that it should have.
    Reply {
        /// When the system had handed over the reply's last byte.
        received: Stamp,
        /// The reply.
        text: Bytes,
    },
    /// Nothing, or not all, within the time-out.
    Lost(Failure),
    /// A reply that is not what it must be.
    Corrupt {
        /// When the system had handed over what shows that.
        received: Stamp,
        /// What came.
        text: Bytes,
        /// What is wrong with it.
        failure: Failure,
    },
    /// The system reported an error.
    Error(Failure),
}

impl Outcome {
    /// The name that scripts see.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::Lost(_) => "lost",
            Self::Corrupt { .. } => "corrupt",
            Self::Error(_) => "error",
        }
    }

    /// Why there is no proper reply, if there is none.
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
    /// The round-trip time: from handing the request to the system to having its reply, by the
    /// monotonic clock. Only a proper reply has one.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        match (&self.outcome, self.sent) {
            (Outcome::Reply { received, .. }, Some(sent)) => Some(received.since(&sent)),
            _ => None,
        }
    }
}
