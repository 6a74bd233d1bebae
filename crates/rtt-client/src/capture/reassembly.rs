//! One direction of a connection: which of its bytes have been seen, and what a piece of them is therefore.

use std::collections::BTreeMap;
use std::time::Duration;

/// The most pieces of a stream that are remembered while others are missing.
const MOST_PIECES: usize = 10_000;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The number of the first byte, and the end of what has been seen without a gap, counted from there.
    pub(super) first: Option<u32>,
    pub(super) end: u64,
    /// Pieces seen beyond a gap: where they begin and end.
    beyond: BTreeMap<u64, u64>,
    /// When the furthest byte was seen.
    furthest_at: Duration,
}

/// What a piece of a stream is, by what has been seen before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    New,
    /// Seen before, all of it.
    Again,
    /// Fills a gap, soon enough to have been overtaken.
    Late,
    /// Fills a gap that a loss has left.
    SentAgain,
}

impl Stream {
    /// What the bytes from `sequence` on are, and remembers them.
    /// And where they begin.
    pub(super) fn piece(
        &mut self,
        sequence: u32,
        length: u64,
        time: Duration,
        patience: Duration,
    ) -> (Piece, u64) {
        let first = *self.first.get_or_insert(sequence);
        // Numbers wrap around; a stream here is never so long that a piece is 2 GiB off.
        let near = u64::from(sequence.wrapping_sub(first));
        let wrapped = self.end & !u64::from(u32::MAX);
        let candidates =
            [wrapped.checked_sub(1 << 32), Some(wrapped), wrapped.checked_add(1 << 32)];
        let start = candidates
            .into_iter()
            .flatten()
            .map(|base| base + near)
            .min_by_key(|start| start.abs_diff(self.end))
            .unwrap_or(near);
        let end = start + length;
        let furthest = self.beyond.last_key_value().map_or(self.end, |(_, end)| self.end.max(*end));
        let is_seen = end <= self.end
            || self.beyond.range(..=start).next_back().is_some_and(|(_, seen)| end <= *seen);
        if is_seen {
            return (Piece::Again, start);
        }
        let piece = if start >= furthest {
            self.furthest_at = time;
            Piece::New
        } else if time.saturating_sub(self.furthest_at) <= patience {
            Piece::Late
        } else {
            // It was lost before it came by here.
            Piece::SentAgain
        };
        if self.beyond.len() < MOST_PIECES {
            let seen = self.beyond.entry(start).or_insert(end);
            *seen = (*seen).max(end);
        }
        while let Some((start, end)) = self.beyond.first_key_value().map(|(s, e)| (*s, *e)) {
            if start > self.end {
                break;
            }
            self.end = self.end.max(end);
            self.beyond.remove(&start);
        }
        (piece, start)
    }
}
