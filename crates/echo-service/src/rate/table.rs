//! A table of token buckets of fixed size for any number of sources (a count-min sketch with conservative update).
//!
//! The table has several rows. A keyed hash selects one bucket in each row for a source. The key is random and secret.
//! The source has used its tokens only if the buckets in all rows are empty. Therefore:
//!
//! - A flood from one source empties only the buckets of this source. Another source is affected only if it has
//!   the same buckets in all rows.
//! - A flood from many forged sources affects another source only if it empties one of this source's buckets in each
//!   row. The parent module states the probability.
//!
//! *Conservative update* (Estan and Varghese 2002): the bucket with the most tokens determines the tokens of a source.
//! A request takes tokens from this bucket. It takes tokens from another bucket only if that bucket would otherwise
//! have more tokens. So a collision in one row takes nothing from the other source.
//!
//! A bucket is one number: the time until which its tokens are spent (generic cell rate algorithm, ITU-T I.371).
//! So workers share the table without a lock. If two workers use the same bucket at the same moment, one of the two
//! requests can be free. This inaccuracy is acceptable for a limit.

use crate::Source;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of rows, and the number of buckets in a row (a power of two). A bucket takes eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableSize {
    pub(super) rows: usize,
    pub(super) buckets: usize,
}

/// The buckets of all sources. The times are in nanoseconds since the start of the caller's clock.
#[derive(Debug)]
pub(super) struct BucketTable {
    size: TableSize,
    hash_key: RandomState,
    buckets: Box<[AtomicU64]>,
}

/// The buckets of one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceBuckets<'a> {
    table: &'a BucketTable,
    /// The bucket in row `i` has the position `first + i * step`, modulo the length of the row (double hashing).
    first: usize,
    step: usize,
}

impl BucketTable {
    /// A table with full buckets.
    pub(super) fn new(size: TableSize) -> Self {
        let buckets = (0..size.rows * size.buckets).map(|_| AtomicU64::new(0)).collect();
        Self { size, hash_key: RandomState::new(), buckets }
    }

    /// The buckets of `source`.
    pub(super) fn of(&self, source: Source) -> SourceBuckets<'_> {
        let hash = self.hash_key.hash_one(source.number());
        SourceBuckets { table: self, first: lower_half(hash), step: lower_half(hash >> 32) }
    }
}

impl<'a> SourceBuckets<'a> {
    /// The time until which the tokens of the source are spent.
    pub(super) fn spent_until(self) -> u64 {
        self.buckets().map(|bucket| bucket.load(Relaxed)).min().unwrap_or(0)
    }

    /// Takes tokens: no bucket of the source has tokens for the time before `spent_until`.
    pub(super) fn spend_until(self, spent_until: u64) {
        for bucket in self.buckets() {
            bucket.fetch_max(spent_until, Relaxed);
        }
    }

    fn buckets(self) -> impl Iterator<Item = &'a AtomicU64> {
        let Self { table, first, step } = self;
        let TableSize { rows, buckets } = table.size;
        (0..rows).map(move |row| {
            let position = first.wrapping_add(row.wrapping_mul(step)) % buckets;
            &table.buckets[row * buckets + position]
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the function removes the upper half")]
fn lower_half(hash: u64) -> usize {
    hash as u32 as usize
}
