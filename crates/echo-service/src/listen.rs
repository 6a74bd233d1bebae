//! Opens the sockets of a server: sockets passed by a supervisor, and the addresses of `--listen`.

mod error;
#[cfg(test)]
mod tests;

pub use error::{BindError, ListenError, SocketOperation};

use crate::ServiceArgs;
use crate::process::take_passed_sockets;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// Maximum number of connections that the kernel completes before the server accepts them. Linux limits this
/// number to `net.core.somaxconn` (4096 by default). If more clients connect at the same time, some of them
/// must retry.
const BACKLOG: i32 = 4096;

/// Whether the system distributes the peers among several sockets with the same port (`SO_REUSEPORT`).
/// Systems other than Linux assign all peers to one of these sockets, or do not have this option.
const CAN_SHARE_PORTS: bool = cfg!(target_os = "linux");

/// Opens UDP sockets and returns one set for each worker. A set contains the sockets passed by a supervisor
/// and those of `--listen`. If there are no such sockets, the set contains a socket for each loopback address
/// with `default_port`. The function calls `prepare` for each new socket before it binds the socket.
///
/// # Errors
///
/// The first error. If the machine has no IPv6, the default is IPv4 only, without an error.
pub fn open_udp_sockets(
    args: &ServiceArgs,
    default_port: u16,
    prepare: impl Fn(&UdpSocket, SocketAddr),
) -> Result<Vec<Vec<UdpSocket>>, ListenError> {
    const PROTOCOL: &str = "UDP";
    let passed = take_passed_sockets();
    check_passed(
        PROTOCOL,
        passed.unsupported + passed.tcp.len(),
        passed.udp.iter().map(SockRef::from),
    )?;
    let sets = clone_for_workers(PROTOCOL, &passed.udp, args.workers.get(), UdpSocket::try_clone)?;
    open_all(PROTOCOL, sets, &args.listen, default_port, |address, port_use| {
        if is_group_address(address) {
            return Err(ListenError::GroupAddress { protocol: PROTOCOL, address });
        }
        let open = || {
            let socket = new_socket(address, Type::DGRAM, Protocol::UDP, port_use)?.into();
            prepare(&socket, address);
            SockRef::from(&socket).bind(&address.into())?;
            let address = socket.local_addr()?;
            Ok(BoundSocket { socket, address })
        };
        open().map_err(|error| ListenError::bind(PROTOCOL, address, error))
    })
}

/// Opens TCP listeners and returns one set for each worker, with the same rules as [`open_udp_sockets`].
///
/// # Errors
///
/// See [`open_udp_sockets`].
pub fn open_tcp_listeners(
    args: &ServiceArgs,
    default_port: u16,
) -> Result<Vec<Vec<TcpListener>>, ListenError> {
    const PROTOCOL: &str = "TCP";
    let passed = take_passed_sockets();
    check_passed(
        PROTOCOL,
        passed.unsupported + passed.udp.len(),
        passed.tcp.iter().map(SockRef::from),
    )?;
    let sets =
        clone_for_workers(PROTOCOL, &passed.tcp, args.workers.get(), TcpListener::try_clone)?;
    open_all(PROTOCOL, sets, &args.listen, default_port, |address, port_use| {
        let open = || {
            let socket = new_socket(address, Type::STREAM, Protocol::TCP, port_use)?;
            // The server can start while connections of an earlier server are in TIME-WAIT. On Windows, this
            // option would let two servers share the port, and it is not needed there.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let socket = TcpListener::from(socket);
            let address = socket.local_addr()?;
            Ok(BoundSocket { socket, address })
        };
        open().map_err(|error| ListenError::bind(PROTOCOL, address, error))
    })
}

/// Prints on stdout that `server` listens on `address`. Scripts can wait for this line. If other hosts can
/// reach the address, the function also logs a warning.
pub fn announce(server: &str, address: SocketAddr) {
    // The server also works if stdout is closed.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{server} listening on {address}").and_then(|()| stdout.flush());
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "other hosts can reach this server and make it send replies; restrict it with --allow and --rate"
        );
    }
}

/// Checks the sockets that a supervisor passed. `unsupported` is the number of sockets of another kind.
fn check_passed<'a>(
    protocol: &'static str,
    unsupported: usize,
    mut sockets: impl Iterator<Item = SockRef<'a>>,
) -> Result<(), ListenError> {
    if unsupported > 0 {
        return Err(ListenError::PassedOtherKind { protocol, count: unsupported });
    }
    sockets.try_for_each(|socket| check_ip_version(protocol, &socket))
}

/// Rejects a socket for both IPv4 and IPv6, see [`ListenError::PassedDualStack`].
fn check_ip_version(protocol: &'static str, socket: &SockRef<'_>) -> Result<(), ListenError> {
    let operation = SocketOperation::Inspect;
    let unusable = |source| ListenError::PassedUnusable { protocol, operation, source };
    let address = socket.local_addr().map_err(unusable)?;
    // Only a wildcard socket can receive both IPv4 and IPv6. For other sockets, `IPV6_V6ONLY` has no effect.
    let is_wildcard = address.as_socket_ipv6().is_some_and(|address| address.ip().is_unspecified());
    if is_wildcard && !socket.only_v6().map_err(unusable)? {
        let port = address.as_socket_ipv6().map_or(0, |address| address.port());
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return Err(ListenError::PassedDualStack { protocol, address });
    }
    Ok(())
}

/// Returns one set of the passed sockets for each worker. All workers wait on the same sockets. Each datagram
/// or connection goes to one of the workers.
fn clone_for_workers<S>(
    protocol: &'static str,
    passed: &[S],
    workers: usize,
    try_clone: impl Fn(&S) -> io::Result<S>,
) -> Result<Vec<Vec<S>>, ListenError> {
    let operation = SocketOperation::Duplicate;
    let set = || passed.iter().map(&try_clone).collect::<io::Result<_>>();
    let sets = (0..workers).map(|_| set()).collect::<io::Result<_>>();
    sets.map_err(|source| ListenError::PassedUnusable { protocol, operation, source })
}

/// Adds a socket for each of `addresses` to each of `sets`. If the sets are then still empty, adds sockets
/// for the default addresses.
fn open_all<S>(
    protocol: &'static str,
    mut sets: Vec<Vec<S>>,
    addresses: &[SocketAddr],
    default_port: u16,
    open: impl Fn(SocketAddr, PortUse) -> Result<BoundSocket<S>, ListenError>,
) -> Result<Vec<Vec<S>>, ListenError> {
    for address in addresses {
        open_for_workers(protocol, &mut sets, *address, &open)?;
    }
    if sets.iter().all(Vec::is_empty) {
        let ipv4 = SocketAddr::from((Ipv4Addr::LOCALHOST, default_port));
        let ipv6 = SocketAddr::from((Ipv6Addr::LOCALHOST, default_port));
        open_for_workers(protocol, &mut sets, ipv4, &open)?;
        match open_for_workers(protocol, &mut sets, ipv6, &open) {
            Err(error) if error.is_without_ipv6() => {
                tracing::info!("this machine has no IPv6: the server continues with IPv4 only");
            }
            result => result?,
        }
    }
    Ok(sets)
}

/// Adds a socket on `address` to each of `sets`. All these sockets have the same port.
fn open_for_workers<S>(
    protocol: &'static str,
    sets: &mut [Vec<S>],
    mut address: SocketAddr,
    open: impl Fn(SocketAddr, PortUse) -> Result<BoundSocket<S>, ListenError>,
) -> Result<(), ListenError> {
    let port_use = if sets.len() > 1 { PortUse::Shared } else { PortUse::Exclusive };
    if port_use == PortUse::Shared {
        if !CAN_SHARE_PORTS {
            return Err(ListenError::SeveralWorkers { protocol, address });
        }
        // With SO_REUSEPORT, another server of the same user could share the port without an error. The bind
        // of an exclusive socket detects such a server. If `address` has port 0, this bind also selects the
        // port. The exclusive socket is closed before the shared sockets open.
        let exclusive = open(address, PortUse::Exclusive)?;
        address = exclusive.address;
        drop(exclusive);
    }
    for set in sets {
        set.push(open(address, port_use)?.socket);
    }
    Ok(())
}

struct BoundSocket<S> {
    socket: S,
    /// The address to which the system bound the socket, with the real port.
    address: SocketAddr,
}

/// Whether the sockets of several workers use one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortUse {
    Exclusive,
    Shared,
}

/// Creates a socket that is not bound yet.
fn new_socket(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    port_use: PortUse,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if port_use == PortUse::Shared {
        // Linux distributes the peers by a hash of the addresses and ports of source and destination
        // (socket(7), SO_REUSEPORT).
        #[cfg(target_os = "linux")]
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // The default differs between systems. With this option, a server can listen on 0.0.0.0 and [::] with
        // the same port.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether `address` is a multicast or broadcast address.
///
/// The kernel has a list of the broadcast addresses of its networks. A UDP socket without `SO_BROADCAST` cannot
/// connect to such an address. The error is EACCES (ip(7)).
fn is_group_address(address: SocketAddr) -> bool {
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
