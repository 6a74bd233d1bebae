//! [`FirstPacket`]: whether the first packet of a series waited for the link address of the next hop.
//!
//! The kernel stores the link addresses of its neighbours. If the address of the next hop is missing, the kernel keeps the
//! first packet in a queue until the neighbour answers (ARP, or neighbour discovery). The first measured duration contains
//! this time, but the path is not the cause.

use crate::model::address_resolution::{AddressResolution, ContainedIn};
use crate::model::exchange::{Connection, Exchange};
use crate::net::system;
use std::net::SocketAddr;

/// The state of the next hop before the first packet, and the first measured duration.
#[derive(Debug, Default)]
pub(super) struct FirstPacket {
    resolution: Option<AddressResolution>,
    is_decided: bool,
}

impl FirstPacket {
    /// Looks up the state of the next hop to `peer`. Call this function before the first packet to `peer`.
    pub(super) fn before(peer: SocketAddr) -> Self {
        let contained_in = ContainedIn::FirstRtt(None);
        let resolution = system::next_hop_to_resolve(peer).map(|next_hop| AddressResolution {
            next_hop,
            wait: None,
            contained_in,
        });
        Self { resolution, is_decided: false }
    }

    /// Adds an attempt to connect. The first packet of a protocol with connections belongs to the handshake. The kernel
    /// takes no timestamps of the packets of a handshake.
    pub(super) fn connection(&mut self, connection: &Connection) {
        if self.is_decided {
            return;
        }
        self.is_decided = true;
        self.resolution = self.resolution.take().and_then(|resolution| {
            let contained_in = ContainedIn::Handshake(connection.duration()?);
            Some(AddressResolution { contained_in, ..resolution })
        });
    }

    /// Adds an exchange. If the kernel took timestamps, the first part of the RTT is the time until the packet left this
    /// host.
    pub(super) fn exchange(&mut self, exchange: &Exchange) {
        if self.is_decided || exchange.seq != 1 {
            return;
        }
        self.is_decided = true;
        if let Some(resolution) = &mut self.resolution {
            resolution.wait = exchange.breakdown.map(|breakdown| breakdown.send);
            resolution.contained_in = ContainedIn::FirstRtt(exchange.rtt());
        }
    }

    /// The address resolution that delayed the first packet. `has_replies` states whether a reply has arrived. Without a
    /// reply, it is not known whether the next hop has answered.
    pub(super) fn finish(self, has_replies: bool) -> Option<AddressResolution> {
        self.resolution.filter(|_| self.is_decided && has_replies)
    }
}
