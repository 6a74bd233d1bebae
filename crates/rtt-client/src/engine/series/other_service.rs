//! [`OtherService`]: the evidence that the server is another service than the expected one.

use crate::analysis::recognition::{Recognised, Silence, describe_end, recognise};
use crate::model::condition::Condition;
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::expected_server::ExpectedServer;
use crate::model::protocol::Protocol;
use std::time::Duration;

/// The observations of a series without a correct reply.
#[derive(Debug)]
pub(super) struct OtherService {
    expected: ExpectedServer,
    /// The duration of the first established connection.
    connected: Option<Duration>,
    /// The service that a wrong reply identifies.
    recognised: Option<Recognised>,
    /// Whether the timeout of a request has expired.
    is_silent: bool,
    /// Whether the server has ended a connection before its reply.
    has_ended: bool,
}

impl OtherService {
    pub(super) fn new(expected: ExpectedServer) -> Self {
        Self { expected, connected: None, recognised: None, is_silent: false, has_ended: false }
    }

    /// Adds an attempt to connect.
    pub(super) fn connection(&mut self, connection: &Connection) {
        if self.connected.is_none() && connection.is_established {
            self.connected = connection.duration();
        }
    }

    /// Adds an exchange.
    pub(super) fn exchange(&mut self, protocol: &Protocol, exchange: &Exchange) {
        match &exchange.outcome {
            Outcome::Corrupt { text, .. } if self.recognised.is_none() => {
                self.recognised = recognise(protocol, self.expected, text);
            }
            Outcome::Lost(failure) if failure.condition == Condition::Silent => {
                // With a detail, the server has sent a part of a reply, or no connection was established.
                self.is_silent |= failure.detail.is_none();
            }
            Outcome::Lost(failure) | Outcome::Error(failure)
                if matches!(failure.condition, Condition::Closed | Condition::Reset) =>
            {
                self.has_ended = true;
            }
            _ => {}
        }
    }

    /// Whether [`Self::describe`] contains the first line of a wrong reply.
    pub(super) fn shows_reply(&self) -> bool {
        self.recognised.as_ref().is_some_and(|recognised| recognised.option().is_none())
    }

    /// The advice for a series without a correct reply.
    pub(super) fn describe(&self, protocol: &Protocol, port: u16) -> Option<String> {
        match (&self.recognised, self.connected) {
            (Some(recognised), _) => Some(recognised.describe()),
            (None, Some(connected)) if self.is_silent => {
                Some(Silence::new(protocol, self.expected, port).describe(connected))
            }
            (None, Some(_)) if self.has_ended => describe_end(protocol, port),
            (None, _) => None,
        }
    }
}
