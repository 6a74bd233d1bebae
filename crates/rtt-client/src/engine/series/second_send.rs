//! Second send: the requests without a reply on a connection that has ended. See "Second send" in the documentation of
//! [`crate::analysis::accounting`].

use super::connections::{CloseReason, LookUpTime, Ready};
use super::{Series, Sink};
use crate::engine::run::RunError;
use crate::model::condition::{Condition, Failure};
use crate::model::icmp::Origin;
use crate::net::failure::{Call, failure_from_error};
use crate::net::transport::SentRequest;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Series<'_> {
    /// Removes a channel that has ended. Its requests without a reply are sent again, or they fail.
    ///
    /// Each new connection transmits at least one request, and the sends of a request are limited. So the number of new
    /// connections is limited, too.
    pub(super) fn channel_ended(
        &mut self,
        reason: CloseReason,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let Some(ended) = self.connections.end(reason) else { return Ok(()) };
        let (condition, origin) = match reason {
            CloseReason::ByServer(condition) => (condition, Some(Origin::Peer)),
            CloseReason::Replaced | CloseReason::AddressChanged => (Condition::Silent, None),
            _ => (Condition::Closed, None),
        };
        let allows_second_send = ended.replies > 0 && ended.partial_reply_len == 0;
        for seq in self.accounting.numbers_in_flight() {
            if !allows_second_send {
                let part = self.payload.describe_part(ended.partial_reply_len);
                let detail = Some(format!("after {part}"));
                let failure = Failure { origin, detail, ..Failure::new(condition, Duration::ZERO) };
                self.request_failed(seq, failure, sink)?;
            } else if self.accounting.can_be_resent(seq) {
                self.send_again(seq, sink)?;
            } else {
                let failure = self.accounting.sends_exhausted(condition, origin);
                self.request_failed(seq, failure, sink)?;
            }
        }
        Ok(())
    }

    /// Sends request `seq` again, on a new connection.
    fn send_again(&mut self, seq: u64, sink: &mut dyn Sink) -> Result<(), RunError> {
        let result = match self.connections.ready(LookUpTime::Later) {
            Ready::Open(channel) => channel.send(seq, self.payload.request(seq), self.stop),
            Ready::Failed(failure) => return self.request_failed(seq, failure, sink),
            // The request stays in flight, so it does not count.
            Ready::Interrupted => return Ok(()),
        };
        match result {
            Ok(SentRequest { timestamp_id, .. }) => {
                self.accounting.request_resent(seq, timestamp_id);
                Ok(())
            }
            Err(_) if self.stop.load(Ordering::Relaxed) => Ok(()),
            Err(error) => {
                let failure = failure_from_error(error, Call::Send, Duration::ZERO);
                self.request_failed(seq, failure, sink)
            }
        }
    }
}
