//! One direction of a connection with sequence numbers: which bytes the capture contains, and whether a segment repeats them.
//!
//! # From sequence numbers to offsets
//!
//! A sequence number has 32 bits and wraps around to 0 after 4 GiB. [`ByteStream`] converts it to an
//! offset, a 64-bit position. The first byte of the stream has offset 0. The difference between the sequence
//! number and the first sequence number gives the lower 32 bits of the offset.
//!
//! Several offsets have the same lower 32 bits. Their distance is 4 GiB. The correct offset is the one that is
//! nearest to the first gap, if the segment is less than 2 GiB away from this gap.
//!
//! # Retransmission or reordering
//!
//! The role of a segment depends on the bytes that were captured before:
//!
//! - If all bytes of the segment were captured before, it is a retransmission.
//! - If the segment begins after the highest captured offset, it is new. There can be a gap before it.
//! - Every other segment is treated as one that fills a gap. There are two possible causes. Either the network
//!   changed the order of the segments, or the segment is a retransmission, and the capture does not contain the
//!   first transmission.
//!
//! The time since the segment with the highest offset separates the two causes. A sender needs about one round
//! trip to detect a loss, and reordering takes less time. Wireshark uses a similar rule.

use std::collections::BTreeMap;
use std::time::Duration;

/// The maximum number of stored byte ranges after the first gap. The limit bounds the memory.
const MAX_RANGES: usize = 10_000;

/// The number of bytes after which sequence numbers repeat: 4 GiB.
const SEQUENCE_SPACE: u64 = 1 << 32;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct ByteStream {
    /// The sequence number of the first byte.
    first_sequence: Option<u32>,
    /// The offset of the first gap, or of the end. All bytes before this offset were captured.
    contiguous_end: u64,
    /// The ranges of captured bytes after the first gap: start -> end.
    ranges_after_gap: BTreeMap<u64, u64>,
    /// The time of the segment with the highest offset.
    highest_time: Duration,
}

/// A segment with data or with a FIN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    /// The number of bytes. A FIN counts as one byte (RFC 9293, section 3.4).
    pub(crate) length: u64,
    pub(crate) time: Duration,
    /// The maximum time between the segment with the highest offset and a segment that is out of order. After
    /// this time, a segment that fills a gap is a retransmission.
    pub(crate) reordering_window: Duration,
}

/// The position of a segment in the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement {
    /// The offset of the first byte.
    pub(crate) start: u64,
    pub(crate) arrival: Arrival,
}

/// The relation between a segment and the bytes that were captured before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The segment begins after the highest captured offset.
    New,
    /// All bytes were captured before: a retransmission.
    Repeated,
    /// The segment fills a gap within the reordering window.
    OutOfOrder,
    /// The segment fills a gap after the reordering window. It is a retransmission, and the capture does not
    /// contain the first transmission.
    FillsLoss,
}

impl ByteStream {
    /// Starts the stream with the sequence number of a SYN. The first byte has the next number. Returns
    /// whether an earlier segment has already started the stream.
    pub(crate) fn start(&mut self, syn_sequence: u32) -> bool {
        self.first_sequence.replace(syn_sequence.wrapping_add(1)).is_some()
    }

    /// Whether the stream has already started with another sequence number than this SYN.
    pub(crate) fn has_other_start(&self, syn_sequence: u32) -> bool {
        self.first_sequence.is_some_and(|first| first != syn_sequence.wrapping_add(1))
    }

    /// The offset of the first gap, or of the end. All bytes before this offset were captured.
    pub(crate) fn contiguous_end(&self) -> u64 {
        self.contiguous_end
    }

    /// Adds the bytes of a segment.
    pub(crate) fn add(&mut self, segment: Segment) -> Placement {
        let start = self.offset(segment.sequence);
        let end = start + segment.length;
        if self.contains(start, end) {
            return Placement { start, arrival: Arrival::Repeated };
        }
        let arrival = if start >= self.highest_end() {
            self.highest_time = segment.time;
            Arrival::New
        } else if segment.time.saturating_sub(self.highest_time) <= segment.reordering_window {
            Arrival::OutOfOrder
        } else {
            Arrival::FillsLoss
        };
        self.add_range(start, end);
        Placement { start, arrival }
    }

    /// Converts a sequence number to an offset. Of all possible offsets, the result is the one nearest to the first
    /// gap.
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

    fn contains(&self, start: u64, end: u64) -> bool {
        let range_before = self.ranges_after_gap.range(..=start).next_back();
        end <= self.contiguous_end || range_before.is_some_and(|(_, range_end)| end <= *range_end)
    }

    /// The highest captured offset, plus 1.
    fn highest_end(&self) -> u64 {
        let last = self.ranges_after_gap.last_key_value();
        last.map_or(self.contiguous_end, |(_, end)| self.contiguous_end.max(*end))
    }

    /// Adds a range. If the range begins at the first gap, the contiguous part becomes longer.
    fn add_range(&mut self, start: u64, end: u64) {
        if self.ranges_after_gap.len() < MAX_RANGES {
            let known_end = self.ranges_after_gap.entry(start).or_insert(end);
            *known_end = (*known_end).max(end);
        }
        while let Some(range) = self.ranges_after_gap.first_entry() {
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
    fn repeated_bytes_are_a_retransmission() {
        let mut stream = ByteStream::default();
        stream.start(100);
        assert_eq!(add(&mut stream, 101, 10, 0), Arrival::New);
        assert_eq!(add(&mut stream, 111, 10, 1), Arrival::New);
        assert_eq!(add(&mut stream, 101, 10, 2), Arrival::Repeated);
        assert_eq!(add(&mut stream, 105, 16, 2), Arrival::Repeated);
        assert_eq!(stream.contiguous_end(), 20);
    }

    #[test]
    fn segment_that_fills_a_gap_late_is_a_retransmission() {
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
    fn offsets_continue_after_sequence_numbers_wrap_around() {
        let mut stream = ByteStream::default();
        stream.start(u32::MAX - 5);
        assert_eq!(add(&mut stream, u32::MAX - 4, 10, 0), Arrival::New);
        assert_eq!(add(&mut stream, 5, 10, 1), Arrival::New);
        assert_eq!(stream.contiguous_end(), 20);
        assert_eq!(add(&mut stream, u32::MAX - 4, 10, 2), Arrival::Repeated);
    }
}
