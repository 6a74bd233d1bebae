//! Attacks over UDP: many datagrams, from one source or from many sources.

use super::{AttackCounts, repeated};
use crate::soak::connection::{source, udp_socket};
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// The second byte of the first attacker's address.
const NETWORK: u8 = 66;

/// The pause between two bursts.
const PAUSE: Duration = Duration::from_millis(1);

/// After a delay of the attacker, the next burst contains at most the datagrams of this time. A larger burst would
/// measure the receive queue of the server.
const MAX_BURST_TIME: Duration = Duration::from_millis(5);

/// The size of the attacker's receive buffer in bytes. The attacker does not read the replies.
const RECEIVE_BUFFER: usize = 4096;

/// An attack with datagrams.
pub(super) struct UdpAttack {
    /// The number of source addresses. Each of them is in another network.
    pub(super) sources: usize,
    /// A datagram contains repetitions of this text.
    pub(super) text: &'static str,
    /// The maximum size of a datagram in bytes.
    pub(super) size: usize,
    /// The datagrams per second of all sources together.
    pub(super) rate: u32,
}

/// Runs the attack until `is_finished` returns true. Its arguments are the counts and the time since the start of the
/// attack. Calls `ready` when all sockets are open.
pub(super) fn run(
    attack: &UdpAttack,
    server: SocketAddr,
    is_finished: impl Fn(&AttackCounts, Duration) -> bool,
    ready: impl FnOnce(),
) -> Result<AttackCounts> {
    super::tcp::raise_descriptor_limit()?;
    let datagram = repeated(attack.text, attack.size);
    let mut sockets = Vec::new();
    for index in 0..attack.sources {
        let socket =
            udp_socket(server, source(NETWORK, index)).context("the socket of an attacker")?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    ready();
    let mut counts = AttackCounts::default();
    let mut sockets = sockets.iter().cycle();
    let start = Instant::now();
    let mut credited = start;
    let mut credit = Duration::ZERO;
    let cost = Duration::from_secs(1) / attack.rate;
    while !is_finished(&counts, start.elapsed()) {
        let now = Instant::now();
        credit = (credit + (now - credited)).min(MAX_BURST_TIME);
        credited = now;
        while let Some(left) = credit.checked_sub(cost) {
            credit = left;
            let Some(socket) = sockets.next() else { break };
            // After an error, the datagram is missing: the send buffer is full, or an earlier reply caused an ICMP
            // error.
            if socket.send(&datagram).is_ok() {
                counts.requests += 1;
                counts.bytes += datagram.len() as u64;
            }
        }
        thread::sleep(PAUSE);
    }
    counts.milliseconds = u64::try_from(start.elapsed().as_millis())?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::UdpSocket;

    #[test]
    fn each_source_sends_datagrams_of_the_selected_text() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let attack = UdpAttack { sources: 4, text: "ab", size: 5, rate: 1_000 };
        let mut is_ready = false;
        let address = server.local_addr().unwrap();
        // On a busy machine, four datagrams can take long.
        let deadline = Duration::from_secs(30);
        let is_finished =
            |counts: &AttackCounts, elapsed| counts.requests >= 4 || elapsed > deadline;
        let counts = run(&attack, address, is_finished, || is_ready = true).unwrap();
        assert!(is_ready);
        assert!(counts.requests >= 4, "{counts:?}");
        assert!(counts.requests <= 1 + u64::from(attack.rate) * counts.milliseconds / 1_000 + 1);
        let mut peers = HashSet::new();
        for _ in 0..counts.requests {
            let mut datagram = [0; 10];
            let (length, peer) = server.recv_from(&mut datagram).unwrap();
            assert_eq!(&datagram[..length], b"abab");
            peers.insert(peer.ip());
        }
        assert_eq!(peers.len(), attack.sources);
    }
}
