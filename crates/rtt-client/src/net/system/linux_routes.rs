//! Linux: the way to an address: by which interface, and whether the next hop answers for itself
//! (rtnetlink(7)). Asking needs no privileges.

use super::Interface;
use super::linux_netlink::{NLM_F_DUMP, talk};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Message types, attributes and states of include/uapi/linux/{rtnetlink,neighbour}.h.
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const NDA_DST: u16 = 1;
const NUD_INCOMPLETE: u16 = 0x01;
const NUD_FAILED: u16 = 0x20;

/// The lengths of `struct rtmsg`, `struct ndmsg`, `struct rtattr`.
const ROUTE: usize = 12;
const NEIGHBOUR: usize = 12;
const ATTRIBUTE: usize = 4;

/// The next hop to `address`, if it is known not to have answered for its own address.
pub(crate) fn unresolved_next_hop(address: IpAddr) -> Option<IpAddr> {
    let Route { hop, interface } = route(address)?;
    let mut outcome_of = false;
    let mut body = [0; NEIGHBOUR];
    body[0] = family(address);
    talk(RTM_GETNEIGH, NLM_F_DUMP, &body, &mut |kind, body| {
        let state = body.get(8..10).map(|state| u16::from_ne_bytes([state[0], state[1]]));
        let (Some(state), RTM_NEWNEIGH) = (state, kind) else { return };
        let of = attribute(body.get(NEIGHBOUR..).unwrap_or_default(), NDA_DST);
        let on = body.get(4..).and_then(|rest| rest.first_chunk());
        let on = on.map(|index| u32::from_ne_bytes(*index));
        if of.and_then(address_in) == Some(hop) && (interface.is_none() || on == interface) {
            outcome_of = state & (NUD_INCOMPLETE | NUD_FAILED) != 0;
        }
    })
    .ok()?;
    outcome_of.then_some(hop)
}

/// A way to an address.
struct Route {
    /// The router to it, or itself where it is on the link.
    hop: IpAddr,
    interface: Option<u32>,
}

/// The way to `address`.
fn route(address: IpAddr) -> Option<Route> {
    let bytes = bytes_of(address);
    let mut body = vec![0; ROUTE];
    body[0] = family(address);
    body[1] = u8::try_from(bytes.len() * 8).ok()?;
    let length = u16::try_from(ATTRIBUTE + bytes.len()).ok()?;
    body.extend(length.to_ne_bytes());
    body.extend(RTA_DST.to_ne_bytes());
    body.extend(bytes);
    let mut route = None;
    talk(RTM_GETROUTE, 0, &body, &mut |kind, body| {
        if kind == RTM_NEWROUTE {
            let attributes = body.get(ROUTE..).unwrap_or_default();
            let gateway = attribute(attributes, RTA_GATEWAY).and_then(address_in);
            let interface = attribute(attributes, RTA_OIF).and_then(|index| index.first_chunk());
            let interface = interface.map(|index| u32::from_ne_bytes(*index));
            route = Some(Route { hop: gateway.unwrap_or(address), interface });
        }
    })
    .ok()?;
    route
}

/// The interface that packets to `peer` leave by.
pub(crate) fn interface_to(peer: SocketAddr) -> io::Result<Interface> {
    let zone = match peer {
        SocketAddr::V6(peer) if peer.scope_id() > 0 => Some(peer.scope_id()),
        _ => None,
    };
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "no interface leads there");
    let index = zone.or_else(|| route(peer.ip())?.interface).ok_or_else(unknown)?;
    let wanted = usize::try_from(index).unwrap_or(usize::MAX);
    let found = getifaddrs()?.find_map(|interface| {
        let link = *interface.address?.as_link_addr()?;
        (link.ifindex() == wanted).then_some((
            interface.interface_name,
            interface.flags,
            link.hatype(),
        ))
    });
    let (name, flags, kind) = found.ok_or_else(unknown)?;
    Ok(Interface {
        index,
        name,
        is_loopback: flags.contains(InterfaceFlags::IFF_LOOPBACK),
        is_ethernet: matches!(kind, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK),
    })
}

/// The attribute of that type.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes([*attributes.get(2)?, *attributes.get(3)?]);
        let value = attributes.get(ATTRIBUTE..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).unwrap_or(0)
}

fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address_in(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        16 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_oneself_has_no_router() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(route(loopback).map(|route| route.hop), Some(loopback));
        assert_eq!(unresolved_next_hop(loopback), None);
    }

    #[test]
    fn nonsense_is_no_attribute() {
        assert!(attribute(&[0; 8], 1).is_none());
        assert!(attribute(&[200, 0, 1, 0], 1).is_none());
    }
}
