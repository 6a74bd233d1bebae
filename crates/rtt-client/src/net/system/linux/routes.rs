//! The route to an address: interface, next hop, state of the next hop, path MTU. These functions do not need
//! privileges.

use super::super::Interface;
use super::netlink;
use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{getsockopt, sockopt};
use socket2::Socket;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The next hop to `address`, if it has not answered the kernel's address resolution (ARP or neighbour discovery).
pub(crate) fn unresolved_next_hop(address: IpAddr) -> Option<IpAddr> {
    let route = route(address, None)?;
    let state = neighbour_state(&route).ok()??;
    matches!(state, NeighbourState::Incomplete | NeighbourState::Failed).then_some(route.next_hop)
}

/// The next hop to `peer`, if this host does not have its link address. The next packet to `peer` then waits for the
/// address resolution (ARP or neighbour discovery).
pub(crate) fn next_hop_to_resolve(peer: SocketAddr) -> Option<IpAddr> {
    let route = route(peer.ip().to_canonical(), scope_id(peer))?;
    if route.kind != RouteType::Unicast || !has_link_addresses(route.interface?) {
        return None;
    }
    let state = neighbour_state(&route).ok()?.unwrap_or(NeighbourState::None);
    let is_missing =
        matches!(state, NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed);
    is_missing.then_some(route.next_hop)
}

/// The interface that sends the packets to `peer`.
///
/// # Errors
///
/// There is no route, or the system does not return the list of interfaces.
pub(crate) fn interface_to(peer: SocketAddr) -> io::Result<Interface> {
    let not_found =
        || io::Error::new(io::ErrorKind::NotFound, "no interface has a route to this address");
    let index =
        scope_id(peer).or_else(|| route(peer.ip(), None)?.interface).ok_or_else(not_found)?;
    let (name, flags, hardware_type) = link(index)?.ok_or_else(not_found)?;
    Ok(Interface {
        index,
        name,
        is_loopback: flags.contains(InterfaceFlags::IFF_LOOPBACK),
        is_ethernet: matches!(hardware_type, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK),
    })
}

/// The index of the interface with this name.
///
/// # Errors
///
/// There is no such interface.
pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    Ok(if_nametoindex(name)?)
}

/// The maximum size of a packet on the path of a connected socket, in bytes. The kernel reduces this value when a
/// router reports a smaller one.
pub(crate) fn path_mtu(socket: &Socket) -> Option<u32> {
    u32::try_from(getsockopt(socket, sockopt::IpMtu).ok()?).ok()
}

/// The interface that the address names. Only a link-local address names one.
fn scope_id(peer: SocketAddr) -> Option<u32> {
    match peer {
        SocketAddr::V6(peer) if peer.scope_id() > 0 => Some(peer.scope_id()),
        _ => None,
    }
}

/// The name, the flags and the hardware type of the interface with this index, if it exists.
fn link(index: u32) -> io::Result<Option<(String, InterfaceFlags, u16)>> {
    let wanted = usize::try_from(index).unwrap_or(usize::MAX);
    Ok(getifaddrs()?.find_map(|interface| {
        let link = *interface.address?.as_link_addr()?;
        (link.ifindex() == wanted).then_some((
            interface.interface_name,
            interface.flags,
            link.hatype(),
        ))
    }))
}

/// Whether the kernel resolves addresses on the interface with this index.
fn has_link_addresses(index: u32) -> bool {
    let without =
        InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_NOARP | InterfaceFlags::IFF_POINTOPOINT;
    link(index).is_ok_and(|link| link.is_some_and(|(_, flags, _)| !flags.intersects(without)))
}

/// The state of the next hop in the kernel's table of neighbours. `None` if the table does not contain it.
fn neighbour_state(route: &Route) -> io::Result<Option<NeighbourState>> {
    let mut request = NeighbourMessage::default();
    request.header.family = family(route.next_hop);
    let mut state = None;
    netlink::request(RouteNetlinkMessage::GetNeighbour(request), NLM_F_DUMP, |answer| {
        if let RouteNetlinkMessage::NewNeighbour(neighbour) = answer
            && address_of(&neighbour) == Some(route.next_hop)
            && route.interface.is_none_or(|index| index == neighbour.header.ifindex)
        {
            state = Some(neighbour.header.state);
        }
    })?;
    Ok(state)
}

/// A route to an address.
struct Route {
    kind: RouteType,
    /// The address of the first router. If no router is necessary, the destination itself.
    next_hop: IpAddr,
    interface: Option<u32>,
}

/// The route to `address`, from the kernel's routing tables. A link-local address needs an `interface`.
fn route(address: IpAddr, interface: Option<u32>) -> Option<Route> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(address);
    request.header.destination_prefix_length = if address.is_ipv4() { 32 } else { 128 };
    request.attributes.push(RouteAttribute::Destination(address.into()));
    request.attributes.extend(interface.map(RouteAttribute::Oif));
    let mut route = None;
    netlink::request(RouteNetlinkMessage::GetRoute(request), 0, |answer| {
        let RouteNetlinkMessage::NewRoute(answer) = answer else { return };
        let mut found = Route { kind: answer.header.kind, next_hop: address, interface };
        for attribute in answer.attributes {
            match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(ip)) => found.next_hop = ip.into(),
                RouteAttribute::Gateway(RouteAddress::Inet6(ip)) => found.next_hop = ip.into(),
                RouteAttribute::Oif(index) => found.interface = Some(index),
                _ => {}
            }
        }
        route = Some(found);
    })
    .ok()?;
    route
}

fn address_of(neighbour: &NeighbourMessage) -> Option<IpAddr> {
    neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => Some((*ip).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => Some((*ip).into()),
        _ => None,
    })
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn route_to_loopback_has_no_router() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(route(loopback, None).map(|route| route.next_hop), Some(loopback));
        assert_eq!(unresolved_next_hop(loopback), None);
        assert_eq!(next_hop_to_resolve((loopback, 9).into()), None);
        let interface = interface_to((loopback, 9).into()).unwrap();
        assert!(interface.is_loopback && interface.is_ethernet, "{interface:?}");
        assert_eq!(interface_index(&interface.name).unwrap(), interface.index);
    }

    #[test]
    fn request_returns_the_error_of_the_kernel() {
        let mut message = netlink_packet_route::link::LinkMessage::default();
        message.header.index = u32::MAX >> 1;
        let request = RouteNetlinkMessage::GetLink(message);
        let error = netlink::request(request, 0, |_| {}).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
