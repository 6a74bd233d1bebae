//! The connections that wait for the rate limit of their source.
//!
//! Each source has one queue and one timer. The timer is due when the source has its next token. So the work depends on
//! the number of tokens, and not on the number of connections that wait: a waiting connection needs no work until
//! there is a token for it.

use crate::closable_queue::ClosableQueue;
use echo_service::Source;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Instant;

/// A connection that waits for the rate limit of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) token: usize,
    pub(crate) since: Instant,
}

/// The waiting connections of all sources. A source without waiting connections has no entry.
#[derive(Debug, Default)]
pub(crate) struct RateWaits {
    sources: HashMap<Source, WaitingSource>,
    /// The sources in the order of their timers.
    timers: BTreeMap<Timer, Source>,
    /// The sequence number of the next [`Timer`].
    sequence: u64,
}

#[derive(Debug)]
struct WaitingSource {
    /// An address of this source.
    address: IpAddr,
    queue: ClosableQueue<Waiting>,
    /// `None`: the timer was due, and the worker has not yet called [`RateWaits::set_timer`] again.
    timer: Option<Timer>,
}

/// The time at which a source has its next token. The sequence number distinguishes sources with the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    due: Instant,
    sequence: u64,
}

impl RateWaits {
    /// Whether connections of `source` wait.
    pub(crate) fn contains(&self, source: Source) -> bool {
        // Most servers have no waiting connections. Then no hash is necessary.
        !self.sources.is_empty() && self.sources.contains_key(&source)
    }

    /// Adds a connection from `address`, behind the other connections of its source. The source of the first connection
    /// also needs a call of [`RateWaits::set_timer`].
    pub(crate) fn push(&mut self, address: IpAddr, waiting: Waiting) {
        let new = || WaitingSource { address, queue: ClosableQueue::default(), timer: None };
        self.sources.entry(address.into()).or_insert_with(new).queue.push(waiting);
    }

    /// Sets the timer of `source` to `due`.
    pub(crate) fn set_timer(&mut self, source: Source, due: Instant) {
        let Some(waiting) = self.sources.get_mut(&source) else { return };
        let timer = Timer { due, sequence: self.sequence };
        self.sequence += 1;
        if let Some(earlier) = waiting.timer.replace(timer) {
            self.timers.remove(&earlier);
        }
        self.timers.insert(timer, source);
    }

    /// The time of the next timer.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        Some(self.timers.first_key_value()?.0.due)
    }

    /// Removes the next timer that is due at the time `now`, and returns its source.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Source> {
        let timer = self.timers.first_entry().filter(|timer| timer.key().due <= now)?;
        let source = timer.remove();
        if let Some(waiting) = self.sources.get_mut(&source) {
            waiting.timer = None;
        }
        Some(source)
    }

    /// The address of a source whose timer was due. `None`: no connection of `source` waits, or the timer is not due.
    pub(crate) fn due_address(&self, source: Source) -> Option<IpAddr> {
        self.sources.get(&source).filter(|waiting| waiting.timer.is_none()).map(|w| w.address)
    }

    /// Removes the connection of `source` that has waited longest. The connection can be closed.
    pub(crate) fn pop(&mut self, source: Source) -> Option<Waiting> {
        let waiting = self.sources.get_mut(&source)?.queue.pop();
        self.remove_if_empty(source);
        waiting
    }

    /// Counts the close of a waiting connection of `source`. Calls `is_closed` at most once for each waiting connection
    /// of the source, with its token. Removes the connection if `is_closed` returns true.
    pub(crate) fn note_close(&mut self, source: Source, mut is_closed: impl FnMut(usize) -> bool) {
        if let Some(waiting) = self.sources.get_mut(&source) {
            waiting.queue.note_close(|waiting| is_closed(waiting.token));
            self.remove_if_empty(source);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.sources.clear();
        self.timers.clear();
    }

    fn remove_if_empty(&mut self, source: Source) {
        if self.sources.get(&source).is_some_and(|waiting| waiting.queue.is_empty())
            && let Some(WaitingSource { timer: Some(timer), .. }) = self.sources.remove(&source)
        {
            self.timers.remove(&timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    fn source(number: u8) -> Source {
        address(number).into()
    }

    /// Adds connections of a source, with the tokens from `first`.
    fn push(waits: &mut RateWaits, number: u8, first: usize, count: usize, since: Instant) {
        for token in first..first + count {
            waits.push(address(number), Waiting { token, since });
        }
    }

    #[test]
    fn sources_are_due_in_the_order_of_their_tokens() {
        let start = Instant::now();
        let mut waits = RateWaits::default();
        for (number, seconds) in [(1, 3), (2, 1), (3, 2), (4, 2)] {
            push(&mut waits, number, usize::from(number) * 10, 2, start);
            waits.set_timer(source(number), start + SECOND * seconds);
        }
        assert_eq!(waits.next_due(), Some(start + SECOND));
        assert_eq!(waits.pop_due(start), None);
        let now = start + SECOND * 2;
        let due: Vec<_> = std::iter::from_fn(|| waits.pop_due(now)).collect();
        assert_eq!(due, [source(2), source(3), source(4)]);
        assert_eq!(waits.next_due(), Some(start + SECOND * 3));
        assert_eq!(waits.due_address(source(2)), Some(address(2)));
        assert_eq!(waits.due_address(source(1)), None, "its timer is not due");
    }

    #[test]
    fn connections_of_one_source_are_served_in_order() {
        let start = Instant::now();
        let mut waits = RateWaits::default();
        push(&mut waits, 1, 0, 3, start);
        push(&mut waits, 2, 3, 1, start);
        push(&mut waits, 1, 4, 2, start);
        let tokens: Vec<_> =
            std::iter::from_fn(|| waits.pop(source(1))).map(|waiting| waiting.token).collect();
        assert_eq!(tokens, [0, 1, 2, 4, 5]);
        assert!(!waits.contains(source(1)) && waits.contains(source(2)));
    }

    #[test]
    fn source_and_its_timer_end_with_its_last_connection() {
        let start = Instant::now();
        let mut waits = RateWaits::default();
        push(&mut waits, 1, 0, 100, start);
        waits.set_timer(source(1), start + SECOND);
        // A later call replaces the timer.
        waits.set_timer(source(1), start + 2 * SECOND);
        assert_eq!((waits.next_due(), waits.timers.len()), (Some(start + 2 * SECOND), 1));
        for closed in 1..=100 {
            waits.note_close(source(1), |token| token < closed);
        }
        assert!(!waits.contains(source(1)));
        assert_eq!(waits.next_due(), None);
        assert!(waits.sources.is_empty() && waits.timers.is_empty());
    }
}
