//! The slots under attack, without sockets.

use super::*;
use crate::limits::DEFAULT_MAX_CONNECTIONS_PER_SOURCE;
use crate::poller::Poller;
use echo_service::SourceLimit;
use std::time::Duration;

const SLOTS: usize = 256;

fn slots(max: usize, max_per_source: Option<u64>) -> ConnectionSlots {
    let source = SourceLimit::resolve(max_per_source, DEFAULT_MAX_CONNECTIONS_PER_SOURCE);
    let poller = || Poller::new(Duration::ZERO).unwrap().waker();
    ConnectionSlots::new(max, PrefixLimits::new(max, source), vec![poller(), poller()])
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Assigns slots to connections of the first worker. The token of a connection is the number of the attempt.
struct Clients {
    slots: ConnectionSlots,
    /// The slot and the address of each connection, by its token. `None`: refused or closed.
    open: Vec<Option<(SlotId, IpAddr)>>,
}

impl Clients {
    fn new(max: usize, max_per_source: Option<u64>) -> Self {
        Self { slots: slots(max, max_per_source), open: Vec::new() }
    }

    /// Opens a connection. Closes the connection that it replaces, and returns the address of this connection.
    fn connect(&mut self, peer: IpAddr) -> Result<Option<IpAddr>, Refusal> {
        let token = self.open.len();
        self.open.push(None);
        let Admission { slot, replaced } = self.slots.acquire(peer, Owner { worker: 0, token })?;
        self.open[token] = Some((slot, peer));
        Ok(replaced.map(|token| self.close(token)))
    }

    fn close(&mut self, token: usize) -> IpAddr {
        let (slot, peer) = self.open[token].take().expect("an open connection");
        self.slots.release(slot);
        peer
    }

    fn close_all(&mut self) {
        for (slot, _) in self.open.iter_mut().filter_map(Option::take) {
            self.slots.release(slot);
        }
    }

    /// The number of open connections from addresses that `is_member` accepts.
    fn count(&self, is_member: impl Fn(IpAddr) -> bool) -> usize {
        self.open.iter().flatten().filter(|(_, peer)| is_member(*peer)).count()
    }

    fn entries(&self) -> usize {
        self.slots.state().index.entries()
    }
}

/// Lets the attackers connect until they have used all slots that they can use.
fn take_all_slots(clients: &mut Clients, attackers: &[IpAddr]) {
    for _ in 0..2 * clients.slots.max / attackers.len() {
        for attacker in attackers {
            let _ = clients.connect(*attacker);
        }
    }
}

/// An honest newcomer receives a slot, keeps it during the attack, and does not take a slot from another honest client.
fn assert_newcomers_are_served(attackers: &[IpAddr], newcomers: &[IpAddr]) {
    let mut clients = Clients::new(SLOTS, None);
    take_all_slots(&mut clients, attackers);
    let is_newcomer = |peer: IpAddr| newcomers.contains(&peer);
    for round in 1..=2 {
        for newcomer in newcomers {
            let replaced = clients.connect(*newcomer).expect("a slot for the newcomer");
            assert!(replaced.is_none_or(|peer| !is_newcomer(peer)), "{replaced:?}");
        }
        take_all_slots(&mut clients, attackers);
        assert_eq!(clients.count(is_newcomer), round * newcomers.len(), "{newcomers:?}");
    }
    assert!(clients.slots.state().index.open() <= SLOTS);
}

#[test]
fn newcomers_are_served_while_64_addresses_hold_all_slots() {
    let attackers: Vec<_> = (1..=64).map(|n| address(&format!("198.51.{n}.7"))).collect();
    let newcomers = [address("192.0.2.1"), address("2001:db8::1")];
    assert_newcomers_are_served(&attackers, &newcomers);
}

#[test]
fn newcomers_are_served_while_64_networks_of_one_ipv6_48_network_hold_their_slots() {
    let attackers: Vec<_> = (0..64).map(|n| address(&format!("2001:db8:1:{n:x}::7"))).collect();
    let newcomers = [address("192.0.2.1"), address("2001:db8:2::1"), address("2001:db8:1:ff00::1")];
    assert_newcomers_are_served(&attackers, &newcomers[..2]);
    // This newcomer is in the /48 network of the attackers.
    let mut clients = Clients::new(SLOTS, None);
    take_all_slots(&mut clients, &attackers);
    assert!(clients.connect(newcomers[2]).is_ok());
}

#[test]
fn newcomers_are_served_while_many_ipv6_48_networks_with_one_connection_per_64_network_attack() {
    let attackers: Vec<_> = (0..16)
        .flat_map(|net| (0..64).map(move |n| address(&format!("2001:db8:{net:x}:{n:x}::7"))))
        .collect();
    let mut clients = Clients::new(SLOTS, None);
    for attacker in &attackers {
        let _ = clients.connect(*attacker);
    }
    let newcomer = address("192.0.2.1");
    assert!(clients.connect(newcomer).is_ok());
    for attacker in &attackers {
        let _ = clients.connect(*attacker);
    }
    assert_eq!(clients.count(|peer| peer == newcomer), 1);
}

#[test]
fn one_ipv6_48_network_uses_at_most_half_of_all_slots() {
    let mut clients = Clients::new(1024, None);
    let attackers: Vec<_> = (0..64).map(|n| address(&format!("2001:db8:1:{n:x}00::7"))).collect();
    take_all_slots(&mut clients, &attackers);
    assert_eq!(clients.count(|_| true), 512);
    let mut clients = Clients::new(2048, None);
    let attackers: Vec<_> = (0..64).map(|n| address(&format!("2001:db8:1:{n:x}::7"))).collect();
    take_all_slots(&mut clients, &attackers);
    assert_eq!(clients.count(|_| true), 512, "all of them are in one /56 network");
    let mut clients = Clients::new(1024, None);
    let attackers: Vec<_> = (0..64).map(|n| address(&format!("192.0.2.{n}"))).collect();
    take_all_slots(&mut clients, &attackers);
    assert_eq!(clients.count(|_| true), 512);
}

#[test]
fn source_of_the_replaced_connection_has_the_most_connections() {
    let mut clients = Clients::new(16, None);
    let (large, medium, newcomer) =
        (address("198.51.100.1"), address("203.0.113.1"), address("192.0.2.1"));
    for _ in 0..10 {
        assert_eq!(clients.connect(large), Ok(None));
    }
    for _ in 0..5 {
        assert_eq!(clients.connect(medium), Ok(None));
    }
    // The last slot is reserved for a source without a connection.
    assert_eq!(clients.connect(large), Err(Refusal::AllSlots));
    assert_eq!(clients.connect(medium), Ok(Some(large)));
    assert_eq!(clients.connect(newcomer), Ok(None));
    assert_eq!(clients.connect(newcomer), Ok(Some(large)));
    // Each source can have the same number of connections.
    for _ in 0..20 {
        let _ = clients.connect(newcomer);
        let _ = clients.connect(medium);
        let _ = clients.connect(large);
    }
    for peer in [large, medium, newcomer] {
        assert!((5..=6).contains(&clients.count(|other| other == peer)), "{peer}");
    }
}

#[test]
fn replaced_connection_has_been_idle_longest() {
    let mut clients = Clients::new(4, None);
    let attacker = address("198.51.100.1");
    for _ in 0..4 {
        clients.connect(attacker).unwrap();
    }
    let later = clients.slots.start;
    for (token, seconds) in [(0, 40), (1, 20), (2, 10), (3, 30)] {
        let (slot, _) = clients.open[token].unwrap();
        // The slots read the clock now, and a time in the future would look like a very long idle time.
        let activity = &clients.slots.activity[slot as usize];
        let now = clients.slots.milliseconds(later);
        activity.store(now.wrapping_sub(100_000 - seconds * 1000), Ordering::Relaxed);
    }
    for expected in [2, 1] {
        clients.connect(address(&format!("192.0.{expected}.1"))).unwrap();
        assert!(clients.open[expected].is_none(), "{expected}");
    }
}

#[test]
fn connections_are_refused_at_the_limit_of_a_source_until_one_ends() {
    let mut clients = Clients::new(1000, Some(2));
    let (first, second) = (address("192.0.2.1"), address("127.0.0.1"));
    for peer in [first, second] {
        let token = clients.open.len();
        assert_eq!(clients.connect(peer), Ok(None));
        assert_eq!(clients.connect(peer), Ok(None));
        assert_eq!(clients.connect(peer), Err(Refusal::PrefixLimit));
        clients.close(token);
        assert_eq!(clients.connect(peer), Ok(None));
    }
}

#[test]
fn loopback_addresses_and_the_limit_0_have_no_limit_except_the_reserve() {
    for (peer, max_per_source) in [("127.0.0.1", None), ("192.0.2.1", Some(0))] {
        let mut clients = Clients::new(1600, max_per_source);
        for _ in 0..1500 {
            assert_eq!(clients.connect(address(peer)), Ok(None));
        }
        assert_eq!(clients.connect(address(peer)), Err(Refusal::AllSlots));
    }
}

#[test]
fn table_of_sources_contains_only_open_connections() {
    let mut clients = Clients::new(SLOTS, None);
    for number in 0..10_000_u32 {
        // Each connection has its own /48 network.
        let peer = address(&format!("2001:{:x}:{:x}::1", number >> 16, number & 0xffff));
        let _ = clients.connect(peer);
    }
    assert_eq!(clients.count(|_| true), SLOTS);
    // For each connection: the slot, the slot in its source, its source in two prefixes, and two entries for each
    // of three prefixes.
    assert_eq!(clients.entries(), SLOTS * 10);
    clients.close_all();
    assert_eq!(clients.entries(), 0);
}

#[test]
fn connection_of_another_worker_is_closed_by_a_message() {
    let slots = slots(2, None);
    let attacker = address("198.51.100.1");
    let owner = |worker, token| Owner { worker, token };
    let first = slots.acquire(attacker, owner(1, 10)).unwrap();
    let second = slots.acquire(attacker, owner(1, 11)).unwrap();
    let newcomer = slots.acquire(address("192.0.2.1"), owner(0, 20)).unwrap();
    assert_eq!(newcomer.replaced, None);
    assert_eq!(slots.take_replaced(0), [0; 0]);
    let replaced = slots.take_replaced(1);
    assert!(replaced == [10] || replaced == [11], "{replaced:?}");
    assert_eq!(slots.take_replaced(1), [0; 0]);
    for slot in [first.slot, second.slot, newcomer.slot] {
        slots.release(slot);
    }
    assert_eq!(slots.state().index.entries(), 0);
    assert_eq!(slots.state().index.pending_closes(), 0);
}

#[test]
fn message_about_a_connection_that_has_ended_closes_no_other_connection() {
    let slots = slots(1, None);
    let owner = |worker, token| Owner { worker, token };
    let old = slots.acquire(address("198.51.100.1"), owner(1, 10)).unwrap();
    let newcomer = slots.acquire(address("192.0.2.1"), owner(0, 20)).unwrap();
    // The old connection ends, and a new one has its slot and its token, before the worker reads its messages.
    slots.release(old.slot);
    slots.release(newcomer.slot);
    let next = slots.acquire(address("192.0.2.2"), owner(1, 10)).unwrap();
    assert_eq!(slots.take_replaced(1), [0; 0]);
    slots.release(next.slot);
    assert_eq!(slots.state().index.entries(), 0);
}

#[test]
fn number_of_messages_is_limited() {
    let slots = slots(1024, Some(0));
    let attacker = address("198.51.100.1");
    let owner = |worker, token| Owner { worker, token };
    for token in 0..1024 - reserved(1024) {
        slots.acquire(attacker, owner(1, token)).unwrap();
    }
    // The other worker does not read its messages.
    let newcomers =
        (0..1024_u32).map(|number| IpAddr::from((0xC000_0000 + (number << 8)).to_be_bytes()));
    let results: Vec<_> = newcomers.map(|peer| slots.acquire(peer, owner(0, 0))).collect();
    let served = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(served, reserved(1024) + MAX_PENDING_CLOSES);
    assert_eq!(slots.take_replaced(1).len(), MAX_PENDING_CLOSES);
}
