//! [`FlowTable`]: counts the requests of each flow, for clients that send timing headers of version 2.
//!
//! A flow is the address and the port of one peer at one socket of the server. A client compares the counts with its
//! own and finds out where its requests were lost (`docs/protocol.md`). The server counts only requests with a header
//! of version 2, so any other datagram costs nothing here.
//!
//! Anybody can send datagrams with a forged source, so the table has these properties:
//!
//! - Its size is fixed: [`SETS`] sets of [`WAYS`] flows. A keyed hash selects the set of a flow, so an attacker cannot
//!   choose peers that share a set.
//! - A new flow replaces a flow only if that flow was idle for [`MIN_IDLE`]. If all flows of its set are active, the
//!   new flow has no counts. Its requests are still answered.
//! - An entry contains the complete address of its peer, so a reply never contains the counts of another flow.

use crate::queue_monitor::QueueState;
use echo_core::header::version2::FlowCounts;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Number of flows in a set.
const WAYS: usize = 4;

/// Number of sets. A full table takes about 800 KB for each socket of the server. It is allocated when the first
/// request with a header of version 2 arrives.
const SETS: usize = 512;

/// The size of a full table in bytes.
pub(crate) const SIZE: usize = SETS * size_of::<[Option<Flow>; WAYS]>();

/// A flow without requests for this time can be replaced by a new flow. The value is longer than the interval of most
/// measurements, so a flood with forged sources does not end the counts of a client that measures.
const MIN_IDLE: Duration = Duration::from_secs(5);

/// Number of the latest request numbers that a flow stores. For an older number, the flow cannot detect whether the
/// request is a duplicate. At 8,000 requests per second, the flow stores the numbers of 128 ms.
const REMEMBERED: u64 = 1024;

/// Number of bits in a word of the remembered numbers.
const WORD: u64 = u64::BITS as u64;

/// The reason why the server refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// The source exceeded its rate limit.
    Rate,
    /// Any other rule, for example the list of ports.
    List,
}

/// A request with a header of version 2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowRequest {
    pub(crate) peer: SocketAddr,
    /// The random number of the client's run.
    pub(crate) run: u32,
    pub(crate) number: u64,
    pub(crate) received_at: Instant,
    pub(crate) queue: QueueState,
}

/// The counts of all flows of one socket.
#[derive(Debug, Default)]
pub(crate) struct FlowTable {
    /// Empty until the first request.
    sets: Vec<[Option<Flow>; WAYS]>,
    hash_key: RandomState,
    /// Number of flows so far. The hash of this number is the random number of a flow.
    created: u64,
    /// The peer of the last request, and the index of its set. Consecutive requests often have the same peer, and the
    /// hash takes 1 % of the time of a round trip over loopback.
    last: Option<(SocketAddr, usize)>,
}

#[derive(Debug)]
struct Flow {
    peer: SocketAddr,
    run: u32,
    counts: FlowCounts,
    /// The state of the queue when the flow started. The counts of drops start with the previous datagram of the
    /// socket, so they contain the drops between that datagram and the first request.
    start: QueueState,
    /// The number of drops at the last request before which no other peer had sent a datagram.
    own_drops: u32,
    last_request: Instant,
    /// The highest number of a request.
    highest: u64,
    /// Whether the requests with the latest numbers have arrived. The bit of a number is its remainder modulo
    /// [`REMEMBERED`].
    arrived: NumberBits,
    /// Whether the requests with the latest numbers were refused because of the rate, and not answered later.
    refused: NumberBits,
}

/// One bit for each of the latest numbers.
type NumberBits = [u64; (REMEMBERED / WORD) as usize];

impl FlowTable {
    /// Counts a request that the server answers. Returns the counts for the reply. `None`: the table has no entry for
    /// this flow.
    pub(crate) fn answered(&mut self, request: FlowRequest) -> Option<FlowCounts> {
        let flow = self.flow(request)?;
        if flow.is_duplicate(request.number) {
            flow.take_back_refusal(request.number);
        }
        flow.receive(request.number);
        flow.counts.sent = flow.counts.sent.wrapping_add(1);
        flow.update_drops(request.queue);
        Some(flow.counts)
    }

    /// Counts a request that the server refuses. A refusal because of the rate creates an entry, because a later
    /// request of the flow can be answered. Other rules refuse all requests of a flow, or almost all.
    pub(crate) fn refused(&mut self, request: FlowRequest, reason: RefusalReason) {
        let flow = match reason {
            RefusalReason::Rate => self.flow(request),
            RefusalReason::List => self.known_flow(request),
        };
        let Some(flow) = flow.filter(|flow| !flow.is_duplicate(request.number)) else { return };
        flow.receive(request.number);
        let count = match reason {
            RefusalReason::Rate => &mut flow.counts.refused_rate,
            RefusalReason::List => &mut flow.counts.refused_list,
        };
        *count = count.wrapping_add(1);
        if reason == RefusalReason::Rate {
            let (word, bit) = position(request.number);
            flow.refused[word] |= bit;
        }
    }

    /// The entry of the flow. Creates it if there is none, or if the entry belongs to an earlier run of the client.
    fn flow(&mut self, request: FlowRequest) -> Option<&mut Flow> {
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Default::default);
        }
        let FlowRequest { peer, run, received_at, queue, .. } = request;
        let set_index = self.set_index(peer);
        let set = &mut self.sets[set_index];
        let known = set.iter().position(|flow| flow.as_ref().is_some_and(|flow| flow.peer == peer));
        let index = known.or_else(|| replaceable(set, received_at))?;
        if set[index].as_ref().is_none_or(|flow| (flow.peer, flow.run) != (peer, run)) {
            self.created = self.created.wrapping_add(1);
            #[expect(clippy::cast_possible_truncation, reason = "32 random bits are sufficient")]
            let id = self.hash_key.hash_one(self.created) as u32;
            set[index] = Some(Flow {
                peer,
                run,
                counts: FlowCounts {
                    id: NonZeroU32::new(id).unwrap_or(NonZeroU32::MIN),
                    // Another peer can have caused the drops before the first request.
                    has_foreign_drops: queue.peer_changes > 0
                        && queue.drops.is_some_and(|drops| drops != queue.drops_before),
                    ..FlowCounts::default()
                },
                start: queue,
                own_drops: queue.drops_before,
                last_request: received_at,
                highest: 0,
                arrived: NumberBits::default(),
                refused: NumberBits::default(),
            });
        }
        let flow = set[index].as_mut()?;
        flow.last_request = received_at;
        Some(flow)
    }

    fn known_flow(&mut self, request: FlowRequest) -> Option<&mut Flow> {
        let FlowRequest { peer, run, .. } = request;
        let index = self.set_index(peer);
        let set = self.sets.get_mut(index)?;
        set.iter_mut().flatten().find(|flow| (flow.peer, flow.run) == (peer, run))
    }

    fn set_index(&mut self, peer: SocketAddr) -> usize {
        match self.last {
            Some((last_peer, index)) if last_peer == peer => index,
            _ => {
                #[expect(clippy::cast_possible_truncation, reason = "only the lower bits are used")]
                let index = self.hash_key.hash_one(peer) as usize % SETS;
                self.last = Some((peer, index));
                index
            }
        }
    }
}

impl Flow {
    /// Whether the request with this number has arrived before. A request with a number that the flow no longer stores
    /// counts as a duplicate.
    fn is_duplicate(&self, number: u64) -> bool {
        let Some(age) = self.highest.checked_sub(number) else { return false };
        let (word, bit) = position(number);
        age >= REMEMBERED || self.arrived[word] & bit != 0
    }

    /// Counts the request with this number, if it is not a duplicate.
    fn receive(&mut self, number: u64) {
        let is_too_old = self.highest.checked_sub(number).is_some_and(|age| age >= REMEMBERED);
        self.counts.has_uncounted_requests |= is_too_old;
        if self.is_duplicate(number) {
            return;
        }
        if let Some(distance) = number.checked_sub(self.highest) {
            // The bits of the skipped numbers belong to older numbers.
            for skipped in 0..distance.min(REMEMBERED) {
                let (word, bit) = position(number - skipped);
                self.arrived[word] &= !bit;
                self.refused[word] &= !bit;
            }
            self.highest = number;
        }
        let (word, bit) = position(number);
        self.arrived[word] |= bit;
        self.counts.received = self.counts.received.wrapping_add(1);
    }

    /// The server answers a duplicate of a request. If it has refused the request, the refusal does not count any more.
    fn take_back_refusal(&mut self, number: u64) {
        let (word, bit) = position(number);
        let is_remembered = self.highest.checked_sub(number).is_some_and(|age| age < REMEMBERED);
        if is_remembered && self.refused[word] & bit != 0 {
            self.refused[word] &= !bit;
            self.counts.refused_rate = self.counts.refused_rate.wrapping_sub(1);
        }
    }

    /// Counts the drops of the queue. Drops belong to this flow only as long as no other peer has sent a datagram, and
    /// no datagram had a wrong checksum.
    fn update_drops(&mut self, queue: QueueState) {
        let drops = queue.drops.unwrap_or(0);
        let is_alone = queue.peer_changes == self.start.peer_changes;
        if is_alone {
            self.own_drops = drops;
        }
        let has_wrong_checksums = queue.checksum_errors != self.start.checksum_errors;
        self.counts.has_foreign_drops |=
            drops != self.own_drops || (has_wrong_checksums && drops != self.start.drops_before);
        self.counts.queue_drops =
            queue.drops.map(|drops| drops.wrapping_sub(self.start.drops_before));
    }
}

/// The word and the bit of a number among the remembered numbers.
fn position(number: u64) -> (usize, u64) {
    let index = number % REMEMBERED;
    let word = (index / WORD) as usize;
    (word, 1 << (index % WORD))
}

/// The entry of a set that a new flow can use: an empty one, or the one that was idle for the longest time.
fn replaceable(set: &[Option<Flow>; WAYS], now: Instant) -> Option<usize> {
    if let Some(empty) = set.iter().position(Option::is_none) {
        return Some(empty);
    }
    let idle = |flow: &Option<Flow>| {
        flow.as_ref().map_or(Duration::MAX, |flow| now.saturating_duration_since(flow.last_request))
    };
    let index = (0..WAYS).max_by_key(|index| idle(&set[*index]))?;
    (idle(&set[index]) >= MIN_IDLE).then_some(index)
}

#[cfg(test)]
mod tests;
