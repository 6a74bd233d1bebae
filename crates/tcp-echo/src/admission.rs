//! How many connections there may be: in all, and of one source.

use echo_service::Source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The default for one source: more than a measurement needs, and a 64th of all.
const DEFAULT_OF_ONE_SOURCE: usize = 256;

/// The count of connections, shared by all workers.
#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    most_of_one: usize,
    /// Whether this host itself is limited too.
    loopback_too: bool,
    open: AtomicUsize,
    /// Sources with their open connections; there are no more of them than connections.
    sources: Mutex<HashMap<Source, usize>>,
}

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooMany {
    InAll,
    OfOneSource,
}

impl Admission {
    /// At most `most` connections in all, and `of_one_source`; if that is none, a default for other hosts
    /// and no limit for this one, and if it is 0, no limit.
    pub(crate) fn new(most: usize, of_one_source: Option<usize>) -> Self {
        let most_of_one = match of_one_source {
            None => DEFAULT_OF_ONE_SOURCE,
            Some(0) => usize::MAX,
            Some(asked) => asked,
        };
        Self {
            most,
            most_of_one,
            loopback_too: of_one_source.is_some(),
            open: AtomicUsize::new(0),
            sources: Mutex::default(),
        }
    }

    /// Counts a connection from `address` in, or says why not.
    pub(crate) fn enter(&self, address: IpAddr) -> Result<(), TooMany> {
        if self.open.fetch_add(1, Relaxed) >= self.most {
            self.open.fetch_sub(1, Relaxed);
            return Err(TooMany::InAll);
        }
        if self.is_counted(address) {
            let mut sources = self.sources();
            let open = sources.entry(address.into()).or_default();
            if *open >= self.most_of_one {
                self.open.fetch_sub(1, Relaxed);
                return Err(TooMany::OfOneSource);
            }
            *open += 1;
        }
        Ok(())
    }

    /// Counts one that had entered out again.
    pub(crate) fn leave(&self, address: IpAddr) {
        self.open.fetch_sub(1, Relaxed);
        if self.is_counted(address) {
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

    fn is_counted(&self, address: IpAddr) -> bool {
        self.most_of_one < usize::MAX && (self.loopback_too || !address.is_loopback())
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn who_leaves_makes_room() {
        let admission = Admission::new(3, Some(2));
        let (one, other) = (at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(admission.enter(one), Ok(()));
        assert_eq!(admission.enter(one), Ok(()));
        assert_eq!(admission.enter(one), Err(TooMany::OfOneSource));
        assert_eq!(admission.enter(other), Ok(()));
        assert_eq!(admission.enter(other), Err(TooMany::InAll));
        admission.leave(one);
        assert_eq!(admission.enter(one), Ok(()));
        for address in [one, one, other] {
            admission.leave(address);
        }
        assert_eq!(admission.open.load(Relaxed), 0);
        assert!(admission.sources().is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_this_host_is_exempt_by_default() {
        let admission = Admission::new(1000, None);
        for number in 0..DEFAULT_OF_ONE_SOURCE {
            assert_eq!(admission.enter(at(&format!("2001:db8::{number:x}"))), Ok(()));
            assert_eq!(admission.enter(at("127.0.0.1")), Ok(()));
        }
        assert_eq!(admission.enter(at("2001:db8::ffff")), Err(TooMany::OfOneSource));
        assert_eq!(admission.enter(at("127.0.0.1")), Ok(()));
    }
}
