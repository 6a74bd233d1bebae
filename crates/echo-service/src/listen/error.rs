//! Reasons why a server cannot listen.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// A server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system did not bind an address.
    #[error("cannot listen on {address} ({protocol})")]
    Bind {
        /// UDP or TCP.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the system, with advice for the user.
        source: BindError,
    },
    /// The address is a multicast or broadcast address.
    #[error(
        "cannot listen on {address} ({protocol}): this is a multicast or broadcast address, and the server does not \
         answer requests that are sent to many hosts"
    )]
    GroupAddress {
        /// UDP or TCP.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// This system does not distribute peers among the sockets of several workers.
    #[error("cannot listen on {address} ({protocol}) with several workers: --workers needs Linux")]
    SeveralWorkers {
        /// UDP or TCP.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// A supervisor passed a socket of another kind than the server needs.
    #[error(
        "cannot use {count} of the sockets passed by the supervisor: they are not {protocol} sockets on an IP \
         address; check ListenStream= (TCP) and ListenDatagram= (UDP) in the unit"
    )]
    PassedOtherKind {
        /// The protocol that the server needs.
        protocol: &'static str,
        /// Number of sockets of another kind.
        count: usize,
    },
    /// A supervisor passed a socket for IPv4 and IPv6. The limits would treat all its IPv4 peers as one IPv6
    /// network.
    #[error(
        "cannot use the socket {address} ({protocol}) passed by the supervisor: it accepts both IPv4 and IPv6; use one \
         socket for each, with BindIPv6Only=ipv6-only in the unit"
    )]
    PassedDualStack {
        /// UDP or TCP.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An operation failed on a socket that a supervisor passed.
    #[error("cannot {operation} a socket passed by the supervisor ({protocol})")]
    PassedUnusable {
        /// UDP or TCP.
        protocol: &'static str,
        /// The operation that failed.
        operation: SocketOperation,
        /// The error of the system.
        source: io::Error,
    },
}

/// An operation on a socket that a supervisor passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOperation {
    /// Read the address and the options of the socket.
    Inspect,
    /// Duplicate the socket for another worker.
    Duplicate,
}

impl fmt::Display for SocketOperation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inspect => "inspect",
            Self::Duplicate => "duplicate",
        })
    }
}

/// The reason why the system did not bind an address, with advice for the user.
#[derive(Debug, thiserror::Error)]
#[error("{error}{advice}")]
pub struct BindError {
    error: io::Error,
    /// Starts with a semicolon, or is empty.
    advice: &'static str,
}

impl ListenError {
    /// The error of binding `address`, with advice for the user.
    pub(super) fn bind(protocol: &'static str, address: SocketAddr, error: io::Error) -> Self {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => {
                "; stop the program that uses this address, or choose another port with --listen"
            }
            ErrorKind::PermissionDenied => {
                "; ports below 1024 need privileges, choose a higher port with --listen"
            }
            ErrorKind::AddrNotAvailable => "; this host does not have this address",
            _ if is_link_local_without_zone(address) => {
                "; a link-local address needs a zone, for example [fe80::1%eth0]:4000"
            }
            _ => "",
        };
        Self::Bind { protocol, address, source: BindError { error, advice } }
    }

    /// Whether binding `[::1]` failed because the machine has no IPv6: no such address, or no such protocol.
    pub(super) fn is_without_ipv6(&self) -> bool {
        /// EAFNOSUPPORT on Linux, on the BSDs and macOS, and on Windows. The standard library has no
        /// `ErrorKind` for this error.
        const ADDRESS_FAMILY_NOT_SUPPORTED: [i32; 3] = [97, 47, 10047];
        let Self::Bind { source: BindError { error, .. }, .. } = self else { return false };
        error.kind() == ErrorKind::AddrNotAvailable
            || error.raw_os_error().is_some_and(|code| ADDRESS_FAMILY_NOT_SUPPORTED.contains(&code))
    }
}

fn is_link_local_without_zone(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}
