//! A limit on the requests per second from each source. The size of its table does not depend on the number of
//! sources.
//!
//! The table has two rows of token buckets. A keyed hash selects one bucket in each row for a source. The key
//! is random and secret. The limit refuses a request when both buckets of its source are empty. Therefore:
//!
//! - A flood from one source empties only the two buckets of this source. Another source is affected only if
//!   it has the same two buckets. The probability is 2⁻³² for each pair of sources.
//! - A flood from many forged sources takes about the same number of tokens from every bucket. It empties the
//!   buckets only if it has more requests per second than all buckets of a row permit together.
//!
//! Stochastic Fair Blue uses a similar table (Feng, Kandlur, Saha and Shin 2001), but with probabilities
//! instead of token buckets.
//!
//! A bucket is stored as one number: the time until which its tokens are spent (generic cell rate algorithm,
//! ITU-T I.371). So workers share the table without a lock. If two workers update a bucket at the same moment,
//! one update can be lost. This inaccuracy is acceptable for a limit.

use crate::{Source, SourceLimit};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Number of buckets in a row. Both rows together take 1 MiB, eight bytes for each bucket. At the default rate,
/// forged sources need 655 million datagrams per second to empty all buckets.
const BUCKETS: usize = 1 << 16;

/// The default limit for other hosts, in requests per second. This is sufficient for most measurements.
/// `docs/security.md` recommends a lower limit.
pub(crate) const DEFAULT_RATE: NonZero<u64> = NonZero::new(10_000).unwrap();

/// The capacity of a bucket in nanoseconds: the tokens of one second.
const CAPACITY: u64 = 1_000_000_000;

/// A limit on the requests per second from each source.
#[derive(Debug)]
pub struct RateLimit {
    /// The number of nanoseconds that one request takes from the capacity of a bucket. At least 1.
    cost: u64,
    limit: SourceLimit,
    start: Instant,
    hash_key: RandomState,
    /// For each bucket, the time until which its tokens are spent, in nanoseconds since `start`. The rows are
    /// empty if there is no limit.
    rows: [Box<[AtomicU64]>; 2],
}

impl RateLimit {
    /// Permits `requested` requests per second from each source. After a pause, a burst of `requested`
    /// requests is allowed. 0: no limit. `None`: the default, see [`Self::resolve`].
    #[must_use]
    pub fn new(requested: Option<u32>) -> Self {
        let limit = Self::resolve(requested);
        let buckets = if limit.other_hosts.is_some() { BUCKETS } else { 0 };
        let row = || (0..buckets).map(|_| AtomicU64::new(0)).collect();
        Self {
            cost: limit.other_hosts.map_or(1, |rate| (CAPACITY / rate).max(1)),
            limit,
            start: Instant::now(),
            hash_key: RandomState::new(),
            rows: [row(), row()],
        }
    }

    /// Returns the limit in requests per second for the value of the option `--rate`. Without a value, other
    /// hosts have a default limit, and loopback addresses have no limit.
    #[must_use]
    pub fn resolve(requested: Option<u32>) -> SourceLimit {
        SourceLimit::resolve(requested.map(u64::from), DEFAULT_RATE)
    }

    /// Whether `address` has reached its limit at the time `now`.
    #[must_use]
    pub fn is_exhausted(&self, address: IpAddr, now: Instant) -> bool {
        self.allowance(address, now).is_some_and(|allowance| allowance.requests == 0)
    }

    /// Counts `count` requests of `address` at the time `now`. Returns the number of requests that are within
    /// the limit.
    #[must_use]
    pub fn take(&self, address: IpAddr, count: u64, now: Instant) -> u64 {
        let Some(allowance) = self.allowance(address, now) else { return count };
        let granted = count.min(allowance.requests);
        if granted > 0 {
            for (bucket, spent_until) in allowance.buckets.into_iter().zip(allowance.spent_until) {
                let spent_until = spent_until.saturating_add(granted.saturating_mul(self.cost));
                bucket.store(spent_until.min(allowance.capacity_until), Relaxed);
            }
        }
        granted
    }

    /// The requests that `address` can send at the time `now`. `None`: there is no limit for this address.
    fn allowance(&self, address: IpAddr, now: Instant) -> Option<Allowance<'_>> {
        self.limit.for_address(address)?;
        let hash = self.hash_key.hash_one(Source::from(address).number());
        let now = nanoseconds(now.saturating_duration_since(self.start));
        let capacity_until = now.saturating_add(CAPACITY);
        let buckets = [&self.rows[0][bucket_index(hash)], &self.rows[1][bucket_index(hash >> 32)]];
        let spent_until = buckets.map(|bucket| bucket.load(Relaxed).max(now));
        let left = capacity_until.saturating_sub(spent_until[0].min(spent_until[1]));
        Some(Allowance { requests: left / self.cost, buckets, spent_until, capacity_until })
    }
}

/// The requests that a source can send at a certain time.
struct Allowance<'a> {
    requests: u64,
    buckets: [&'a AtomicU64; 2],
    /// The time until which the tokens of each bucket are spent.
    spent_until: [u64; 2],
    /// An empty bucket has this value in `spent_until`.
    capacity_until: u64,
}

/// Selects the bucket of a row by the lower bits of a hash.
#[expect(clippy::cast_possible_truncation, reason = "only the lower bits are used")]
fn bucket_index(hash: u64) -> usize {
    hash as usize % BUCKETS
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const GREEDY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn source_can_send_a_burst_of_one_second_and_then_its_steady_rate() {
        let limit = RateLimit::new(Some(100));
        let now = limit.start + SECOND;
        assert_eq!(limit.take(GREEDY, 1000, now), 100);
        assert_eq!(limit.take(GREEDY, 1, now), 0);
        assert_eq!(limit.take(GREEDY, 1000, now + SECOND / 2), 50);
        assert_eq!(limit.take(HONEST, 1, now), 1, "another source is not affected");
        assert_eq!(limit.take(GREEDY, 1000, now + 10 * SECOND), 100, "a burst after a pause");
    }

    #[test]
    fn steady_rate_is_the_requested_rate() {
        for rate in [1, 3, 1000, 999_999] {
            let limit = RateLimit::new(Some(rate));
            let mut granted = 0;
            for step in 0..=100_000_u32 {
                granted += limit.take(GREEDY, 1000, limit.start + SECOND * step / 10_000);
            }
            // The full bucket permits a burst of one second of requests. Ten seconds follow.
            let expected = u64::from(rate) * 11;
            assert!(granted.abs_diff(expected) <= 1 + expected / 10_000, "{rate}: {granted}");
        }
    }

    #[test]
    fn one_million_forged_sources_do_not_affect_an_honest_source() {
        let limit = RateLimit::new(Some(1000));
        let now = limit.start + SECOND;
        for number in 0..1_000_000 {
            assert_eq!(limit.take(Ipv4Addr::from_bits(0x0A00_0000 + number).into(), 1, now), 1);
        }
        assert_eq!(limit.take(HONEST, 900, now), 900);
        assert_eq!(limit.rows.iter().map(|row| row.len()).sum::<usize>(), 2 * BUCKETS);
    }

    #[test]
    fn only_an_explicit_limit_applies_to_loopback_addresses() {
        let loopback = Ipv4Addr::LOCALHOST.into();
        let limit = RateLimit::new(None);
        assert_eq!(limit.take(loopback, 1 << 40, limit.start), 1 << 40);
        assert_eq!(limit.take(GREEDY, 1 << 40, limit.start), 10_000);
        assert_eq!(RateLimit::new(Some(5)).take(loopback, 9, Instant::now()), 5);
        assert_eq!(RateLimit::new(Some(0)).take(GREEDY, 1 << 40, Instant::now()), 1 << 40);
    }
}
