//! What packets are to each other: flows, the role of each packet, and the exchange that it belongs to. Pure:
//! packets in, an explanation out.

mod difference;
mod flow;
#[cfg(test)]
mod tests;

pub(crate) use difference::Totals;
pub(crate) use flow::{Flow, Line, OnTheWire, Role};

use crate::packet::{Packet, What};
use std::net::SocketAddr;

/// The most flows that are told apart; what comes after them is counted.
const MOST_FLOWS: usize = 1000;

/// What a capture has in it.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    pub(crate) flows: Vec<Flow>,
    /// Packets of no flow that is shown.
    pub(crate) others: usize,
}

/// Explains packets in the order in which they were captured: their numbers, from 1, and what is in them;
/// nothing, where they are of none of our protocols.
pub(crate) fn explain<'a>(packets: impl Iterator<Item = (usize, Option<&'a Packet>)>) -> Explained {
    let mut explained = Explained::default();
    for (number, packet) in packets {
        let taken = packet.is_some_and(|packet| explained.take(number, packet));
        explained.others += usize::from(!taken);
    }
    for flow in &mut explained.flows {
        flow.settle();
    }
    explained
}

impl Explained {
    /// Takes a packet into its flow; returns whether it has one.
    fn take(&mut self, number: usize, packet: &Packet) -> bool {
        let (protocol, from, to) = match packet.what {
            What::Udp => (17, packet.from, packet.to),
            What::Tcp(_) => (6, packet.from, packet.to),
            What::Icmp { protocol, from, to, .. } => (protocol, from, to),
            What::Fragment { protocol } => return self.take_fragment(number, packet, protocol),
        };
        // The newest first: ports are used again.
        let known = self.flows.iter().rposition(|flow| flow.has(protocol, from, to));
        let place = match known {
            Some(place) if !self.flows[place].is_begun_anew_by(packet) => place,
            _ if self.flows.len() >= MOST_FLOWS => return false,
            _ => {
                self.flows.push(Flow::begun_by(protocol, packet, from, to));
                self.flows.len() - 1
            }
        };
        self.flows[place].take(number, packet);
        true
    }

    /// A later fragment has no ports: it belongs to the last flow between its hosts.
    fn take_fragment(&mut self, number: usize, packet: &Packet, protocol: u8) -> bool {
        let between = |flow: &&mut Flow| {
            let ends = [flow.client.ip(), flow.server.ip()];
            flow.number == protocol
                && (ends == [packet.from.ip(), packet.to.ip()]
                    || ends == [packet.to.ip(), packet.from.ip()])
        };
        match self.flows.iter_mut().rev().find(between) {
            Some(flow) => {
                flow.take(number, packet);
                true
            }
            None => false,
        }
    }

    /// Leaves the flows whose client is one of those, for a capture of one's own; where none ever stood, those
    /// to `server`.
    pub(crate) fn only_of(&mut self, clients: &[(u8, SocketAddr)], server: (u8, SocketAddr)) {
        let ends = |address: SocketAddr| (address.ip(), address.port());
        self.flows.retain(|flow| {
            let is_mine = |(number, client): &(u8, SocketAddr)| {
                *number == flow.number && ends(*client) == ends(flow.client)
            };
            let is_the_servers = server.0 == flow.number && ends(server.1) == ends(flow.server);
            if clients.is_empty() { is_the_servers } else { clients.iter().any(is_mine) }
        });
    }
}
