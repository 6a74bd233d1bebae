//! Second send: after the end of a connection, the client sends its requests again on a new one, a limited number of
//! times.

use super::Accounting;
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::model::icmp::Origin;
use std::time::Duration;

/// The maximum number of sends of one request. Without this limit, a server that closes each connection after one reply
/// causes a number of sends that grows with the square of the requests in flight.
///
/// Usually a second send is enough: after the restart of a server, the client sends all requests in flight again. A
/// server with a reply limit answers at least one request on each connection. So all requests have a reply if at most
/// this number of requests is in flight.
pub(crate) const MAX_SENDS: u8 = 4;

impl Accounting {
    /// Whether request `seq` can be sent again.
    pub(crate) fn can_be_resent(&mut self, seq: u64) -> bool {
        self.tracker.find(seq).is_some_and(|request| request.sends < MAX_SENDS)
    }

    /// Records that a request in flight was sent again, on another connection.
    pub(crate) fn request_resent(&mut self, seq: u64, timestamp_id: TimestampId) {
        self.summary.resent += 1;
        self.tracker.resend(seq, timestamp_id);
    }

    /// Counts a request that is lost after [`MAX_SENDS`] sends, and returns its failure. Its last connection ended with
    /// `condition`.
    pub(crate) fn sends_exhausted(
        &mut self,
        condition: Condition,
        origin: Option<Origin>,
    ) -> Failure {
        self.summary.not_resent += 1;
        let detail =
            format!("sent {MAX_SENDS} times; each time, the connection ended before the reply");
        Failure { origin, detail: Some(detail), ..Failure::new(condition, Duration::ZERO) }
    }
}
