//! Sockets to serve on: which addresses, how they are bound, and how a failure is told.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// Connections that the kernel completes ahead of our accepting them. Linux caps it at
/// `net.core.somaxconn` (4096 by default); a burst of clients larger than this waits for a retry.
const BACKLOG: i32 = 4096;

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {}", hint(error))]
pub struct ListenError {
    protocol: &'static str,
    address: SocketAddr,
    error: io::Error,
}

/// Non-blocking UDP sockets bound to the addresses asked for, or to `default_port` on loopback.
///
/// # Errors
///
/// The first address that can't be bound. Of the default addresses only IPv4 has to be there.
pub fn udp_sockets(asked: &[SocketAddr], default_port: u16) -> Result<Vec<UdpSocket>, ListenError> {
    open_all(asked, default_port, "UDP", |address| {
        let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    })
}

/// Non-blocking TCP listeners on the addresses asked for, or on `default_port` on loopback.
///
/// # Errors
///
/// As [`udp_sockets`].
pub fn tcp_listeners(
    asked: &[SocketAddr],
    default_port: u16,
) -> Result<Vec<TcpListener>, ListenError> {
    open_all(asked, default_port, "TCP", |address| {
        let socket = socket(address, Type::STREAM, Protocol::TCP)?;
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
        tracing::warn!(%address, "other hosts can reach this server and make it send replies");
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // The same on every system, and 0.0.0.0 and [::] can be asked for together.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open_all<S>(
    asked: &[SocketAddr],
    default_port: u16,
    protocol: &'static str,
    open: impl Fn(SocketAddr) -> io::Result<S>,
) -> Result<Vec<S>, ListenError> {
    let open = |address| open(address).map_err(|error| ListenError { protocol, address, error });
    if !asked.is_empty() {
        return asked.iter().copied().map(open).collect();
    }
    let mut sockets = vec![open((IpAddr::from(Ipv4Addr::LOCALHOST), default_port).into())?];
    match open((IpAddr::from(Ipv6Addr::LOCALHOST), default_port).into()) {
        Ok(socket) => sockets.push(socket),
        Err(error) if has_no_ipv6(&error.error) => {
            tracing::info!("this machine has no IPv6: going on with IPv4 alone");
        }
        Err(error) => return Err(error),
    }
    Ok(sockets)
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

    #[test]
    fn an_address_in_use_is_named_with_the_protocol() {
        let first = tcp_listeners(&[ANY_PORT], 0).unwrap();
        let taken = first[0].local_addr().unwrap();
        let error = tcp_listeners(&[taken], 0).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken} (TCP)")), "{error}");
        assert!(error.contains("in use"), "{error}");

        let first = udp_sockets(&[ANY_PORT], 0).unwrap();
        let taken = first[0].local_addr().unwrap();
        let error = udp_sockets(&[taken], 0).unwrap_err().to_string();
        assert!(error.contains("(UDP)") && error.contains("in use"), "{error}");
    }

    #[test]
    fn an_address_of_another_host_is_told() {
        // TEST-NET-1 (RFC 5737) could be this machine's by somebody's choice; TEST-NET-3 even less.
        let foreign = SocketAddr::from(([203, 0, 113, 77], 0));
        let error = udp_sockets(&[foreign], 0).unwrap_err().to_string();
        assert!(error.contains("no such address"), "{error}");
    }

    #[test]
    fn the_default_is_loopback() {
        for socket in udp_sockets(&[], 0).unwrap() {
            assert!(socket.local_addr().unwrap().ip().is_loopback());
        }
    }

    #[test]
    fn only_a_missing_ipv6_is_forgiven() {
        assert!(has_no_ipv6(&ErrorKind::AddrNotAvailable.into()));
        assert!(!has_no_ipv6(&ErrorKind::AddrInUse.into()));
    }
}
