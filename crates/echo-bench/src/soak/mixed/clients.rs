//! The kinds of clients in the soak test, and the numbers of their requests and replies.

use super::{honest, hostile};
use crate::protocol::Protocol::{self, Tcp, Udp};
use Behaviour::{Honest, Hostile};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The behaviour of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// The client follows the rules of the protocol. Each of its requests must receive a correct reply.
    Honest,
    /// The client breaks these rules or exceeds the limits of the server. The server does not have to answer it.
    Hostile,
}

/// A kind of client.
pub(super) struct ClientKind {
    name: &'static str,
    behaviour: Behaviour,
    pub(super) protocol: Protocol,
    /// The last byte of the client's address.
    host: u8,
    /// The number of clients of this kind. They run at the same time.
    pub(super) instances: usize,
    pub(super) run: RunClient,
}

/// Runs one client. The arguments are the server, the client's own address, the end of the test, and the counts.
type RunClient = fn(SocketAddr, IpAddr, Instant, &Counts);

impl ClientKind {
    /// The source address of these clients. Honest and hostile clients are in different networks.
    pub(super) fn source(&self) -> IpAddr {
        let network = match self.behaviour {
            Honest => 1,
            Hostile => 66,
        };
        IpAddr::from([127, 0, network, self.host])
    }
}

/// All kinds of clients.
pub(super) const CLIENTS: [ClientKind; 15] = [
    client(Honest, Udp, "sends numbered requests", 1, 2, honest::udp),
    client(Honest, Udp, "sends text in upper case", 2, 1, honest::udp_capitals),
    client(Honest, Tcp, "keeps its connection", 1, 4, honest::tcp_keep),
    client(Honest, Tcp, "one connection per request", 2, 2, honest::tcp_each),
    client(Honest, Tcp, "long text, longer in upper case", 3, 1, honest::tcp_long),
    client(Hostile, Udp, "floods from one source", 1, 1, hostile::udp_flood),
    client(Hostile, Udp, "uses source ports of services", 2, 1, hostile::udp_ports),
    client(Hostile, Udp, "sends garbage and long text", 3, 1, hostile::udp_garbage),
    client(Hostile, Udp, "closes before the reply", 4, 1, hostile::udp_close),
    client(Hostile, Tcp, "connects and sends nothing", 5, 1, hostile::tcp_silent),
    client(Hostile, Tcp, "sends and never reads", 6, 2, hostile::tcp_never_reads),
    client(Hostile, Tcp, "reads a few bytes per second", 10, 4, hostile::tcp_reads_slowly),
    client(Hostile, Tcp, "resets the connection", 7, 1, hostile::tcp_reset),
    client(Hostile, Tcp, "sends byte by byte", 8, 2, hostile::tcp_byte_by_byte),
    client(Hostile, Tcp, "no pause between requests", 9, 1, hostile::tcp_flood),
];

const fn client(
    behaviour: Behaviour,
    protocol: Protocol,
    name: &'static str,
    host: u8,
    instances: usize,
    run: RunClient,
) -> ClientKind {
    ClientKind { name, behaviour, protocol, host, instances, run }
}

/// The counts for all clients of one kind.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    replies: AtomicU64,
    wrong: AtomicU64,
    repeated: AtomicU64,
    overdue: AtomicU64,
}

impl Counts {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts a request that the client sends again, because no reply arrived in time.
    pub(super) fn repeat(&self) {
        self.repeated.fetch_add(1, Relaxed);
    }

    /// Counts a connection that the server did not close in time.
    pub(super) fn overdue(&self) {
        self.overdue.fetch_add(1, Relaxed);
    }

    pub(super) fn correct_reply(&self) {
        self.replies.fetch_add(1, Relaxed);
    }

    pub(super) fn wrong_reply(&self) {
        self.replies.fetch_add(1, Relaxed);
        self.wrong.fetch_add(1, Relaxed);
    }

    /// Compares a reply with the expected reply and counts it.
    pub(super) fn reply(&self, reply: &[u8], expected: &[u8]) {
        if reply == expected { self.correct_reply() } else { self.wrong_reply() }
    }
}

/// Prints the counts of all clients and returns the failures.
pub(super) fn print(counts: &[Counts]) -> Vec<String> {
    println!("\n{:<44}{:>10}{:>10}{:>6}{:>9}", "", "requests", "replies", "wrong", "repeated");
    CLIENTS.iter().zip(counts).flat_map(|(kind, counts)| print_kind(kind, counts)).collect()
}

fn print_kind(kind: &ClientKind, counts: &Counts) -> Vec<String> {
    let Counts { requests, replies, wrong, repeated, overdue } = counts;
    let counts = [requests, replies, wrong, repeated, overdue];
    let [requests, replies, wrong, repeated, overdue] = counts.map(|count| count.load(Relaxed));
    let name = format!("{}: {}", kind.protocol, kind.name);
    let behaviour = match kind.behaviour {
        Honest => "honest ",
        Hostile => "hostile",
    };
    println!("{behaviour} {name:<36}{requests:>10}{replies:>10}{wrong:>6}{repeated:>9}");
    let mut failures = Vec::new();
    if wrong > 0 {
        failures.push(format!("the clients `{name}` received {wrong} wrong replies"));
    }
    if overdue > 0 {
        failures.push(format!("the server kept {overdue} connections of `{name}` open too long"));
    }
    if kind.behaviour == Honest && (replies < requests || requests == 0) {
        let lost = requests.saturating_sub(replies);
        failures.push(format!(
            "the clients `{name}` sent {requests} requests; {lost} received no reply"
        ));
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
    fn honest_client_without_requests_is_a_failure() {
        assert_eq!(print_kind(&CLIENTS[0], &Counts::default()).len(), 1);
    }

    #[test]
    fn hostile_client_without_replies_is_no_failure() {
        let hostile = CLIENTS.iter().find(|kind| kind.behaviour == Hostile).unwrap();
        let counts = Counts::default();
        counts.request();
        assert!(print_kind(hostile, &counts).is_empty());
        counts.wrong_reply();
        assert_eq!(print_kind(hostile, &counts).len(), 1);
    }

    #[test]
    fn connection_that_stays_open_too_long_is_a_failure() {
        let hostile = CLIENTS.iter().find(|kind| kind.behaviour == Hostile).unwrap();
        let counts = Counts::default();
        counts.overdue();
        assert_eq!(print_kind(hostile, &counts).len(), 1);
    }
}
