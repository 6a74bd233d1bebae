//! The parts of the RTT of an exchange with a correct reply.

use super::{Accounting, ReceivedReply};
use crate::analysis::request_tracker::InFlight;
use crate::model::breakdown::{self, Breakdown, BreakdownError, ExchangeTimestamps};
use crate::plan::payload::Mismatch;
use std::time::SystemTime;

impl Accounting {
    /// Splits the RTT into its parts, if the plan requests this.
    pub(super) fn split(
        &mut self,
        request: &InFlight,
        reply: &ReceivedReply,
        transmitted: Option<SystemTime>,
    ) -> Result<Option<Breakdown>, Mismatch> {
        if reply.has_impossible_report(request.sent) {
            return Err(Mismatch::ImpossibleServerTime);
        }
        if !self.breakdown {
            return Ok(None);
        }
        let timestamps = ExchangeTimestamps {
            sent: request.sent,
            transmitted,
            arrived: reply.timestamp,
            received: reply.received,
        };
        match breakdown::split(timestamps, reply.report.timing(), self.responder) {
            Ok(breakdown) => Ok(Some(breakdown)),
            Err(BreakdownError::ImpossibleServerTime) => Err(Mismatch::ImpossibleServerTime),
            Err(BreakdownError::ArrivedBeforeRequest) => Err(Mismatch::ArrivedBeforeRequest),
            Err(BreakdownError::MissingTimestamp | BreakdownError::ClockWasSet) => {
                self.summary.without_breakdown += 1;
                Ok(None)
            }
        }
    }
}
