//! What happened: a connection, an exchange and how it came out. All data, nothing judged.

use crate::model::breakdown::Breakdown;
use crate::model::condition::Failure;
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
    /// On a schedule: how long after the intended time that was.
    pub lateness: Option<Duration>,
    /// On a connection: whether it was the first exchange there.
    pub first_on_connection: Option<bool>,
    /// What came of it.
    pub outcome: Outcome,
    /// The RTT's parts, where they were asked for and could be told.
    pub breakdown: Option<Breakdown>,
}

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The reply that it should have.
    Reply {
        /// When the system had handed over the reply's last byte.
        received: Stamp,
        /// The reply's text, for a message of the user's.
        text: Option<Bytes>,
    },
    /// Nothing, or not all, within the time-out.
    Lost(Failure),
    /// A reply that is not what it must be.
    Corrupt {
        /// When the system had handed over what shows that.
        received: Stamp,
        /// The beginning of what came.
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

/// What the textbook's client sees, whose socket is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnconnectedResult {
    /// A reply, after so long.
    Reply(Duration),
    /// An error of the system's, with its number, after so long.
    Error(Option<i32>, Duration),
    /// Nothing in that time.
    Timeout(Duration),
}
