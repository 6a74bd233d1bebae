//! One direction of a connection with sequence numbers: which bytes the capture contains, and whether a segment repeats them.
//!
//! # From sequence numbers to offsets
//!
//! A sequence number has 32 bits and wraps around to 0 after 4 GiB. [`ByteStream`] converts it to an
//! offset, a 64-bit position. The first byte of the stream has offset 0. The difference between the sequence
//! number and the first sequence number gives the lower 32 bits of the offset.
//!
//! Several offsets have the same lower 32 bits. Their distance is 4 GiB. The correct offset is the one that is
//! nearest to the reference, if the segment is less than 2 GiB away from it. The reference is the first gap in the
//! capture, or the last byte that the receiver has acknowledged. A capture can lose a packet that the receiver gets.
//! Then the first gap does not move, but the end of the acknowledged bytes does.
//!
//! An offset below 0 is before the first byte. For example, a keep-alive repeats the byte before the next one.
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

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct ByteStream {
    /// The sequence number of the first byte.
    first_sequence: Option<u32>,
    /// The offset of the first gap, or of the end. All bytes before this offset were captured.
    contiguous_end: u64,
    /// The ranges of captured bytes after the first gap: start -> end. There is a gap between two ranges.
    ranges_after_gap: BTreeMap<u64, u64>,
    /// The number of bytes that the receiver has acknowledged, but at most up to the highest captured offset.
    acknowledged: u64,
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
    /// Starts the stream with the sequence number of a SYN. The first byte has the next number. If an earlier segment
    /// has already started the stream, the function changes nothing and returns true.
    pub(crate) fn start(&mut self, syn_sequence: u32) -> bool {
        let is_started = self.first_sequence.is_some();
        self.first_sequence.get_or_insert(syn_sequence.wrapping_add(1));
        is_started
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
        let first = *self.first_sequence.get_or_insert(segment.sequence);
        let offset = self.offset(first, segment.sequence);
        let start = u64::try_from(offset).unwrap_or(0);
        let end = u64::try_from(offset.saturating_add_unsigned(segment.length)).unwrap_or(0);
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

    /// Stores an acknowledgement by the receiver. It has no effect beyond the captured bytes, because a receiver can
    /// acknowledge only what the sender has sent.
    pub(crate) fn acknowledge(&mut self, next_sequence: u32) {
        if let Some(first) = self.first_sequence {
            let offset = u64::try_from(self.offset(first, next_sequence)).unwrap_or(0);
            self.acknowledged = self.acknowledged.max(offset.min(self.highest_end()));
        }
    }

    /// Converts a sequence number to an offset. Of all possible offsets, the result is the one nearest to the
    /// reference. It is negative if the sequence number is before the first one.
    fn offset(&self, first: u32, sequence: u32) -> i64 {
        let reference = self.contiguous_end.max(self.acknowledged);
        #[expect(clippy::cast_possible_truncation, reason = "a sequence number has 32 bits")]
        let reference_sequence = first.wrapping_add(reference as u32);
        let distance = sequence.wrapping_sub(reference_sequence).cast_signed();
        reference.cast_signed().saturating_add(distance.into())
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

    /// Adds a range, and joins it with the ranges that it touches. If it touches the contiguous part, that part becomes
    /// longer. A range is joined at most once, so the time for all segments is linear, apart from the search.
    fn add_range(&mut self, start: u64, end: u64) {
        let (mut start, mut end) = (start, end);
        let range_before = self.ranges_after_gap.range(..start).next_back();
        if let Some((before, _)) = range_before.filter(|(_, before_end)| **before_end >= start) {
            start = *before;
        }
        while let Some((next, next_end)) = self.ranges_after_gap.range(start..=end).next() {
            let next = *next;
            end = end.max(*next_end);
            self.ranges_after_gap.remove(&next);
        }
        if start <= self.contiguous_end {
            self.contiguous_end = self.contiguous_end.max(end);
        } else if self.ranges_after_gap.len() < MAX_RANGES {
            self.ranges_after_gap.insert(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

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

    #[test]
    fn offset_before_the_first_byte_is_a_repetition() {
        let mut stream = ByteStream::default();
        stream.start(100);
        assert_eq!(add(&mut stream, 100, 1, 0), Arrival::Repeated);
        // The segment begins before the first byte, and ends after it.
        assert_eq!(add(&mut stream, 99, 5, 0), Arrival::New);
        assert_eq!(stream.contiguous_end(), 3);
        // The distance is 2^31, so the segment is before the first byte too.
        assert_eq!(add(&mut stream, 104 + (1 << 31), 1, 0), Arrival::Repeated);
    }

    #[test]
    fn offsets_continue_after_the_capture_lost_a_segment_of_a_long_stream() {
        // The capture loses one segment of a stream of 6 GiB. The receiver gets it.
        const LENGTH: u64 = 65_536;
        let mut stream = ByteStream::default();
        stream.start(0);
        let mut sequence = 1_u32;
        for index in 0..6 * (1 << 30) / LENGTH {
            if index != 3 {
                assert_eq!(add(&mut stream, sequence, LENGTH, index), Arrival::New, "{index}");
            }
            sequence = sequence.wrapping_add(65_536);
            stream.acknowledge(sequence);
        }
        assert_eq!(stream.contiguous_end(), 3 * LENGTH);
        assert_eq!(stream.ranges_after_gap.len(), 1);
        assert_eq!(add(&mut stream, sequence.wrapping_sub(65_536), LENGTH, 0), Arrival::Repeated);
    }

    #[test]
    fn forged_acknowledgement_does_not_move_the_stream() {
        let mut stream = ByteStream::default();
        stream.start(0);
        for distance in 1..10_u32 {
            stream.acknowledge(distance << 29);
        }
        assert_eq!(add(&mut stream, 1, 10, 0), Arrival::New);
        assert_eq!(stream.contiguous_end(), 10);
    }

    #[test]
    fn stored_ranges_never_touch_and_have_a_limit() {
        let mut stream = ByteStream::default();
        stream.start(0);
        // Segments with a gap between two of them, in descending order. Each one has one byte.
        let count = u32::try_from(2 * MAX_RANGES).unwrap();
        for index in (1..=count).rev() {
            add(&mut stream, 1 + 2 * index, 1, 0);
        }
        assert_eq!(stream.ranges_after_gap.len(), MAX_RANGES);
        // One segment fills all gaps. The next segment joins the result with the contiguous part.
        add(&mut stream, 2, u64::from(2 * count), 0);
        assert_eq!(stream.ranges_after_gap.len(), 1);
        assert_eq!(add(&mut stream, 1, 1, 0), Arrival::OutOfOrder);
        assert_eq!(
            (stream.contiguous_end(), stream.ranges_after_gap.len()),
            (1 + u64::from(2 * count), 0)
        );
    }

    proptest! {
        #[test]
        fn arrival_agrees_with_a_set_of_bytes(
            segments in proptest::collection::vec((0_u32..60, 1_u64..20), 0..60),
        ) {
            let (mut stream, mut captured) = (ByteStream::default(), BTreeSet::new());
            stream.start(u32::MAX);
            for (sequence, length) in segments {
                let bytes = u64::from(sequence)..u64::from(sequence) + length;
                let is_known = bytes.clone().all(|byte| captured.contains(&byte));
                let is_repeated = add(&mut stream, sequence, length, 0) == Arrival::Repeated;
                prop_assert_eq!(is_repeated, is_known);
                captured.extend(bytes);
                let end = (0..100).find(|byte| !captured.contains(byte)).unwrap();
                prop_assert_eq!(stream.contiguous_end(), end);
            }
        }
    }
}
