//! How often a source is answered: a table of fixed size, however many sources there are or are forged.
//!
//! Every source has two places in it, one in each of two rows, chosen by a keyed hash that nobody outside
//! can know; a place is a token bucket. A source is refused when both are empty. So a flood from one
//! source empties its own two places, and another is refused wrongly only if it shares both: one pair of
//! sources in 2³². A flood from many forged sources spreads over all places and empties none. This is
//! the arrangement of Stochastic Fair Blue (Feng, Kandlur, Saha and Shin 2001), with buckets in place of
//! its marking probabilities.
//!
//! A bucket is one number, the time until which its tokens are spent (the generic cell rate algorithm,
//! ITU-T I.371), so that workers share it without a lock. What they change at the very same moment counts
//! once; that is as exact as a limit has to be.

use crate::Source;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Places in a row. Two rows of eight bytes a place are 1 MiB; at the default rate it takes 655 million
/// datagrams a second from forged sources to empty them all.
const PLACES: usize = 1 << 16;

/// The default, for other hosts: what a client's fastest schedules need, and 1000 times what a reflector
/// should be able to do to a victim in one place unnoticed.
const DEFAULT_RATE: u32 = 10_000;

/// The limit on requests a second from one source.
#[derive(Debug)]
pub struct RateLimit {
    /// What a request costs of a bucket's time, in nanoseconds; 1 at least.
    cost: u64,
    /// Whether this host itself is limited too.
    loopback_too: bool,
    begun: Instant,
    key: RandomState,
    /// Nanoseconds since `begun` until which tokens are spent. Empty where there is no limit.
    rows: [Box<[AtomicU64]>; 2],
}

impl RateLimit {
    /// At most `asked` requests a second from one source, and as many at once after a rest. If nothing was
    /// asked for, a default for other hosts, and no limit for loopback addresses: datagrams from them
    /// don't come from outside (RFC 1122, section 3.2.1.3), so a victim can't be among them.
    #[must_use]
    pub fn new(asked: Option<u32>) -> Self {
        let rate = asked.unwrap_or(DEFAULT_RATE);
        let places = if rate == 0 { 0 } else { PLACES };
        let row = || (0..places).map(|_| AtomicU64::new(0)).collect();
        Self {
            cost: BURST.checked_div(rate.into()).unwrap_or_default().max(1),
            loopback_too: asked.is_some(),
            begun: Instant::now(),
            key: RandomState::new(),
            rows: [row(), row()],
        }
    }

    /// Whether `address` may ask nothing at the moment `now`.
    #[must_use]
    pub fn is_exhausted(&self, address: IpAddr, now: Instant) -> bool {
        self.left(address, now).is_some_and(|left| left.requests == 0)
    }

    /// How many of `wanted` requests from `address` are within the limit at the moment `now`; they are
    /// counted.
    #[must_use]
    pub fn take(&self, address: IpAddr, wanted: u64, now: Instant) -> u64 {
        let Some(left) = self.left(address, now) else { return wanted };
        let granted = wanted.min(left.requests);
        if granted > 0 {
            for (place, spent) in left.places.into_iter().zip(left.spent) {
                let spent = spent.saturating_add(granted.saturating_mul(self.cost));
                place.store(spent.min(left.full), Relaxed);
            }
        }
        granted
    }

    /// What `address` has left; nothing, if there is no limit for it.
    fn left(&self, address: IpAddr, now: Instant) -> Option<Left<'_>> {
        if self.rows[0].is_empty() || (address.is_loopback() && !self.loopback_too) {
            return None;
        }
        let hash = self.key.hash_one(Source::from(address).number());
        let now = nanoseconds(now.saturating_duration_since(self.begun));
        let full = now.saturating_add(BURST);
        let places = [&self.rows[0][place(hash)], &self.rows[1][place(hash >> 32)]];
        let spent = places.map(|place| place.load(Relaxed).max(now));
        let requests = full.saturating_sub(spent[0].min(spent[1])) / self.cost;
        Some(Left { requests, places, spent, full })
    }
}

/// What a source has left.
struct Left<'a> {
    requests: u64,
    places: [&'a AtomicU64; 2],
    /// Until when the tokens of each place are spent, and until when they can be.
    spent: [u64; 2],
    full: u64,
}

/// The place in a row that the lower bits of a hash stand for.
#[expect(clippy::cast_possible_truncation, reason = "that is what is wanted")]
fn place(hash: u64) -> usize {
    hash as usize % PLACES
}

/// How much a rested source may ask at once: a second's worth, in nanoseconds.
const BURST: u64 = 1_000_000_000;

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
    fn a_source_gets_a_seconds_worth_at_once_and_then_its_rate() {
        let limit = RateLimit::new(Some(100));
        let now = limit.begun + SECOND;
        assert_eq!(limit.take(GREEDY, 1000, now), 100);
        assert_eq!(limit.take(GREEDY, 1, now), 0);
        assert_eq!(limit.take(GREEDY, 1000, now + SECOND / 2), 50);
        assert_eq!(limit.take(HONEST, 1, now), 1, "another source is not in this");
        assert_eq!(limit.take(GREEDY, 1000, now + 10 * SECOND), 100, "rest is not saved up");
    }

    #[test]
    fn the_steady_rate_is_the_one_asked_for() {
        for rate in [1, 3, 1000, 999_999] {
            let limit = RateLimit::new(Some(rate));
            let mut granted = 0;
            for step in 0..=100_000_u32 {
                granted += limit.take(GREEDY, 1000, limit.begun + SECOND * step / 10_000);
            }
            // Ten seconds' worth, and the first second's at once.
            let expected = u64::from(rate) * 11;
            assert!(granted.abs_diff(expected) <= 1 + expected / 10_000, "{rate}: {granted}");
        }
    }

    #[test]
    fn a_million_forged_sources_take_nothing_from_an_honest_one() {
        let limit = RateLimit::new(Some(1000));
        let now = limit.begun + SECOND;
        for number in 0..1_000_000 {
            assert_eq!(limit.take(Ipv4Addr::from_bits(0x0A00_0000 + number).into(), 1, now), 1);
        }
        assert_eq!(limit.take(HONEST, 900, now), 900);
        assert_eq!(limit.rows.iter().map(|row| row.len()).sum::<usize>(), 2 * PLACES);
    }

    #[test]
    fn this_host_is_limited_only_if_that_is_asked_for() {
        let loopback = Ipv4Addr::LOCALHOST.into();
        let limit = RateLimit::new(None);
        assert_eq!(limit.take(loopback, 1 << 40, limit.begun), 1 << 40);
        assert_eq!(limit.take(GREEDY, 1 << 40, limit.begun), 10_000);
        assert_eq!(RateLimit::new(Some(5)).take(loopback, 9, Instant::now()), 5);
        assert_eq!(RateLimit::new(Some(0)).take(GREEDY, 1 << 40, Instant::now()), 1 << 40);
    }
}
