//! [`LossAttribution`]: finds out where exchanges were lost, from the counts of the server and of this host.
//!
//! # Evidence
//!
//! Each reply to request n of a flow contains the server's counts at that time (`docs/protocol.md`): requests received (r),
//! requests refused (f), and datagrams that the server's receive queue dropped (q). This host has its own counts: requests
//! sent up to n (m), requests with a reply (g), and replies that the receive queue of its socket dropped (c). A part of a run
//! with one flow is a [`Segment`]. Its counts divide the lost exchanges:
//!
//! | place | number |
//! |---|---|
//! | the request did not reach the server's program | m − r, of which `min(m − r, q)` in the server's receive queue, and the others on the way there |
//! | the server refused the request | f |
//! | the reply did not reach this program | r − f − g, of which `min(r − f − g, c)` in this host's receive queue, and the others on the way back |
//!
//! The server counts a request that the network has duplicated once, so duplicates do not change the result.
//!
//! # Uncertain and impossible counts
//!
//! - All peers of a server's socket share its receive queue. If q > m − r, other peers have lost requests too. The numbers
//!   for the receive queue and for the way there are then known only as a range. The same is true if the server reports that
//!   q can contain datagrams of other peers or datagrams with a wrong checksum, or if its system does not report q.
//! - The server cannot recognise duplicates of very old requests, and does not count such requests. The segment then has no
//!   evidence.
//! - After the last reply of a flow, there is no evidence.
//! - A count that falls, and a number that would be negative, are impossible. The segment then has no evidence.
//!
//! Lost exchanges without evidence have an unknown place. A late reply is not lost at any place, but its exchange counts as
//! lost. So its place is unknown, too.

mod counts;
mod segment;

pub use counts::{LossCounts, LossRange};

use super::number_set::NumberSet;
use crate::model::loss_place::{LossPlace, LossReason};
use crate::model::receive_queue::ReceiveDrops;
use echo_core::header::version2::FlowCounts;
use segment::{Point, Segment, difference};
use std::collections::VecDeque;

/// The maximum number of segments. A new segment starts if the server starts its counts again. Requests after the last
/// segment have no evidence.
const MAX_SEGMENTS: usize = 256;

/// The maximum number of gaps in the sequence of replies that are stored, for the place of a single exchange.
const MAX_GAPS: usize = 4096;

/// The evidence of a run about lost exchanges.
#[derive(Debug, Default)]
pub(crate) struct LossAttribution {
    lost: u64,
    /// Lost exchanges with a late reply.
    late: u64,
    /// The highest number of a request so far.
    highest: u64,
    /// Requests with a corrupt reply, or with a reply from another address. Such a reply contains no counts.
    corrupt: NumberSet,
    /// Requests that this host did not send. The server's counts do not contain them.
    not_sent: NumberSet,
    /// Requests with an error of the network. They were sent, but they did not reach the server.
    failed: NumberSet,
    /// The places of the lost exchanges that are known from an error.
    known: LossCounts,
    segments: Vec<Segment>,
    /// The number of the first request on the current channel.
    channel_start: u64,
    gaps: VecDeque<Gap>,
}

/// Requests without a reply between two replies of one segment.
#[derive(Debug)]
struct Gap {
    from: Point,
    to: Point,
    /// The number of replies that arrived later.
    answered: u64,
}

impl LossAttribution {
    /// A channel was opened. The server counts its requests as a new flow, from request `number` on.
    pub(crate) fn channel_opened(&mut self, number: u64) {
        self.channel_start = number;
    }

    /// This host did not send a request. `place` is the place of the loss, and `reason` its reason, if the error shows them.
    pub(crate) fn not_sent(
        &mut self,
        number: u64,
        place: Option<LossPlace>,
        reason: Option<LossReason>,
    ) {
        self.lost += 1;
        self.highest = self.highest.max(number);
        self.not_sent.add(number);
        self.known.add_one(place, reason);
    }

    /// There is an error about a request that was sent. `place` is the place of the loss, and `reason` its reason, if the
    /// error shows them.
    pub(crate) fn failed(
        &mut self,
        number: u64,
        place: Option<LossPlace>,
        reason: Option<LossReason>,
    ) {
        self.lost += 1;
        self.highest = self.highest.max(number);
        if place == Some(LossPlace::SendQueue) {
            self.not_sent.add(number);
        } else {
            self.failed.add(number);
        }
        self.known.add_one(place, reason);
    }

    /// The timeout of a request has expired. Returns the place of the loss, if the replies so far show it.
    pub(crate) fn expired(&mut self, number: u64) -> Option<LossPlace> {
        self.lost += 1;
        self.highest = self.highest.max(number);
        self.place_of(number)
    }

    /// The place where a lost request was lost, if the replies so far show it.
    pub(crate) fn place_of(&self, number: u64) -> Option<LossPlace> {
        let gap = self.gap_index(number)?;
        self.place_of_gap(&self.gaps[gap])
    }

    /// The timeout of a request has expired. A reply has arrived from another address, and the client does not use it. So the
    /// reply was not lost on the way.
    pub(crate) fn answered_by_other_address(&mut self, number: u64) {
        self.lost += 1;
        self.corrupt(number);
    }

    /// A reply to a lost request has arrived.
    pub(crate) fn late(&mut self) {
        self.late += 1;
    }

    /// The first reply to a request has arrived, but it is corrupt.
    pub(crate) fn corrupt(&mut self, number: u64) {
        self.highest = self.highest.max(number);
        self.corrupt.add(number);
    }

    /// The first reply to a request has arrived, in time or late. `receive_drops` is the number of replies that this host's
    /// receive queue had dropped when the reply arrived, if the system reports it.
    pub(crate) fn answered(&mut self, number: u64, counts: FlowCounts, receive_drops: Option<u64>) {
        self.highest = self.highest.max(number);
        let point = Point { number, counts, receive_drops };
        let known = self.segments.iter().rposition(|segment| segment.flow == counts.id);
        let Some(index) = known else {
            self.start_segment(point);
            return;
        };
        let segment = &mut self.segments[index];
        if number <= segment.start.number {
            return;
        }
        segment.answered += 1;
        segment.check_order(counts);
        if number > segment.end.number {
            let gap = Gap { from: segment.end, to: point, answered: 0 };
            segment.end = point;
            self.add_gap(gap);
        } else if let Some(index) = self.gap_index(number) {
            self.gaps[index].answered += 1;
        }
    }

    /// Whether a reply with counts has arrived.
    pub(crate) fn has_counts(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Whether exchanges were lost after the last reply with counts. The reply to one more request would contain their
    /// evidence.
    pub(crate) fn has_tail(&self) -> bool {
        let last = self.segments.last().filter(|segment| segment.end.number < self.highest);
        last.is_some() && self.segments.len() < MAX_SEGMENTS
    }

    /// The result. `receive_drops` is the number of replies that this host's receive queue has dropped in the whole run, if
    /// it is known.
    pub(crate) fn finish(self, receive_drops: Option<ReceiveDrops>) -> LossCounts {
        let uncertain = receive_drops.map_or(0, |drops| drops.with_wrong_checksum);
        let receive_drops = receive_drops.map(|drops| drops.total);
        let mut result = self.known.clone();
        let mut drops_in_segments = 0;
        let last = self.segments.len().saturating_sub(1);
        for (index, segment) in self.segments.iter().enumerate() {
            let start_drops = segment.start.receive_drops.unwrap_or(0);
            // If the system does not report the drops with each reply, all drops can be in the last segment.
            let total = if index == last { receive_drops } else { None };
            let end_drops = segment.end.receive_drops.or(total).unwrap_or(start_drops);
            let drops = end_drops.saturating_sub(start_drops);
            let Some(losses) = self.losses(segment, drops) else { continue };
            if result.total() + losses.total() > self.lost {
                continue;
            }
            drops_in_segments += losses.at(LossPlace::ReceiveQueue);
            result.add_all(&losses);
        }
        // Losses without evidence of the server. The drops of this host's receive queue are known nevertheless.
        let rest = self.lost.saturating_sub(result.total());
        let without_late = rest.saturating_sub(self.late);
        let drops = receive_drops.unwrap_or(0).saturating_sub(drops_in_segments).min(without_late);
        result.add(LossPlace::ReceiveQueue, drops);
        result.add(LossPlace::Unknown, rest - drops);
        // The kernel also counts replies with a wrong checksum as drops of the queue.
        let uncertain = uncertain.min(result.at(LossPlace::ReceiveQueue));
        if uncertain > 0 {
            result.make_unknown(LossPlace::ReceiveQueue, uncertain);
            let range = LossRange { low: 0, high: uncertain };
            result.add_range(LossPlace::Back, range);
            result.add_range(LossPlace::ReceiveQueue, range);
        }
        result.complete_ranges();
        result
    }

    /// The losses in a segment without those that an error has shown. `None` if its counts are impossible.
    fn losses(&self, segment: &Segment, receive_drops: u64) -> Option<LossCounts> {
        if segment.has_impossible_counts || segment.latest.has_uncounted_requests {
            return None;
        }
        let (start, end) = (segment.start.number, segment.end.number);
        let corrupt = self.corrupt.count_between(start, end)?;
        let to = Point { counts: segment.latest, ..segment.end };
        let Losses { before_server, refused, after_server } =
            self.differences(segment.start, to, segment.answered + corrupt)?;
        // A request after the last answered one can have overtaken others. The server has then received more requests than
        // this host had sent up to there.
        let overtaking = signed(self.sent_between(end, self.highest)?);
        if before_server < -overtaking {
            return None;
        }
        let before_server = u64::try_from(before_server.max(0)).ok()?;
        let after_server = u64::try_from(after_server).ok()?;
        let FlowCounts { refused_rate, refused_list, queue_drops, .. } = segment.latest;
        let failed = self.failed.count_between(start, end)?;
        let before_server = before_server.checked_sub(failed)?;
        let mut losses = LossCounts::default();
        losses.refused_rate = difference(segment.start.counts.refused_rate, refused_rate);
        losses.refused_list = difference(segment.start.counts.refused_list, refused_list);
        let queue_drops = queue_drops
            .map(|drops| difference(segment.start.counts.queue_drops.unwrap_or(0), drops));
        // The number of losses that can be in either of the two places.
        let uncertain = match queue_drops {
            Some(drops) if drops <= before_server && !segment.latest.has_foreign_drops => 0,
            Some(drops) => drops.min(before_server),
            None => before_server,
        };
        if uncertain == 0 {
            let drops = queue_drops.unwrap_or(0);
            losses.add(LossPlace::ServerQueue, drops);
            losses.add(LossPlace::There, before_server - drops);
        } else {
            losses.add(LossPlace::Unknown, uncertain);
            losses.add(LossPlace::There, before_server - uncertain);
            let range = LossRange { low: 0, high: uncertain };
            losses.add_range(LossPlace::There, range);
            losses.add_range(LossPlace::ServerQueue, range);
        }
        losses.add(LossPlace::ServerLimit, refused);
        let dropped = receive_drops.min(after_server);
        losses.add(LossPlace::ReceiveQueue, dropped);
        losses.add(LossPlace::Back, after_server - dropped);
        Some(losses)
    }

    /// The differences between the counts of two points. `answered` is the number of replies after `from` up to `to`.
    fn differences(&self, from: Point, to: Point, answered: u64) -> Option<Losses> {
        let sent = self.sent_between(from.number, to.number)?;
        let received = difference(from.counts.received, to.counts.received);
        let refused = difference(from.counts.refused_rate, to.counts.refused_rate)
            + difference(from.counts.refused_list, to.counts.refused_list);
        Some(Losses {
            before_server: signed(sent) - signed(received),
            refused,
            after_server: signed(received) - signed(refused) - signed(answered),
        })
    }

    /// The number of requests after number `from`, up to number `to`, that this host sent.
    fn sent_between(&self, from: u64, to: u64) -> Option<u64> {
        to.checked_sub(from)?.checked_sub(self.not_sent.count_between(from, to)?)
    }

    /// The index of the gap that contains this number.
    fn gap_index(&self, number: u64) -> Option<usize> {
        let after = self.gaps.partition_point(|gap| gap.from.number < number);
        let index = after.checked_sub(1)?;
        (number < self.gaps[index].to.number).then_some(index)
    }

    fn start_segment(&mut self, point: Point) {
        if self.segments.len() == MAX_SEGMENTS {
            return;
        }
        let previous_end = self.segments.last().map_or(0, |segment| segment.end.number);
        // The flow started with the channel, so its counts start at 0. Otherwise the server has started its counts again at an
        // unknown time, and only the counts after this reply are evidence.
        let starts_with_channel = self.channel_start > previous_end || self.segments.is_empty();
        let start = if starts_with_channel {
            let number = self.channel_start.saturating_sub(1).min(point.number);
            let counts = FlowCounts { id: point.counts.id, ..FlowCounts::default() };
            Point { number, counts, receive_drops: Some(0) }
        } else {
            point
        };
        self.segments.push(Segment {
            flow: point.counts.id,
            start,
            end: point,
            latest: point.counts,
            answered: u64::from(starts_with_channel),
            has_impossible_counts: false,
        });
        if starts_with_channel {
            self.add_gap(Gap { from: start, to: point, answered: 0 });
        }
    }

    /// Stores a gap if it contains requests.
    fn add_gap(&mut self, gap: Gap) {
        if gap.to.number - gap.from.number <= 1 {
            return;
        }
        if self.gaps.len() == MAX_GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
    }

    /// The place of all losses in a gap, if they have the same place.
    fn place_of_gap(&self, gap: &Gap) -> Option<LossPlace> {
        let Losses { before_server, refused, after_server } =
            self.differences(gap.from, gap.to, gap.answered + 1)?;
        if gap.to.counts.has_uncounted_requests {
            return None;
        }
        let is_own = !gap.to.counts.has_foreign_drops;
        let queue_drops = gap
            .to
            .counts
            .queue_drops
            .map(|drops| signed(difference(gap.from.counts.queue_drops.unwrap_or(0), drops)));
        let drops = gap.from.receive_drops.zip(gap.to.receive_drops);
        let receive_drops = drops.map_or(0, |(from, to)| signed(to.saturating_sub(from)));
        match (before_server, refused, after_server) {
            (1.., 0, 0) if queue_drops == Some(0) => Some(LossPlace::There),
            (1.., 0, 0) if is_own && queue_drops == Some(before_server) => {
                Some(LossPlace::ServerQueue)
            }
            (0, 1.., 0) => Some(LossPlace::ServerLimit),
            (0, 0, 1..) if receive_drops == 0 => Some(LossPlace::Back),
            (0, 0, 1..) if receive_drops == after_server => Some(LossPlace::ReceiveQueue),
            _ => None,
        }
    }
}

/// The differences between the counts of this host and of the server. Impossible counts make them negative.
struct Losses {
    /// Requests that the server's program did not receive.
    before_server: i64,
    refused: u64,
    /// Answered requests without a reply.
    after_server: i64,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
