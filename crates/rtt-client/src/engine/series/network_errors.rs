//! The errors that the network and the system report while a [`Series`] waits for messages.

use super::connections::CloseReason;
use super::{Series, Sink};
use crate::engine::channel::{Channel, QuotedRequest};
use crate::engine::run::RunError;
use crate::model::condition::Verification;
use crate::model::icmp::Origin;
use crate::net::failure::{Call, failure_from_error, failure_from_icmp};
use std::io;
use std::time::{Duration, Instant};

impl Series<'_> {
    /// Processes the error of a wait for a message.
    pub(super) fn receive_failed(
        &mut self,
        error: io::Error,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        if self.protocol.has_connections() {
            let failure = failure_from_error(error, Call::Receive, Duration::ZERO);
            return self.channel_ended(CloseReason::ByServer(failure.condition), sink);
        }
        if self.process_network_errors() {
            return Ok(());
        }
        let failure = failure_from_error(error, Call::Receive, Duration::ZERO);
        // The error does not contain the number of its request.
        let Some(seq) = self.accounting.request_of_unassigned_error() else { return Ok(()) };
        if failure.origin == Some(Origin::ThisHost) {
            return self.request_failed(seq, failure, sink);
        }
        let now = Instant::now();
        self.accounting.error_reported(seq, failure, Verification::Unverified, now);
        Ok(())
    }

    /// Processes the errors that the network has reported. Each error is assigned to the request that it quotes. An
    /// error that quotes no request number is assigned to the oldest request in flight without such an error. An error with
    /// a false quotation is a stray packet. Returns whether there was an error.
    pub(super) fn process_network_errors(&mut self) -> bool {
        let Some(channel) = self.connections.channel() else { return false };
        let errors = channel.network_errors();
        let now = Instant::now();
        for error in &errors {
            let (seq, verification) = match Channel::request_of(error, &mut self.payload) {
                QuotedRequest::Number(seq, verification) => (Some(seq), verification),
                // Only a message without a number can be verified without a number. It is the only request.
                QuotedRequest::Unknown(Verification::Verified) => {
                    (self.accounting.only_in_flight(), Verification::Verified)
                }
                // A router can quote only the first 8 bytes after the IP header (RFC 792).
                QuotedRequest::Unknown(Verification::Unverified) => {
                    (self.accounting.request_of_unassigned_error(), Verification::Unverified)
                }
                QuotedRequest::Contradictory => {
                    self.accounting.stray_received();
                    continue;
                }
            };
            let Some(failure) = failure_from_icmp(error, Duration::ZERO) else { continue };
            let Some(seq) = seq else { continue };
            self.accounting.error_reported(seq, failure, verification, now);
        }
        !errors.is_empty()
    }
}
