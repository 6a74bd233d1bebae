//! [`Segment`]: a part of a run with one flow of the server.

use echo_core::header::version2::FlowCounts;
use std::num::NonZeroU32;

/// A part of a run with one flow of the server: the requests after `start` up to `end`.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) flow: NonZeroU32,
    pub(super) start: Point,
    /// The reply with the highest number.
    pub(super) end: Point,
    /// The counts of the reply that the server sent last.
    pub(super) latest: FlowCounts,
    /// The number of requests with a correct reply.
    pub(super) answered: u64,
    pub(super) has_impossible_counts: bool,
}

/// A reply, and the counts at its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) number: u64,
    pub(super) counts: FlowCounts,
    /// The replies that this host's receive queue has dropped, if the system reports it with each reply.
    pub(super) receive_drops: Option<u64>,
}

impl Segment {
    /// Compares the counts of a reply with those of the reply that the server sent last. The counts of received and dropped
    /// requests never fall.
    pub(super) fn check_order(&mut self, counts: FlowCounts) {
        // The number of refusals can fall: a duplicate of a refused request can be answered.
        let values = |counts: FlowCounts| [counts.received, counts.queue_drops.unwrap_or_default()];
        let is_later = is_after(counts.sent, self.latest.sent);
        let (earlier, later) = if is_later { (self.latest, counts) } else { (counts, self.latest) };
        let falls = values(earlier)
            .into_iter()
            .zip(values(later))
            .any(|(earlier, later)| earlier != later && !is_after(later, earlier));
        self.has_impossible_counts |= falls;
        if is_later {
            self.latest = counts;
        }
    }
}

/// Whether a counter of 32 bits that wraps has the value `a` after the value `b`.
fn is_after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

/// The increase of a counter of 32 bits that wraps.
pub(super) fn difference(from: u32, to: u32) -> u64 {
    u64::from(to.wrapping_sub(from))
}
