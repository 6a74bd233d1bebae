//! [`LookUp`]: one call of the system's resolver.

use super::{LookUpLimits, ResolveError};
use crate::net::system::MAX_PAUSE;
use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum number of results of the resolver that are read. A DNS message has at most 64 KiB, so one look-up returns
/// fewer addresses.
const MAX_RESULTS: usize = 65_536;

/// A call of the system's resolver in a separate thread, because the call cannot be interrupted. The thread continues until
/// the resolver returns.
#[derive(Debug)]
pub(super) struct LookUp {
    result: Receiver<Completed>,
}

/// The result of a look-up, and the time at which the resolver returned it.
pub(super) type Completed = (Instant, Result<Vec<SocketAddr>, ResolveError>);

/// The state of a look-up that was started earlier.
pub(super) enum LookUpState {
    Running,
    /// The time since the resolver returned the result, and the result.
    Completed(Duration, Result<Vec<SocketAddr>, ResolveError>),
    /// The thread has ended without a result.
    Failed,
}

impl LookUp {
    /// Starts a look-up of `host`.
    pub(super) fn start(host: &str, port: u16) -> Result<Self, ResolveError> {
        let (sender, result) = mpsc::channel();
        let name = host.to_owned();
        let run = move || {
            let addresses = system_resolver(&name, port);
            // After the end of the wait, sending fails because the receiver no longer exists.
            let _ = sender.send((Instant::now(), addresses));
        };
        thread::Builder::new()
            .name("name look-up".to_owned())
            .spawn(run)
            .map_err(ResolveError::NoThread)?;
        Ok(Self { result })
    }

    /// A look-up that receives its result from a test.
    #[cfg(test)]
    pub(super) fn controlled() -> (mpsc::Sender<Completed>, Self) {
        let (sender, result) = mpsc::channel();
        (sender, Self { result })
    }

    /// Waits for the result. After the timeout or an interruption, the look-up can still be running.
    pub(super) fn wait(&self, limits: LookUpLimits<'_>) -> Result<Vec<SocketAddr>, ResolveError> {
        let LookUpLimits { timeout, stop } = limits;
        let deadline = Instant::now() + timeout;
        while !stop.load(Ordering::Relaxed) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.result.recv_timeout(left.min(MAX_PAUSE)) {
                Ok((_, result)) => return result,
                Err(RecvTimeoutError::Timeout) if left > MAX_PAUSE => {}
                Err(_) => return Err(ResolveError::Timeout(timeout)),
            }
        }
        Err(ResolveError::Interrupted)
    }

    /// The state after a wait without a result.
    pub(super) fn state(&self) -> LookUpState {
        match self.result.try_recv() {
            Ok((time, result)) => LookUpState::Completed(time.elapsed(), result),
            Err(mpsc::TryRecvError::Empty) => LookUpState::Running,
            Err(mpsc::TryRecvError::Disconnected) => LookUpState::Failed,
        }
    }
}

fn system_resolver(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    // Without this socket type, the resolver returns each address several times: once for each type of socket.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => ResolveError::NotFound(error.into()),
        _ => ResolveError::LookupFailed(error.into()),
    })?;
    let mut addresses = found.flatten().take(MAX_RESULTS).map(|entry| {
        let mut address = entry.sockaddr;
        address.set_port(port);
        address
    });
    Ok(unique(&mut addresses))
}

/// Each address once, in the order of its first occurrence.
fn unique(addresses: &mut dyn Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut known = HashSet::new();
    addresses.filter(|address| known.insert(*address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_address_counts_once() {
        let [a, b] = ["192.0.2.1:9", "192.0.2.2:9"].map(|text| text.parse().unwrap());
        assert_eq!(unique(&mut [b, a, b].into_iter()), [b, a]);
    }
}
