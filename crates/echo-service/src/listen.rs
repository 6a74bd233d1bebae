//! Sockets to serve on: which addresses, how they are bound, and how a failure is told.

use crate::ServiceArgs;
use crate::supervisor::passed_sockets;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// Connections that the kernel completes ahead of our accepting them. Linux caps it at
/// `net.core.somaxconn` (4096 by default); a burst of clients larger than this waits for a retry.
const BACKLOG: i32 = 4096;

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address that can't be bound.
    #[error("cannot listen on {address} ({protocol}): {}", hint(error))]
    Address {
        /// UDP or TCP.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A supervisor passed a socket of another kind.
    #[error(
        "{others} of the sockets passed by the supervisor are not {protocol} sockets on an IP address; \
         see the unit's ListenStream= (TCP) and ListenDatagram= (UDP)"
    )]
    Passed {
        /// What they should be.
        protocol: &'static str,
        /// How many are not.
        others: usize,
    },
    /// A socket for both versions of IP: its IPv4 peers would be taken for one IPv6 network.
    #[error(
        "the supervisor passed a socket ({protocol}) for both versions of IP; give each its own, with \
         BindIPv6Only=ipv6-only in the unit"
    )]
    BothVersions {
        /// UDP or TCP.
        protocol: &'static str,
    },
    /// A socket that was passed can't be used.
    #[error("a socket passed by the supervisor ({protocol}) cannot be used: {error}")]
    Unusable {
        /// UDP or TCP.
        protocol: &'static str,
        /// What the system says.
        error: io::Error,
    },
}

/// UDP sockets, a set for every worker: those that a supervisor has passed and those that were asked for; if
/// there is neither, `default_port` on loopback. Each that is bound here is given to `prepare` before.
///
/// # Errors
///
/// The first address that can't be bound. Of the default addresses only IPv4 has to be there.
pub fn open_udp_sockets(
    args: &ServiceArgs,
    default_port: u16,
    prepare: impl Fn(&UdpSocket, SocketAddr),
) -> Result<Vec<Vec<UdpSocket>>, ListenError> {
    let passed = passed_sockets();
    no_others("UDP", passed.others + passed.tcp.len())?;
    for socket in &passed.udp {
        one_version("UDP", &SockRef::from(socket))?;
    }
    let passed = for_workers("UDP", &passed.udp, args.workers.get(), UdpSocket::try_clone)?;
    open_all("UDP", passed, &args.listen, default_port, |address, is_shared| {
        if stands_for_many(address) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "that is an address of many hosts, and nothing sent to it is answered",
            ));
        }
        let socket = socket(address, Type::DGRAM, Protocol::UDP, is_shared)?.into();
        prepare(&socket, address);
        SockRef::from(&socket).bind(&address.into())?;
        Ok(socket)
    })
}

/// TCP listeners, in the same way.
///
/// # Errors
///
/// As [`open_udp_sockets`].
pub fn open_tcp_listeners(
    args: &ServiceArgs,
    default_port: u16,
) -> Result<Vec<Vec<TcpListener>>, ListenError> {
    let passed = passed_sockets();
    no_others("TCP", passed.others + passed.udp.len())?;
    for listener in &passed.tcp {
        one_version("TCP", &SockRef::from(listener))?;
    }
    let passed = for_workers("TCP", &passed.tcp, args.workers.get(), TcpListener::try_clone)?;
    open_all("TCP", passed, &args.listen, default_port, |address, is_shared| {
        let socket = socket(address, Type::STREAM, Protocol::TCP, is_shared)?;
        // Lets a server start again while connections of its predecessor are in TIME-WAIT. On Windows
        // the same option would let two servers share the port, and is not needed.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    })
}

/// Says on stdout that `server` listens on `address`: the line that scripts wait for. Says in the log
/// if others than this host can reach it.
pub fn announce(server: &str, address: SocketAddr) {
    // Serving goes on when nobody reads this.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{server} listening on {address}").and_then(|()| stdout.flush());
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "other hosts can reach this server and make it send replies: \
                                  see docs/security.md, --allow and --rate");
    }
}

fn no_others(protocol: &'static str, others: usize) -> Result<(), ListenError> {
    if others == 0 { Ok(()) } else { Err(ListenError::Passed { protocol, others }) }
}

fn one_version(protocol: &'static str, socket: &SockRef<'_>) -> Result<(), ListenError> {
    let unusable = |error| ListenError::Unusable { protocol, error };
    let address = socket.local_addr().map_err(unusable)?;
    // An address of its own is of its own version, whatever the option says.
    let is_wildcard = address.as_socket_ipv6().is_some_and(|address| address.ip().is_unspecified());
    if is_wildcard && !socket.only_v6().map_err(unusable)? {
        return Err(ListenError::BothVersions { protocol });
    }
    Ok(())
}

/// Whether this is a multicast or a broadcast address. What is broadcast on a network here, the system knows: it
/// lets nobody connect there who has not asked to (ip(7), `SO_BROADCAST`).
fn stands_for_many(address: SocketAddr) -> bool {
    let is_broadcast = || {
        let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
        probe.is_ok_and(|probe| {
            probe
                .connect((address.ip(), 9))
                .is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        })
    };
    address.ip().is_multicast()
        || (address.is_ipv4() && !address.ip().is_unspecified() && is_broadcast())
}

/// What was passed, for every worker: all look at the same sockets, and the first takes what comes.
fn for_workers<S>(
    protocol: &'static str,
    passed: &[S],
    workers: usize,
    share: impl Fn(&S) -> io::Result<S>,
) -> Result<Vec<Vec<S>>, ListenError> {
    let set = || passed.iter().map(&share).collect::<io::Result<_>>();
    let sets = (0..workers).map(|_| set()).collect::<io::Result<_>>();
    sets.map_err(|error| ListenError::Unusable { protocol, error })
}

fn socket(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
    is_shared: bool,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if is_shared {
        share_port(&socket)?;
    }
    if address.is_ipv6() {
        // The same on every system, and 0.0.0.0 and [::] can be asked for together.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Lets the sockets of several workers have one port; Linux spreads peers over them by a hash of both
/// addresses and ports (socket(7), `SO_REUSEPORT`).
#[cfg(target_os = "linux")]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Other systems give all peers to one of the sockets, or have no such option.
#[cfg(not(target_os = "linux"))]
fn share_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(ErrorKind::Unsupported, "several workers need Linux"))
}

/// A socket with an address.
trait Bound {
    fn address(&self) -> io::Result<SocketAddr>;
}

impl Bound for UdpSocket {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Bound for TcpListener {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

/// Adds the sockets asked for to `sets`, one of which is every worker's; if there are none at all, the
/// default ones. `open` makes one, to be shared or not.
fn open_all<S: Bound>(
    protocol: &'static str,
    mut sets: Vec<Vec<S>>,
    asked: &[SocketAddr],
    default_port: u16,
    open: impl Fn(SocketAddr, bool) -> io::Result<S>,
) -> Result<Vec<Vec<S>>, ListenError> {
    let told = |address| move |error| ListenError::Address { protocol, address, error };
    for address in asked {
        open_one(&mut sets, *address, &open).map_err(told(*address))?;
    }
    if sets.iter().all(Vec::is_empty) {
        let [v4, v6] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            .map(|address: IpAddr| SocketAddr::new(address, default_port));
        open_one(&mut sets, v4, &open).map_err(told(v4))?;
        match open_one(&mut sets, v6, &open) {
            Err(error) if has_no_ipv6(&error) => {
                tracing::info!("this machine has no IPv6: going on with IPv4 alone");
            }
            opened => opened.map_err(told(v6))?,
        }
    }
    Ok(sets)
}

/// A socket for every one of `sets`, all with the same port.
fn open_one<S: Bound>(
    sets: &mut [Vec<S>],
    mut address: SocketAddr,
    open: impl Fn(SocketAddr, bool) -> io::Result<S>,
) -> io::Result<()> {
    let is_shared = sets.len() > 1;
    if is_shared {
        // A port that is to be shared would be shared with another server of the same user as well, and
        // "in use" would never be said. So one that is not shared has to fit in first.
        address = open(address, false)?.address()?;
    }
    for set in sets {
        set.push(open(address, is_shared)?);
    }
    Ok(())
}

/// Whether binding to `[::1]` failed because there is no such address, or no such protocol.
fn has_no_ipv6(error: &io::Error) -> bool {
    /// EAFNOSUPPORT, which std has no kind for: Linux, the BSDs and macOS, Windows.
    const NO_SUCH_FAMILY: [i32; 3] = [97, 47, 10047];
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| NO_SUCH_FAMILY.contains(&code))
}

/// What went wrong, and what to try.
fn hint(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            "the address is in use; end the program that has it, or choose another port with --listen"
                .into()
        }
        ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 need privileges, choose a higher one with --listen"
                .into()
        }
        ErrorKind::AddrNotAvailable => "this host has no such address".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn asked(listen: &[SocketAddr], workers: usize) -> ServiceArgs {
        ServiceArgs {
            listen: listen.to_vec(),
            workers: workers.try_into().unwrap(),
            ..ServiceArgs::default()
        }
    }

    #[test]
    fn an_address_in_use_is_named_with_the_protocol() {
        let first = open_tcp_listeners(&asked(&[ANY_PORT], 1), 0).unwrap();
        let taken = first[0][0].local_addr().unwrap();
        let error = open_tcp_listeners(&asked(&[taken], 1), 0).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken} (TCP)")), "{error}");
        assert!(error.contains("in use"), "{error}");

        let first = open_udp_sockets(&asked(&[ANY_PORT], 1), 0, |_, _| {}).unwrap();
        let taken = first[0][0].local_addr().unwrap();
        let error = open_udp_sockets(&asked(&[taken], 1), 0, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("(UDP)") && error.contains("in use"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn workers_share_a_port_but_not_with_another_server() {
        let sets = open_udp_sockets(&asked(&[ANY_PORT], 3), 0, |_, _| {}).unwrap();
        let ports = sets.iter().map(|set| set[0].local_addr().unwrap());
        let first = sets[0][0].local_addr().unwrap();
        assert_eq!(ports.collect::<Vec<_>>(), [first; 3]);
        let error = open_udp_sockets(&asked(&[first], 3), 0, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("in use"), "{error}");
    }

    #[test]
    fn an_address_of_another_host_is_told() {
        // TEST-NET-1 (RFC 5737) could be this machine's by somebody's choice; TEST-NET-3 even less.
        let foreign = SocketAddr::from(([203, 0, 113, 77], 0));
        let error = open_udp_sockets(&asked(&[foreign], 1), 0, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("no such address"), "{error}");
    }

    #[test]
    fn what_is_sent_to_many_is_not_listened_to() {
        for many in ["224.0.0.1:0", "255.255.255.255:0", "[ff02::1]:0"] {
            let error =
                open_udp_sockets(&asked(&[many.parse().unwrap()], 1), 0, |_, _| {}).unwrap_err();
            assert!(error.to_string().contains("many hosts"), "{many}: {error}");
        }
    }

    #[test]
    fn the_default_is_loopback() {
        for socket in &open_udp_sockets(&asked(&[], 1), 0, |_, _| {}).unwrap()[0] {
            assert!(socket.local_addr().unwrap().ip().is_loopback());
        }
    }

    #[test]
    fn only_a_missing_ipv6_is_forgiven() {
        assert!(has_no_ipv6(&ErrorKind::AddrNotAvailable.into()));
        assert!(!has_no_ipv6(&ErrorKind::AddrInUse.into()));
    }
}
