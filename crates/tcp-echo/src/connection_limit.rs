//! Limits the number of open connections of the whole server and of each source.

use echo_service::{Source, SourceLimit};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts the open connections of all workers.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    max: usize,
    max_per_source: SourceLimit,
    open: AtomicUsize,
    /// The number of open connections of each source that has a limit. A source without open connections has no entry.
    sources: Mutex<HashMap<Source, u64>>,
}

/// The limit that a new connection exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExceededLimit {
    Connections,
    ConnectionsPerSource,
}

impl ConnectionLimit {
    /// Allows `max` open connections in total, and `max_per_source` from each source.
    pub(crate) fn new(max: usize, max_per_source: SourceLimit) -> Self {
        Self { max, max_per_source, open: AtomicUsize::new(0), sources: Mutex::default() }
    }

    /// Counts a new connection from `address`. The caller must call [`ConnectionLimit::release`] when the connection
    /// ends.
    ///
    /// # Errors
    ///
    /// The limit that the connection exceeds. Then the connection is not counted, and needs no release.
    pub(crate) fn acquire(&self, address: IpAddr) -> Result<(), ExceededLimit> {
        if self.open.fetch_add(1, Relaxed) >= self.max {
            self.open.fetch_sub(1, Relaxed);
            return Err(ExceededLimit::Connections);
        }
        if let Some(max) = self.max_per_source.for_address(address) {
            let mut sources = self.sources();
            let open = sources.entry(address.into()).or_default();
            if *open >= max.get() {
                self.open.fetch_sub(1, Relaxed);
                return Err(ExceededLimit::ConnectionsPerSource);
            }
            *open += 1;
        }
        Ok(())
    }

    /// Counts the end of a connection from `address`.
    pub(crate) fn release(&self, address: IpAddr) {
        self.open.fetch_sub(1, Relaxed);
        if self.max_per_source.for_address(address).is_some() {
            let mut sources = self.sources();
            let source = address.into();
            if let Some(open) = sources.get_mut(&source) {
                *open -= 1;
                if *open == 0 {
                    sources.remove(&source);
                }
            }
        }
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<Source, u64>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DEFAULT_MAX_CONNECTIONS_PER_SOURCE;

    fn connection_limit(max: usize, max_per_source: Option<u64>) -> ConnectionLimit {
        let max_per_source =
            SourceLimit::resolve(max_per_source, DEFAULT_MAX_CONNECTIONS_PER_SOURCE);
        ConnectionLimit::new(max, max_per_source)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_closed_connection_allows_a_new_one() {
        let limit = connection_limit(3, Some(2));
        let (first, second) = (address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(limit.acquire(first), Ok(()));
        assert_eq!(limit.acquire(first), Ok(()));
        assert_eq!(limit.acquire(first), Err(ExceededLimit::ConnectionsPerSource));
        assert_eq!(limit.acquire(second), Ok(()));
        assert_eq!(limit.acquire(second), Err(ExceededLimit::Connections));
        limit.release(first);
        assert_eq!(limit.acquire(first), Ok(()));
        for address in [first, first, second] {
            limit.release(address);
        }
        assert_eq!(limit.open.load(Relaxed), 0);
        assert!(limit.sources().is_empty());
    }

    #[test]
    fn ipv6_network_is_one_source_and_loopback_is_unlimited_by_default() {
        let limit = connection_limit(1000, None);
        for number in 0..DEFAULT_MAX_CONNECTIONS_PER_SOURCE.get() {
            assert_eq!(limit.acquire(address(&format!("2001:db8::{number:x}"))), Ok(()));
            assert_eq!(limit.acquire(address("127.0.0.1")), Ok(()));
        }
        let same_network = address("2001:db8::ffff");
        assert_eq!(limit.acquire(same_network), Err(ExceededLimit::ConnectionsPerSource));
        assert_eq!(limit.acquire(address("127.0.0.1")), Ok(()));
    }
}
