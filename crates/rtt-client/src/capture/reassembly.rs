//! One direction of a TCP connection: which bytes were seen, and what a new segment therefore is.
//!
//! # From sequence numbers to offsets
//!
//! A sequence number has 32 bits and wraps around to 0 after 4 GiB. [`ByteStream`] converts it to an offset: a 64-bit
//! position, counted from the first byte of the stream. The difference to the first sequence number gives the lower 32
//! bits of the offset. There are several offsets with these lower bits, 4 GiB apart. The one nearest to the last known
//! position is correct, as long as a segment is less than 2 GiB away from it.
//!
//! # Retransmission or reordering
//!
//! A capture does not mark retransmissions. They follow from the bytes that were seen before:
//!
//! - If all bytes of a segment were seen before, it is a retransmission.
//! - If the segment begins at or behind the furthest byte, it is new. It can leave a gap before it.
//! - Otherwise it fills a gap. There are two possible reasons. Either the network changed the order of the segments, or
//!   the original was lost before it reached the capture, and this is its retransmission. The time since the furthest
//!   byte decides: a sender needs about one round trip to detect a loss, and reordering is faster. This is the rule of
//!   Wireshark.

use std::collections::BTreeMap;
use std::time::Duration;

/// The maximum number of byte ranges that are remembered behind a gap.
const MAX_RANGES: usize = 10_000;

/// The number of bytes after which sequence numbers repeat: 4 GiB.
const SEQUENCE_SPACE: u64 = 1 << 32;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct ByteStream {
    /// The sequence number of the first byte.
    first_sequence: Option<u32>,
    /// The offset up to which all bytes were seen.
    contiguous_end: u64,
    /// Ranges of bytes that were seen behind a gap: start -> end.
    ranges_behind_gap: BTreeMap<u64, u64>,
    /// When the furthest byte was seen.
    furthest_time: Duration,
}

/// A segment with data or with a FIN.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) sequence: u32,
    /// The number of bytes. A FIN counts as one byte (RFC 9293, section 3.4).
    pub(super) length: u64,
    pub(super) time: Duration,
    /// A segment that fills a gap within this time after the furthest byte is out of order. A later one is a
    /// retransmission.
    pub(super) reordering_window: Duration,
}

/// The position of a segment in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    /// The offset of the first byte.
    pub(super) start: u64,
    pub(super) arrival: Arrival,
}

/// What a segment is, judged by the bytes that were seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    /// All bytes were seen before: a retransmission.
    SeenBefore,
    /// Fills a gap within the reordering window.
    OutOfOrder,
    /// Fills a gap after the reordering window: a retransmission of bytes that the capture never saw.
    FillsLoss,
}

impl ByteStream {
    /// Starts the stream with the sequence number of a SYN. The first byte has the next number. Returns whether an
    /// earlier SYN had already started it.
    pub(super) fn start(&mut self, syn_sequence: u32) -> bool {
        self.first_sequence.replace(syn_sequence.wrapping_add(1)).is_some()
    }

    /// Whether the stream was started by a SYN with another sequence number.
    pub(super) fn started_with_other(&self, syn_sequence: u32) -> bool {
        self.first_sequence.is_some_and(|first| first != syn_sequence.wrapping_add(1))
    }

    /// The offset up to which all bytes were seen.
    pub(super) fn contiguous_end(&self) -> u64 {
        self.contiguous_end
    }

    /// Adds a segment to the bytes that were seen.
    pub(super) fn add(&mut self, segment: Segment) -> Placement {
        let start = self.offset(segment.sequence);
        let end = start + segment.length;
        if self.has_seen(start, end) {
            return Placement { start, arrival: Arrival::SeenBefore };
        }
        let arrival = if start >= self.furthest_end() {
            self.furthest_time = segment.time;
            Arrival::New
        } else if segment.time.saturating_sub(self.furthest_time) <= segment.reordering_window {
            Arrival::OutOfOrder
        } else {
            Arrival::FillsLoss
        };
        self.remember(start, end);
        Placement { start, arrival }
    }

    /// The offset of a sequence number: the candidate nearest to the contiguous end.
    fn offset(&mut self, sequence: u32) -> u64 {
        let first = *self.first_sequence.get_or_insert(sequence);
        let lower_bits = u64::from(sequence.wrapping_sub(first));
        let base = self.contiguous_end - self.contiguous_end % SEQUENCE_SPACE;
        let bases =
            [base.checked_sub(SEQUENCE_SPACE), Some(base), base.checked_add(SEQUENCE_SPACE)];
        bases
            .into_iter()
            .flatten()
            .map(|base| base + lower_bits)
            .min_by_key(|offset| offset.abs_diff(self.contiguous_end))
            .unwrap_or(lower_bits)
    }

    fn has_seen(&self, start: u64, end: u64) -> bool {
        let range_before = self.ranges_behind_gap.range(..=start).next_back();
        end <= self.contiguous_end || range_before.is_some_and(|(_, seen_end)| end <= *seen_end)
    }

    fn furthest_end(&self) -> u64 {
        let last = self.ranges_behind_gap.last_key_value();
        last.map_or(self.contiguous_end, |(_, end)| self.contiguous_end.max(*end))
    }

    /// Remembers a range, then moves the contiguous end over all ranges that it reaches.
    fn remember(&mut self, start: u64, end: u64) {
        if self.ranges_behind_gap.len() < MAX_RANGES {
            let known_end = self.ranges_behind_gap.entry(start).or_insert(end);
            *known_end = (*known_end).max(end);
        }
        while let Some(range) = self.ranges_behind_gap.first_entry() {
            if *range.key() > self.contiguous_end {
                break;
            }
            self.contiguous_end = self.contiguous_end.max(range.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(3);

    fn add(stream: &mut ByteStream, sequence: u32, length: u64, time_ms: u64) -> Arrival {
        let time = Duration::from_millis(time_ms);
        stream.add(Segment { sequence, length, time, reordering_window: WINDOW }).arrival
    }

    #[test]
    fn bytes_that_were_seen_before_are_a_retransmission() {
        let mut stream = ByteStream::default();
        stream.start(100);
        assert_eq!(add(&mut stream, 101, 10, 0), Arrival::New);
        assert_eq!(add(&mut stream, 111, 10, 1), Arrival::New);
        assert_eq!(add(&mut stream, 101, 10, 2), Arrival::SeenBefore);
        assert_eq!(add(&mut stream, 105, 16, 2), Arrival::SeenBefore);
        assert_eq!(stream.contiguous_end(), 20);
    }

    #[test]
    fn time_decides_between_reordering_and_retransmission_after_a_loss() {
        for (time_ms, expected) in [(13, Arrival::OutOfOrder), (14, Arrival::FillsLoss)] {
            let mut stream = ByteStream::default();
            stream.start(100);
            assert_eq!(add(&mut stream, 111, 10, 10), Arrival::New);
            assert_eq!(stream.contiguous_end(), 0);
            assert_eq!(add(&mut stream, 101, 10, time_ms), expected);
            assert_eq!(stream.contiguous_end(), 20);
        }
    }

    #[test]
    fn offsets_continue_after_the_sequence_number_wraps_around() {
        let mut stream = ByteStream::default();
        stream.start(u32::MAX - 5);
        assert_eq!(add(&mut stream, u32::MAX - 4, 10, 0), Arrival::New);
        assert_eq!(add(&mut stream, 5, 10, 1), Arrival::New);
        assert_eq!(stream.contiguous_end(), 20);
        assert_eq!(add(&mut stream, u32::MAX - 4, 10, 2), Arrival::SeenBefore);
    }
}
