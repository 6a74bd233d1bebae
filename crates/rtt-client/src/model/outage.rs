//! [`Outage`]: a period without correct replies.

use crate::model::condition::Condition;
use echo_core::Stamp;
use std::time::Duration;

/// A period in which no request had a correct reply, with evidence for more than a random loss.
#[derive(Debug, Clone)]
pub struct Outage {
    /// The time at which the client sent the first request without a correct reply, or tried to send it.
    pub from: Stamp,
    /// The send time of the first request after the outage, which had a correct reply. Absent if the outage lasts until
    /// the end of the run.
    pub to: Option<Stamp>,
    /// From `from` to `to`, or to the end of the run.
    pub duration: Duration,
    /// The number of requests without a correct reply.
    pub requests: u64,
    /// The reasons for the missing replies, each once, in the order of the requests.
    pub conditions: Vec<Condition>,
}
