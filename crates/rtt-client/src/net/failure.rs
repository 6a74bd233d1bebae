//! Converts errors of the system and of the network to [`Failure`]s. Every error has a condition, so no error of a
//! system call ends a run that has measured.
//!
//! The meaning of an error number depends on the call. For example, ENOPROTOOPT from `connect` is the ICMP error
//! "protocol unreachable", and from `setsockopt` it is an unknown option.

use crate::model::condition::{Condition, Failure};
use crate::model::failure_context::{FailureContext, VersionOption, is_zone_missing};
use crate::model::icmp::Origin;
use crate::net::resolve::ResolveError;
use crate::net::system::{NetworkError, REPORTS_ICMP_ORIGIN, condition_from_errno};
use crate::net::transport::{SocketError, SocketOperation};
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

/// A system call that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Socket,
    Bind,
    /// `setsockopt` or `getsockopt`.
    Option,
    Connect,
    Send,
    Receive,
}

impl Call {
    /// The call of an operation.
    pub(crate) fn of(operation: SocketOperation) -> Self {
        match operation {
            SocketOperation::Create => Self::Socket,
            SocketOperation::Bind(_) => Self::Bind,
            SocketOperation::SetOption(_) | SocketOperation::ReadOption(_) => Self::Option,
            SocketOperation::Connect => Self::Connect,
            SocketOperation::Exchange => Self::Receive,
        }
    }
}

/// The condition that an error of `call` indicates.
pub(crate) fn condition_of(error: &io::Error, call: Call) -> Condition {
    let from_errno = error.raw_os_error().and_then(|errno| condition_from_errno(errno, call));
    from_errno.unwrap_or_else(|| condition_from_kind(error.kind(), call))
}

/// The failure that an ICMP error indicates. `None` if the ICMP error does not mean that the packet was discarded, or if
/// its code is unknown.
pub(crate) fn failure_from_icmp(error: &NetworkError, after: Duration) -> Option<Failure> {
    let condition = error.icmp.condition()?;
    let origin = Some(Origin::Icmp(error.icmp));
    let system_error = Some(io::Error::from_raw_os_error(error.errno));
    let failure = Failure { error: system_error, origin, ..Failure::new(condition, after) };
    Some(failure.with_mtu(error.mtu))
}

/// Converts the error of a system call to a failure. The origin is unknown if the error can come from this host or from
/// the network.
pub(crate) fn failure_from_error(error: io::Error, call: Call, after: Duration) -> Failure {
    let condition = condition_of(&error, call);
    let origin = match condition {
        Condition::Silent => return Failure::new(condition, after),
        // A reset has the peer's address, so this error is attributed to the peer. A firewall can use the same address.
        Condition::Reset => Origin::Peer,
        Condition::LocalLimit | Condition::Unsupported => Origin::ThisHost,
        _ => Origin::Unknown,
    };
    Failure { error: Some(error), origin: Some(origin), ..Failure::new(condition, after) }
}

/// The failure of a name look-up. `version` is the option that selects a version of IP.
pub(crate) fn failure_from_resolve_error(
    error: &ResolveError,
    version: Option<VersionOption>,
    after: Duration,
) -> Failure {
    Failure {
        context: version.filter(|_| error.is_other_version()).map(FailureContext::OtherVersion),
        detail: Some(error.to_string()),
        ..Failure::new(error.condition(), after)
    }
}

/// The ICMP errors about an attempt to open a transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportedErrors<'a> {
    pub(crate) errors: &'a [NetworkError],
    /// Whether the system reports all ICMP errors.
    pub(crate) is_complete: bool,
}

impl ReportedErrors<'_> {
    /// No ICMP errors, because no packet was sent.
    pub(crate) const NONE: Self = Self { errors: &[], is_complete: REPORTS_ICMP_ORIGIN };
}

/// Converts the error of an attempt to open a transport to `peer`. If ICMP errors indicate a condition, the latest of
/// them is the cause.
pub(crate) fn failure_with_cause(
    error: io::Error,
    call: Call,
    peer: SocketAddr,
    reported: ReportedErrors<'_>,
    after: Duration,
) -> Failure {
    let mut icmp_errors = reported.errors.iter().rev();
    if let Some(failure) = icmp_errors.find_map(|error| failure_from_icmp(error, after)) {
        return failure;
    }
    let is_address = error.kind() == ErrorKind::AddrNotAvailable;
    let is_from_system = error.raw_os_error().is_some();
    let mut failure = failure_from_error(error, call, after);
    if !is_from_system {
        // This program detected the failure.
        failure.detail = failure.error.take().map(|error| error.to_string());
    }
    if is_address && failure.condition == Condition::LocalLimit && !has_source_address(peer) {
        failure.condition = Condition::NoRoute;
    }
    if failure.condition == Condition::NoRoute && is_zone_missing(peer) {
        failure.context = Some(FailureContext::NoZone);
    }
    if failure.origin.is_some() {
        failure.origin = Some(match (failure.condition, reported.errors.last()) {
            (Condition::Reset, _) => Origin::Peer,
            (_, Some(error)) => Origin::Icmp(error.icmp),
            // Without an ICMP error, the error comes from the peer's kernel or from this host.
            (Condition::Refused, None) if reported.is_complete && is_from_system => Origin::Peer,
            (_, None) if reported.is_complete => Origin::ThisHost,
            _ => return failure,
        });
    }
    failure
}

/// Converts an error that occurs in the middle of a run to the failure of an exchange. This host refused the operation.
pub(crate) fn failure_from_socket_error(error: SocketError, after: Duration) -> Failure {
    let SocketError { operation, error, .. } = error;
    let failure = failure_from_error(error, Call::of(operation), after);
    Failure {
        origin: failure.origin.map(|_| Origin::ThisHost),
        detail: Some(format!("cannot {operation}")),
        ..failure
    }
}

/// Whether this host has a route and a source address for `peer`. After EADDRNOTAVAIL from `connect`, this function
/// distinguishes a missing address from an exhausted range of ports.
pub(crate) fn has_source_address(peer: SocketAddr) -> bool {
    // A connected datagram socket sends no packet. All ports for datagrams can be in use, too. Then the result does not
    // show that an address is missing.
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, None);
    match socket.and_then(|socket| socket.connect(&peer.into())) {
        Ok(()) => true,
        Err(error) => !matches!(
            error.kind(),
            ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable | ErrorKind::Unsupported
        ),
    }
}

/// The condition for an error without a number, and for all errors on systems other than Linux.
fn condition_from_kind(kind: ErrorKind, call: Call) -> Condition {
    use ErrorKind as Kind;
    match kind {
        Kind::ConnectionRefused => Condition::Refused,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected
        | Kind::UnexpectedEof
        | Kind::WriteZero => Condition::Reset,
        Kind::HostUnreachable => Condition::HostUnreachable,
        Kind::AddrNotAvailable if call == Call::Connect => Condition::LocalLimit,
        Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => Condition::NoRoute,
        // If this host does not permit a request, the send call fails. So an error of the receive call comes from the
        // network.
        Kind::PermissionDenied if call == Call::Receive => Condition::Prohibited,
        Kind::PermissionDenied => Condition::PermissionDenied,
        Kind::WouldBlock | Kind::Interrupted if matches!(call, Call::Send | Call::Connect) => {
            Condition::LocalLimit
        }
        Kind::TimedOut | Kind::WouldBlock | Kind::Interrupted => Condition::Silent,
        Kind::AddrInUse | Kind::OutOfMemory | Kind::QuotaExceeded | Kind::StorageFull => {
            Condition::LocalLimit
        }
        _ => Condition::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::icmp::IcmpError;

    #[test]
    fn error_without_a_number_has_the_condition_of_its_kind() {
        for (kind, call, condition) in [
            (ErrorKind::ConnectionRefused, Call::Connect, Condition::Refused),
            (ErrorKind::ConnectionReset, Call::Receive, Condition::Reset),
            (ErrorKind::BrokenPipe, Call::Send, Condition::Reset),
            (ErrorKind::HostUnreachable, Call::Connect, Condition::HostUnreachable),
            (ErrorKind::NetworkUnreachable, Call::Connect, Condition::NoRoute),
            (ErrorKind::PermissionDenied, Call::Send, Condition::PermissionDenied),
            (ErrorKind::PermissionDenied, Call::Receive, Condition::Prohibited),
            (ErrorKind::TimedOut, Call::Connect, Condition::Silent),
            (ErrorKind::OutOfMemory, Call::Send, Condition::LocalLimit),
            (ErrorKind::AddrInUse, Call::Bind, Condition::LocalLimit),
            (ErrorKind::Other, Call::Send, Condition::Unsupported),
        ] {
            assert_eq!(condition_of(&kind.into(), call), condition, "{kind}");
        }
    }

    #[test]
    fn error_of_this_host_keeps_the_error_of_the_system() {
        let error = io::Error::from(ErrorKind::OutOfMemory);
        let failure = failure_from_error(error, Call::Send, Duration::ZERO);
        assert_eq!(failure.origin, Some(Origin::ThisHost));
        assert_eq!(failure.error.unwrap().kind(), ErrorKind::OutOfMemory);
    }

    #[test]
    fn icmp_error_about_a_long_packet_has_the_mtu_and_the_sender() {
        let from = Some("192.0.2.1".parse().unwrap());
        let icmp = IcmpError { is_v6: false, kind: 3, code: 4, from };
        let (errno, request, quoted_payload) = (90, None, Vec::new());
        let error = NetworkError { icmp, errno, request, mtu: Some(1300), quoted_payload };
        let failure = failure_from_icmp(&error, Duration::ZERO).unwrap();
        assert_eq!(failure.condition, Condition::TooBig);
        assert_eq!(failure.mtu, Some(1300));
        assert_eq!(failure.detail.as_deref(), Some("the MTU is 1300 bytes"));
        assert_eq!(failure.origin, Some(Origin::Icmp(icmp)));
        let quench = IcmpError { is_v6: false, kind: 4, code: 0, from };
        let error = NetworkError { icmp: quench, ..error };
        assert!(failure_from_icmp(&error, Duration::ZERO).is_none());
    }

    #[test]
    fn loopback_has_a_source_address() {
        assert!(has_source_address("127.0.0.1:9".parse().unwrap()));
    }
}
