//! Creates sockets.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Whether several sockets can have the same port, and the system distributes the peers among them. Other
/// systems give all peers to one of the sockets, or do not have the option.
pub(super) const CAN_SHARE_PORTS: bool = cfg!(target_os = "linux");

/// Whether the sockets of several workers use one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortUse {
    Exclusive,
    Shared,
}

/// Creates a socket that is not bound yet.
pub(super) fn new_socket(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    port_use: PortUse,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if port_use == PortUse::Shared {
        // Linux distributes the peers by a hash of both addresses and ports (socket(7), SO_REUSEPORT).
        #[cfg(target_os = "linux")]
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // The same behaviour on every system. It also permits 0.0.0.0 and [::] at the same time.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether `address` is a multicast or broadcast address.
///
/// The system knows the broadcast addresses of its networks: connecting a UDP socket to one fails with EACCES
/// unless the socket has `SO_BROADCAST` (ip(7)).
pub(super) fn is_group_address(address: SocketAddr) -> bool {
    const DISCARD_PORT: u16 = 9;
    let is_broadcast = || {
        let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
        probe.is_ok_and(|probe| {
            probe
                .connect((address.ip(), DISCARD_PORT))
                .is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        })
    };
    address.ip().is_multicast()
        || (address.is_ipv4() && !address.ip().is_unspecified() && is_broadcast())
}
