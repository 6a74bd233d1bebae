//! A limit on the requests per second from each source. The size of its table does not depend on the number of
//! sources.
//!
//! # Units
//!
//! The limit counts units. A request of up to [`UNIT_BYTES`] bytes is one unit, and a longer request is several
//! units ([`request_units`]). So a source cannot use more time of the server by sending longer requests.
//!
//! # Forged sources
//!
//! Each source has one token bucket in each row of a table ([`table`]). A flood from forged sources spreads over all
//! buckets of a row. With `F` units per second from all other sources, a limit of `N` units per second, and `B` buckets
//! in each of `R` rows, a bucket has fewer tokens than its capacity for the fraction `F / (B * N)` of the time. An
//! honest source that uses its whole limit misses a token only while this is true for its buckets in all
//! rows. The probability is at most:
//!
//! ```text
//! (F / (B * N)) ^ R
//! ```
//!
//! A low limit therefore needs a larger table ([`table_size`]).

mod table;
#[cfg(test)]
mod tests;

use crate::{Source, SourceLimit};
use std::net::IpAddr;
use std::num::NonZero;
use std::time::{Duration, Instant};
use table::{BucketTable, TableSize};

/// The default limit for other hosts, in units per second. This is sufficient for most measurements.
/// `docs/security.md` recommends a lower limit.
pub(crate) const DEFAULT_RATE: NonZero<u64> = NonZero::new(10_000).unwrap();

/// The size of a request that counts as one unit, in bytes: the largest UDP payload in an Ethernet frame over IPv4
/// (1,500 bytes without 20 bytes of IP header and 8 bytes of UDP header).
pub const UNIT_BYTES: usize = 1472;

/// The capacity of a bucket in nanoseconds: the tokens of one second.
const CAPACITY: u64 = 1_000_000_000;

/// The table for limits of at least [`LOW_RATE`]: 1 MiB.
const SMALL_TABLE: TableSize = TableSize { rows: 2, buckets: 1 << 16 };

/// The table for limits below [`LOW_RATE`]: 16 MiB. At a limit of 1 unit per second, 100,000 forged units per second
/// refuse at most one of 750 honest requests. The small table would refuse more than half of them.
const LARGE_TABLE: TableSize = TableSize { rows: 4, buckets: 1 << 19 };

/// With at least this limit, in units per second, the small table is sufficient: 100,000 forged units per second refuse
/// fewer than one of 4,000 honest requests.
const LOW_RATE: u64 = 100;

/// The number of units that a request of `bytes` bytes counts for. At least 1.
///
/// ```
/// use echo_service::{UNIT_BYTES, request_units};
///
/// assert_eq!(request_units(0), 1);
/// assert_eq!(request_units(UNIT_BYTES), 1);
/// assert_eq!(request_units(UNIT_BYTES + 1), 2);
/// ```
#[must_use]
pub fn request_units(bytes: usize) -> u64 {
    bytes.div_ceil(UNIT_BYTES).max(1) as u64
}

/// A limit on the requests per second from each source.
#[derive(Debug)]
pub struct RateLimit {
    /// The number of nanoseconds that one unit takes from the capacity of a bucket. At least 1.
    unit_cost: u64,
    limit: SourceLimit,
    start: Instant,
    /// `None`: there is no limit.
    table: Option<BucketTable>,
}

impl RateLimit {
    /// The size of the largest table in bytes.
    pub const MAX_TABLE_BYTES: usize = LARGE_TABLE.rows * LARGE_TABLE.buckets * size_of::<u64>();

    /// Permits `requested` units per second from each source. After a pause, a burst of `requested` units is
    /// allowed. 0: no limit. `None`: the default, see [`Self::resolve`].
    #[must_use]
    pub fn new(requested: Option<u32>) -> Self {
        let limit = Self::resolve(requested);
        Self {
            unit_cost: limit.other_hosts.map_or(1, |rate| (CAPACITY / rate).max(1)),
            limit,
            start: Instant::now(),
            table: limit.other_hosts.map(|rate| BucketTable::new(table_size(rate.get()))),
        }
    }

    /// Returns the limit in units per second for the value of the option `--rate`. Without a value, other
    /// hosts have a default limit, and loopback addresses have no limit.
    #[must_use]
    pub fn resolve(requested: Option<u32>) -> SourceLimit {
        SourceLimit::resolve(requested.map(u64::from), DEFAULT_RATE)
    }

    /// Whether `address` has no token left at the time `now`.
    #[must_use]
    pub fn is_exhausted(&self, address: IpAddr, now: Instant) -> bool {
        !self.wait_time(address, now).is_zero()
    }

    /// The time from `now` until `address` has a token. Zero: it has one now.
    #[must_use]
    pub fn wait_time(&self, address: IpAddr, now: Instant) -> Duration {
        let Some(account) = self.account(address, now) else { return Duration::ZERO };
        let next_token = account.spent_until.saturating_add(self.unit_cost);
        Duration::from_nanos(next_token.saturating_sub(account.full_until))
    }

    /// Counts up to `count` requests of `address` with `units` units each at the time `now`. Returns the number of
    /// requests that are within the limit.
    ///
    /// The last of these requests needs only one token. If it has more units, the source is in debt afterwards. So
    /// the limit never refuses a request forever, although a request can have more units than a bucket.
    #[must_use]
    pub fn take(&self, address: IpAddr, count: u64, units: u64, now: Instant) -> u64 {
        let Some(account) = self.account(address, now) else { return count };
        let tokens = account.full_until.saturating_sub(account.spent_until) / self.unit_cost;
        let granted = count.min(tokens.div_ceil(units.max(1)));
        if granted > 0 {
            account.spend(granted.saturating_mul(units).saturating_mul(self.unit_cost));
        }
        granted
    }

    /// Takes `units` tokens from `address` at the time `now` for work that is already done. Without enough tokens, the
    /// source is in debt afterwards: it receives its next token later.
    pub fn charge(&self, address: IpAddr, units: u64, now: Instant) {
        if let Some(account) = self.account(address, now) {
            account.spend(units.saturating_mul(self.unit_cost));
        }
    }

    /// The state of the limit for `address` at the time `now`. `None`: there is no limit for this address.
    fn account(&self, address: IpAddr, now: Instant) -> Option<Account<'_>> {
        self.limit.for_address(address)?;
        let buckets = self.table.as_ref()?.of(Source::from(address));
        let now = nanoseconds(now.saturating_duration_since(self.start));
        let spent_until = buckets.spent_until().max(now);
        Some(Account { buckets, spent_until, full_until: now.saturating_add(CAPACITY) })
    }
}

/// The tokens of a source at a certain time. Times are in nanoseconds since the start of the limit.
struct Account<'a> {
    buckets: table::SourceBuckets<'a>,
    /// The tokens are spent until this time.
    spent_until: u64,
    /// A source without tokens has this value in `spent_until`, or a later time if it is in debt.
    full_until: u64,
}

impl Account<'_> {
    fn spend(&self, nanoseconds: u64) {
        self.buckets.spend_until(self.spent_until.saturating_add(nanoseconds));
    }
}

/// The size of the table for a limit of `rate` units per second.
fn table_size(rate: u64) -> TableSize {
    if rate < LOW_RATE { LARGE_TABLE } else { SMALL_TABLE }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
