//! The open connections, sorted by the number of connections of their prefixes.
//!
//! All collections contain only open connections and their prefixes, so their size is proportional to the number of
//! slots. Each operation takes logarithmic time.

use super::{Owner, SlotId};
use echo_service::{Prefix, PrefixLevel};
use slab::Slab;
use std::collections::{BTreeSet, HashMap};

/// Maximum number of prefixes with the same load, and of sources in each of them, among which the server looks for the
/// connection that has been idle longest. This bounds the time under the lock.
const MAX_TIES: usize = 16;

/// The connections among which a replacement is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All connections.
    All,
    /// The connections of one prefix.
    Prefix(Prefix),
}

/// The state of a slot at its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    Open,
    /// The connection had lost its slot.
    Closing,
}

/// The number of connections of a prefix, multiplied by the weight of its level ([`weight`]).
type Load = u32;

/// All slots in use.
#[derive(Debug, Default)]
pub(super) struct SlotIndex {
    slots: Slab<Slot>,
    /// The number of slots that [`SlotIndex::begin_close`] has marked.
    pending_closes: usize,
    /// The number of connections of each prefix. A prefix without connections has no entry.
    counts: HashMap<Prefix, u32>,
    by_load: BTreeSet<(Load, Prefix)>,
    /// The sources in each site and network, sorted by their number of connections.
    sources: BTreeSet<(Prefix, u32, Prefix)>,
    by_source: BTreeSet<(Prefix, SlotId)>,
}

#[derive(Debug)]
struct Slot {
    source: Prefix,
    owner: Owner,
    /// The connection has lost its slot, and its worker has not closed it yet. The other collections do not contain it.
    is_closing: bool,
}

impl SlotIndex {
    /// The number of connections that have a slot.
    pub(super) fn open(&self) -> usize {
        self.slots.len() - self.pending_closes
    }

    /// The number of connections that have lost their slots, and that are not closed yet.
    pub(super) fn pending_closes(&self) -> usize {
        self.pending_closes
    }

    /// The number of connections that a prefix has.
    pub(super) fn count(&self, prefix: Prefix) -> u32 {
        self.counts.get(&prefix).copied().unwrap_or(0)
    }

    pub(super) fn insert(&mut self, source: Prefix, owner: Owner) -> SlotId {
        #[expect(clippy::cast_possible_truncation, reason = "MAX_CONNECTIONS limits the number")]
        let slot = self.slots.insert(Slot { source, owner, is_closing: false }) as SlotId;
        self.by_source.insert((source, slot));
        self.change_counts(source, |count| count + 1);
        slot
    }

    pub(super) fn remove(&mut self, slot: SlotId) -> Removed {
        let Some(Slot { source, is_closing, .. }) = self.slots.try_remove(slot as usize) else {
            return Removed::Closing;
        };
        if is_closing {
            self.pending_closes -= 1;
            return Removed::Closing;
        }
        self.remove_from_source(source, slot);
        Removed::Open
    }

    /// Takes the slot from its connection. The connection counts as pending until [`SlotIndex::remove`].
    pub(super) fn begin_close(&mut self, slot: SlotId) -> Owner {
        let entry = &mut self.slots[slot as usize];
        let (source, owner) = (entry.source, entry.owner);
        if !entry.is_closing {
            entry.is_closing = true;
            self.pending_closes += 1;
            self.remove_from_source(source, slot);
        }
        owner
    }

    /// The token of the connection.
    pub(super) fn token(&self, slot: SlotId) -> Option<usize> {
        self.slots.get(slot as usize).map(|slot| slot.owner.token)
    }

    /// The connections that can lose their slots for a new connection of `newcomer`. They belong to the prefix with the
    /// highest load in `scope`, and in this prefix to the source with the most connections. If several prefixes or
    /// sources have the same number, the iterator returns connections of up to [`MAX_TIES`] of them.
    pub(super) fn candidates(
        &self,
        newcomer: Prefix,
        scope: Scope,
    ) -> impl Iterator<Item = SlotId> {
        let max_load = self.by_load.last().map_or(0, |(load, _)| *load);
        let load_after = newcomer.levels().map(|level| load(level, self.count(level) + 1)).max();
        let is_lighter = load_after.is_some_and(|load_after| load_after <= max_load);
        let heaviest = self.by_load.range((max_load, Prefix::MIN)..).map(|(_, prefix)| *prefix);
        let (one, all) = match scope {
            Scope::Prefix(prefix) => (Some(prefix), None),
            Scope::All => (None, Some(heaviest.take(MAX_TIES))),
        };
        one.into_iter()
            .chain(all.into_iter().flatten())
            .filter(move |prefix| self.may_replace(newcomer, *prefix, is_lighter))
            .flat_map(|prefix| self.largest_sources(prefix).take(MAX_TIES))
            .flat_map(|source| self.slots_of(source))
    }

    /// Whether a new connection of `newcomer` may replace a connection of `prefix`: the newcomer must not have more
    /// connections afterwards than the other source has now. If the newcomer belongs to `prefix`, the numbers of the
    /// sources count. Otherwise, the loads of the prefixes count (`is_lighter`).
    fn may_replace(&self, newcomer: Prefix, prefix: Prefix, is_lighter: bool) -> bool {
        if newcomer.levels().any(|level| level == prefix) {
            self.count(newcomer) < self.largest_count(prefix)
        } else {
            is_lighter
        }
    }

    /// The number of connections of the largest source in `prefix`.
    fn largest_count(&self, prefix: Prefix) -> u32 {
        if prefix.level() == PrefixLevel::Source {
            return self.count(prefix);
        }
        let sources =
            self.sources.range((prefix, 0, Prefix::MIN)..=(prefix, u32::MAX, Prefix::MAX));
        sources.last().map_or(0, |(_, count, _)| *count)
    }

    /// The sources in `prefix` that have the most connections.
    fn largest_sources(&self, prefix: Prefix) -> impl Iterator<Item = Prefix> {
        let count = self.largest_count(prefix);
        let largest = (prefix, count, Prefix::MIN)..=(prefix, count, Prefix::MAX);
        let itself = (prefix.level() == PrefixLevel::Source).then_some(prefix);
        itself.into_iter().chain(self.sources.range(largest).map(|(_, _, source)| *source))
    }

    fn slots_of(&self, source: Prefix) -> impl Iterator<Item = SlotId> {
        self.by_source.range((source, 0)..=(source, SlotId::MAX)).map(|(_, slot)| *slot)
    }

    fn remove_from_source(&mut self, source: Prefix, slot: SlotId) {
        self.by_source.remove(&(source, slot));
        self.change_counts(source, |count| count - 1);
    }

    /// Changes the number of connections of a source and of all wider prefixes.
    fn change_counts(&mut self, source: Prefix, change: impl Fn(u32) -> u32) {
        let old_source = self.count(source);
        let new_source = change(old_source);
        for prefix in source.levels() {
            let old = self.count(prefix);
            let new = change(old);
            if old > 0 {
                self.by_load.remove(&(load(prefix, old), prefix));
            }
            let is_wider = prefix != source;
            if is_wider && old_source > 0 {
                self.sources.remove(&(prefix, old_source, source));
            }
            if new > 0 {
                self.by_load.insert((load(prefix, new), prefix));
                self.counts.insert(prefix, new);
            } else {
                self.counts.remove(&prefix);
            }
            if is_wider && new_source > 0 {
                self.sources.insert((prefix, new_source, source));
            }
        }
    }

    /// The number of entries in all collections.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.slots.len()
            + self.counts.len()
            + self.by_load.len()
            + self.sources.len()
            + self.by_source.len()
    }
}

fn load(prefix: Prefix, count: u32) -> Load {
    count * weight(prefix.level())
}

/// The weight of one connection. A site has the same load as a source if it has four times as many connections, and a
/// network if it has sixteen times as many. So a network with many honest hosts does not lose its connections to an
/// attacker with few addresses. And an attacker with many addresses in one network has a higher load than a single
/// host.
fn weight(level: PrefixLevel) -> u32 {
    match level {
        PrefixLevel::Source => 16,
        PrefixLevel::Site => 4,
        PrefixLevel::Network => 1,
    }
}
