//! What packets are to each other: flows, the role of each packet, and the exchange that it belongs to. Pure:
//! packets in, an explanation out.

#[cfg(test)]
mod tests;

use super::flow::{Flow, Role};
use crate::capture::dissect::{Packet, PacketKind};
use std::net::SocketAddr;

/// Their numbers in IP's header.
const UDP: u8 = 17;
const TCP: u8 = 6;

/// The most flows that are told apart; what comes after them is counted.
const MOST_FLOWS: usize = 1000;

/// What a capture has in it.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    pub(crate) flows: Vec<Flow>,
    /// Packets of no flow that is shown.
    pub(crate) others: usize,
    lengths: Option<(u64, u64)>,
}

/// Explains packets in the order in which they were captured: their numbers, from 1, and what is in them;
/// nothing, where they are of none of our protocols.
///
/// Where it is known how many bytes a request and a reply have, streams are cut into exchanges by that.
pub(crate) fn explain<'a>(
    packets: impl Iterator<Item = (usize, Option<&'a Packet>)>,
    lengths: Option<(u64, u64)>,
) -> Explained {
    let mut explained = Explained { lengths, ..Explained::default() };
    for (number, packet) in packets {
        let taken = packet.is_some_and(|packet| explained.take(number, packet));
        explained.others += usize::from(!taken);
    }
    explained
}

impl Explained {
    /// Takes a packet into its flow; returns whether it has one.
    fn take(&mut self, number: usize, packet: &Packet) -> bool {
        let (protocol, from, to) = match packet.what {
            PacketKind::Udp => (UDP, packet.from, packet.to),
            PacketKind::Tcp(_) => (TCP, packet.from, packet.to),
            PacketKind::Icmp { protocol, from, to, .. } => (protocol, from, to),
            PacketKind::Fragment { protocol } => {
                return self.take_fragment(number, packet, protocol);
            }
        };
        // The newest first: ports are used again.
        let known = self.flows.iter().rposition(|flow| flow.has(protocol, from, to));
        let place = match known {
            Some(place) if !self.flows[place].is_begun_anew_by(packet) => place,
            _ if self.flows.len() >= MOST_FLOWS => return false,
            _ => {
                self.flows.push(Flow::begun_by(protocol, packet, from, to, self.lengths));
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
            flow.ip_protocol == protocol
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

    /// Leaves the flows that are one's own: those of `clients`, and connections that were never accepted, for
    /// nobody knows what they were asked for from.
    pub(crate) fn only_of(&mut self, clients: &[SocketAddr]) {
        let ends = |address: SocketAddr| (address.ip(), address.port());
        self.flows.retain(|flow| {
            let was_accepted = flow.packets.iter().any(|line| line.role == Role::SynAck);
            let is_mine = clients.iter().any(|client| ends(*client) == ends(flow.client));
            is_mine || (flow.ip_protocol == TCP && !was_accepted)
        });
    }
}
