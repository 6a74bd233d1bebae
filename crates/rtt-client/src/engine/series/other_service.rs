//! [`OtherService`]: the evidence that the server is another service than the expected one.

use crate::analysis::recognition::{Recognised, describe_silence, recognise};
use crate::model::condition::Condition;
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::protocol::Protocol;
use std::time::Duration;

/// The observations of a series without a correct reply.
#[derive(Debug, Default)]
pub(super) struct OtherService {
    /// The duration of the first established connection.
    connected: Option<Duration>,
    /// The service that a wrong reply identifies.
    recognised: Option<Recognised>,
    /// Whether the timeout of a request has expired.
    is_silent: bool,
}

impl OtherService {
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
                self.recognised = recognise(protocol, text);
            }
            Outcome::Lost(failure) if failure.condition == Condition::Silent => {
                // With a detail, the server has sent a part of a reply, or no connection was established.
                self.is_silent |= failure.detail.is_none();
            }
            _ => {}
        }
    }

    /// The advice for a series without a correct reply.
    pub(super) fn describe(&self, protocol: &Protocol, port: u16) -> Option<String> {
        match (self.recognised, self.connected) {
            (Some(recognised), _) => Some(recognised.describe()),
            (None, Some(connected)) if self.is_silent => {
                Some(describe_silence(protocol, port, connected))
            }
            (None, _) => None,
        }
    }
}
