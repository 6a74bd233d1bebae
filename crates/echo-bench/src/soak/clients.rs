//! The kinds of clients in the soak test, and the counts of their requests and replies.

use super::{honest, hostile};
use crate::protocol::Protocol;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It follows the rules of the protocol. Each of its requests must get a correct reply.
    Honest,
    /// It breaks these rules or sends too much. It may get no replies.
    Hostile,
}

/// A kind of client.
pub(super) struct ClientKind {
    name: &'static str,
    behaviour: Behaviour,
    pub(super) protocol: Protocol,
    /// The last byte of its address in 127.0.0.0/24.
    host: u8,
    /// How many clients of this kind run at the same time.
    pub(super) instances: usize,
    /// Runs one client: server, the client's own address, end of the test, counts.
    pub(super) run: fn(SocketAddr, IpAddr, Instant, &Counts),
}

impl ClientKind {
    /// The address from which it sends.
    pub(super) fn source(&self) -> IpAddr {
        IpAddr::from([127, 0, 0, self.host])
    }
}

/// All kinds of clients.
pub(super) const CLIENTS: [ClientKind; 14] = [
    honest("UDP: numbered requests", Protocol::Udp, 1, 2, honest::udp),
    honest("UDP: the same capitals", Protocol::Udp, 2, 1, honest::udp_capitals),
    honest("TCP: keeps its connection", Protocol::Tcp, 1, 4, honest::tcp_keep),
    honest("TCP: a connection per request", Protocol::Tcp, 2, 2, honest::tcp_each),
    honest("TCP: long text, growing letters", Protocol::Tcp, 3, 1, honest::tcp_long),
    hostile("UDP: floods from one source", Protocol::Udp, 66, 1, hostile::udp_flood),
    hostile("UDP: source ports of services", Protocol::Udp, 67, 1, hostile::udp_ports),
    hostile("UDP: garbage, text too long", Protocol::Udp, 68, 1, hostile::udp_garbage),
    hostile("UDP: closes before the reply", Protocol::Udp, 69, 1, hostile::udp_close),
    hostile("TCP: connects, sends nothing", Protocol::Tcp, 70, 1, hostile::tcp_silent),
    hostile("TCP: sends, never reads", Protocol::Tcp, 71, 2, hostile::tcp_never_reads),
    hostile("TCP: resets the connection", Protocol::Tcp, 72, 1, hostile::tcp_reset),
    hostile("TCP: sends byte by byte", Protocol::Tcp, 73, 2, hostile::tcp_byte_by_byte),
    hostile("TCP: no pause between requests", Protocol::Tcp, 74, 1, hostile::tcp_flood),
];

const fn honest(
    name: &'static str,
    protocol: Protocol,
    host: u8,
    instances: usize,
    run: fn(SocketAddr, IpAddr, Instant, &Counts),
) -> ClientKind {
    ClientKind { name, behaviour: Behaviour::Honest, protocol, host, instances, run }
}

const fn hostile(
    name: &'static str,
    protocol: Protocol,
    host: u8,
    instances: usize,
    run: fn(SocketAddr, IpAddr, Instant, &Counts),
) -> ClientKind {
    ClientKind { name, behaviour: Behaviour::Hostile, protocol, host, instances, run }
}

/// The counts of all clients of a kind.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    replies: AtomicU64,
    wrong: AtomicU64,
    repeated: AtomicU64,
}

impl Counts {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// A request got no reply in time and is sent again.
    pub(super) fn repeat(&self) {
        self.repeated.fetch_add(1, Relaxed);
    }

    pub(super) fn correct_reply(&self) {
        self.replies.fetch_add(1, Relaxed);
    }

    pub(super) fn wrong_reply(&self) {
        self.replies.fetch_add(1, Relaxed);
        self.wrong.fetch_add(1, Relaxed);
    }

    /// Counts a reply, and compares it with the expected one.
    pub(super) fn reply(&self, reply: &[u8], expected: &[u8]) {
        if reply == expected { self.correct_reply() } else { self.wrong_reply() }
    }
}

/// Prints the counts of all clients. Returns what is wrong with them.
pub(super) fn print(counts: &[Counts]) -> Vec<String> {
    println!("\n{:<43}{:>10}{:>10}{:>6}{:>9}", "", "requests", "replies", "wrong", "repeated");
    CLIENTS.iter().zip(counts).flat_map(|(kind, counts)| print_kind(kind, counts)).collect()
}

fn print_kind(kind: &ClientKind, counts: &Counts) -> Vec<String> {
    let counts = [&counts.requests, &counts.replies, &counts.wrong, &counts.repeated];
    let [requests, replies, wrong, repeated] = counts.map(|count| count.load(Relaxed));
    let name = kind.name;
    let behaviour = match kind.behaviour {
        Behaviour::Honest => "honest ",
        Behaviour::Hostile => "hostile",
    };
    println!("{behaviour} {name:<35}{requests:>10}{replies:>10}{wrong:>6}{repeated:>9}");
    let mut failures = Vec::new();
    if wrong > 0 {
        failures.push(format!("`{name}` got {wrong} wrong replies"));
    }
    if kind.behaviour == Behaviour::Honest && (replies < requests || requests == 0) {
        let lost = requests.saturating_sub(replies);
        failures.push(format!("`{name}` sent {requests} requests; {lost} got no reply"));
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_and_missing_replies_are_failures() {
        let counts = Counts::default();
        counts.request();
        counts.reply(b"A", b"A");
        assert!(print_kind(&CLIENTS[0], &counts).is_empty());
        counts.request();
        assert_eq!(print_kind(&CLIENTS[0], &counts).len(), 1);
        counts.reply(b"b", b"B");
        assert_eq!(print_kind(&CLIENTS[0], &counts).len(), 1);
    }

    #[test]
    fn honest_client_that_never_ran_is_a_failure() {
        assert_eq!(print_kind(&CLIENTS[0], &Counts::default()).len(), 1);
    }

    #[test]
    fn hostile_client_may_get_no_reply() {
        let hostile = CLIENTS.iter().find(|kind| kind.behaviour == Behaviour::Hostile).unwrap();
        let counts = Counts::default();
        counts.request();
        assert!(print_kind(hostile, &counts).is_empty());
        counts.wrong_reply();
        assert_eq!(print_kind(hostile, &counts).len(), 1);
    }
}
