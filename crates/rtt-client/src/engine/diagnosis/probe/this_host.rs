//! Facts about this host that explain a finding: its addresses, and the state of its address resolution.

use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::model::condition::Condition;
use crate::model::icmp::{IcmpError, Origin};
use crate::net::system;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

/// Whether the sender of the ICMP error is this host. A socket can be bound only to an address of this host. The
/// function therefore tries to bind a socket to the sender's address.
pub(super) fn is_icmp_from_this_host(finding: &Finding) -> bool {
    match finding.failure().and_then(|failure| failure.origin) {
        Some(Origin::Icmp(IcmpError { from: Some(from), .. })) => {
            let address = SocketAddr::from((from, 0));
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None);
            socket.and_then(|socket| socket.bind(&address.into())).is_ok()
        }
        _ => false,
    }
}

/// If no packet arrived, looks up whether the next hop has answered the address resolution (ARP or neighbour discovery).
/// If it has not, replaces "silent" by "host unreachable". Linux itself reports this error only after three seconds.
pub(super) fn add_neighbour_state(finding: &mut Finding, address: SocketAddr) {
    let is_possible = match finding.condition() {
        Condition::Silent => finding.connect_duration.is_none(),
        // For a route of the type `unreachable`, this host reports the same error. Such a route has no next hop.
        Condition::HostUnreachable => finding.is_error_of_this_host(),
        _ => false,
    };
    if !is_possible {
        return;
    }
    let Some(next_hop) = system::unresolved_next_hop(address.ip()) else { return };
    finding.unresolved_next_hop = Some(next_hop);
    if let ProbeResult::NoAnswer(failure) = &mut finding.result
        && failure.condition == Condition::Silent
    {
        failure.condition = Condition::HostUnreachable;
        failure.origin = Some(Origin::ThisHost);
        failure.detail = Some(format!(
            "{next_hop} has not answered the address resolution (ARP or neighbour discovery)"
        ));
    }
}
