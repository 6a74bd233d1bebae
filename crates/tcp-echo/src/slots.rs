//! The connection slots of the whole server: which new connection receives a slot, and which connection loses one.
//!
//! All workers share the slots. A worker needs the lock only to accept a connection and to close one.
//!
//! - **Limits.** Each prefix of an address has a limit ([`PrefixLimits`]): the source, its site and its network.
//! - **Reserve.** The last slots ([`RESERVE_DIVISOR`]) are only for sources without an open connection.
//! - **Replacement.** If no slot is free, one connection of the heaviest prefix loses its slot
//!   ([`SlotIndex::candidates`]). It belongs to the source with the most connections in this prefix, and it has been
//!   idle longest among at most [`MAX_CANDIDATES`] connections. The new connection receives no slot if its own source
//!   then has more connections than the other source. The same rule applies inside a site or a network that has reached
//!   its limit.
//!
//! The connection that loses its slot can belong to another worker. Then a message for this worker waits in its inbox,
//! and the worker's [`Waker`] ends its wait. Until the worker closes the connection, there is one connection more than
//! there are slots. [`MAX_PENDING_CLOSES`] limits the number of these connections.

mod index;
mod prefix_limits;
#[cfg(test)]
mod tests;

pub use prefix_limits::PrefixLimits;

use echo_service::{Prefix, PrefixLevel};
use index::{Removed, Scope, SlotIndex};
use mio::Waker;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The part of all slots that only a source without an open connection can use: one sixteenth. So a newcomer usually
/// receives a slot without a replacement.
pub const RESERVE_DIVISOR: usize = 16;

/// Maximum value of [`crate::Config::max_connections`]. Linux permits this number of open descriptors in one process
/// (`fs.nr_open`). The server uses four bytes for each slot, also without a connection.
pub const MAX_CONNECTIONS: usize = 1 << 20;

/// Maximum number of connections that have lost their slots, but that their workers have not closed yet. A worker
/// handles its inbox after each wait, so the number is usually zero or one.
pub const MAX_PENDING_CLOSES: usize = 64;

/// Maximum number of connections among which the server looks for the one that has been idle longest. This bounds the
/// time under the lock. It equals the default limit of one source, so the choice among the connections of one source is
/// exact with this limit. With a higher limit, or among several sources with the same number of connections, a
/// connection outside of the candidates can have been idle longer.
const MAX_CANDIDATES: usize = 256;

/// The number of a slot.
pub(crate) type SlotId = u32;

/// The slots of the server.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    max: usize,
    limits: PrefixLimits,
    state: Mutex<State>,
    /// For each slot, the time of the last transfer, in milliseconds since `start`. The numbers wrap around after 49
    /// days. They are outside of the lock, because the workers update them while they answer requests.
    activity: Box<[AtomicU32]>,
    start: Instant,
    workers: Box<[WorkerInbox]>,
}

#[derive(Debug, Default)]
struct State {
    index: SlotIndex,
    /// The slots that the workers must close, with their worker.
    messages: Vec<(usize, SlotId)>,
}

#[derive(Debug)]
struct WorkerInbox {
    waker: Arc<Waker>,
    /// Whether a message for the worker may exist. The worker reads this value after each wait, without the lock.
    has_messages: AtomicBool,
}

/// The connection that receives a slot. `token` is its number in the connection table of `worker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) worker: usize,
    pub(crate) token: usize,
}

/// The slot of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) slot: SlotId,
    /// The token of the connection of the same worker that loses its slot. The caller must close this connection.
    pub(crate) replaced: Option<usize>,
}

/// The reason why a connection receives no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// All slots are in use, and no other source has more connections.
    AllSlots,
    /// The source, its site or its network has reached its limit.
    PrefixLimit,
}

impl ConnectionSlots {
    /// Creates `max` slots, but at most [`MAX_CONNECTIONS`]. `wakers` contains the waker of each worker.
    pub(crate) fn new(max: usize, limits: PrefixLimits, wakers: Vec<Arc<Waker>>) -> Self {
        let max = max.min(MAX_CONNECTIONS);
        let inbox = |waker| WorkerInbox { waker, has_messages: AtomicBool::new(false) };
        Self {
            max,
            limits,
            state: Mutex::default(),
            activity: (0..max + MAX_PENDING_CLOSES).map(|_| AtomicU32::new(0)).collect(),
            start: Instant::now(),
            workers: wakers.into_iter().map(inbox).collect(),
        }
    }

    /// Assigns a slot to a new connection from `peer`. The caller must call [`ConnectionSlots::release`] when the
    /// connection ends.
    ///
    /// # Errors
    ///
    /// The reason why the connection receives no slot. Then it needs no release.
    pub(crate) fn acquire(&self, peer: IpAddr, owner: Owner) -> Result<Admission, Refusal> {
        let source = Prefix::source(peer);
        let mut state = self.state();
        let victim = match self.needed_replacement(&state.index, peer, source)? {
            Some((scope, refusal)) => {
                Some(self.longest_idle(&state.index, source, scope).ok_or(refusal)?)
            }
            None => None,
        };
        let mut replaced = None;
        if let Some(victim) = victim {
            let pending = state.index.pending_closes().max(state.messages.len());
            if pending >= MAX_PENDING_CLOSES {
                return Err(Refusal::AllSlots);
            }
            let victim_owner = state.index.begin_close(victim);
            if victim_owner.worker == owner.worker {
                replaced = Some(victim_owner.token);
            } else {
                state.messages.push((victim_owner.worker, victim));
                self.notify(victim_owner.worker);
            }
        }
        let slot = state.index.insert(source, owner);
        drop(state);
        self.record_activity(slot, Instant::now());
        Ok(Admission { slot, replaced })
    }

    /// Makes a slot available again.
    pub(crate) fn release(&self, slot: SlotId) {
        let mut state = self.state();
        if state.index.remove(slot) == Removed::Closing {
            // The connection has ended before its worker has read the message.
            state.messages.retain(|(_, closing)| *closing != slot);
        }
    }

    /// Stores that the connection with this slot has transferred data.
    pub(crate) fn record_activity(&self, slot: SlotId, now: Instant) {
        if let Some(activity) = self.activity.get(slot as usize) {
            activity.store(self.milliseconds(now), Ordering::Relaxed);
        }
    }

    /// Takes the tokens of the connections of `worker` that have lost their slots. The caller must close these
    /// connections immediately.
    pub(crate) fn take_replaced(&self, worker: usize) -> Vec<usize> {
        // Acquire: pairs with the Release in `notify`. The lock orders the messages.
        if !self.workers[worker].has_messages.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.state();
        let State { index, messages } = &mut *state;
        let own = messages.extract_if(.., |(receiver, _)| *receiver == worker);
        own.filter_map(|(_, slot)| index.token(slot)).collect()
    }

    /// Returns the scope in which a connection must lose its slot for a new connection of `source`, and the reason to
    /// refuse the new connection if there is no such connection. `None`: a slot is free.
    ///
    /// # Errors
    ///
    /// The source has reached its limit.
    fn needed_replacement(
        &self,
        index: &SlotIndex,
        peer: IpAddr,
        source: Prefix,
    ) -> Result<Option<(Scope, Refusal)>, Refusal> {
        let is_full = |prefix: &Prefix| {
            let limit = self.limits.for_prefix(peer, prefix.level());
            limit.is_some_and(|limit| u64::from(index.count(*prefix)) >= limit.get())
        };
        if let Some(prefix) = source.levels().find(is_full) {
            return match prefix.level() {
                PrefixLevel::Source => Err(Refusal::PrefixLimit),
                _ => Ok(Some((Scope::Prefix(prefix), Refusal::PrefixLimit))),
            };
        }
        let reserve = if index.count(source) == 0 { 0 } else { reserved(self.max) };
        let is_slot_free = index.open() < self.max - reserve;
        Ok((!is_slot_free).then_some((Scope::All, Refusal::AllSlots)))
    }

    /// The connection that has been idle longest, among the first [`MAX_CANDIDATES`] candidates.
    fn longest_idle(&self, index: &SlotIndex, newcomer: Prefix, scope: Scope) -> Option<SlotId> {
        // A reading after all stored readings, because `Instant` never goes back.
        let now = self.milliseconds(Instant::now());
        index.candidates(newcomer, scope).take(MAX_CANDIDATES).max_by_key(|slot| {
            let activity = self.activity.get(*slot as usize);
            now.wrapping_sub(activity.map_or(now, |activity| activity.load(Ordering::Relaxed)))
        })
    }

    fn notify(&self, worker: usize) {
        let inbox = &self.workers[worker];
        inbox.has_messages.store(true, Ordering::Release);
        if let Err(error) = inbox.waker.wake() {
            tracing::error!(%error, "cannot wake a worker that must close a connection");
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the numbers may wrap around")]
    fn milliseconds(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_millis() as u32
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of slots that only sources without an open connection can use.
#[must_use]
pub fn reserved(max_connections: usize) -> usize {
    max_connections / RESERVE_DIVISOR
}
