//! The condition for each error number of Linux. The meaning of a number depends on the system call.
//!
//! Linux derives some of these numbers from ICMP errors (`icmp_err_convert`, net/ipv4/icmp.c, and `icmpv6_err_convert`,
//! net/ipv6/icmp.c). Calls that exchange packets return them: `connect`, `send` and `recv`.

use crate::model::condition::Condition;
use crate::net::failure::Call;
use nix::errno::Errno;

/// The condition for an error number of `call`. `None` if the number is not in the table. Then this system refused an
/// operation for an unusual reason.
pub(crate) fn condition_from_errno(errno: i32, call: Call) -> Option<Condition> {
    let exchanges_packets = matches!(call, Call::Connect | Call::Send | Call::Receive);
    Some(match Errno::from_raw(errno) {
        // "Protocol unreachable": the host answered, but it does not support the protocol.
        Errno::ENOPROTOOPT if exchanges_packets => Condition::Refused,
        // "Source route failed" and a malformed header.
        Errno::EOPNOTSUPP | Errno::EPROTO if exchanges_packets => Condition::HostUnreachable,
        // A link-local address without a zone, or a route of type `blackhole`.
        Errno::EINVAL if matches!(call, Call::Connect | Call::Send) => Condition::NoRoute,
        // If this host does not permit a request, the send call fails. So the error comes from the network.
        Errno::EACCES | Errno::EPERM if call == Call::Receive => Condition::Prohibited,
        // For a stream, all ports to the peer are in use. It can also mean that this host has no source address
        // (`failure::has_source_address`).
        Errno::EADDRNOTAVAIL if call == Call::Connect => Condition::LocalLimit,
        // `connect` and `send` bind a datagram socket to a free port. The send buffer can also be full.
        Errno::EAGAIN | Errno::EINTR if matches!(call, Call::Connect | Call::Send) => {
            Condition::LocalLimit
        }

        Errno::ECONNREFUSED => Condition::Refused,
        Errno::ECONNRESET
        | Errno::ECONNABORTED
        | Errno::ENETRESET
        | Errno::EPIPE
        | Errno::ENOTCONN
        | Errno::ESHUTDOWN => Condition::Reset,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN | Errno::ENONET | Errno::EREMOTEIO => {
            Condition::HostUnreachable
        }
        // EAFNOSUPPORT: this host does not support the version of IP. ENODEV and ENXIO: the interface has disappeared.
        Errno::ENETUNREACH
        | Errno::ENETDOWN
        | Errno::EADDRNOTAVAIL
        | Errno::EAFNOSUPPORT
        | Errno::ENODEV
        | Errno::ENXIO => Condition::NoRoute,
        Errno::EACCES | Errno::EPERM => Condition::PermissionDenied,
        Errno::ETIMEDOUT | Errno::EAGAIN | Errno::EINTR | Errno::EINPROGRESS | Errno::EALREADY => {
            Condition::Silent
        }
        Errno::EMSGSIZE => Condition::TooBig,
        // With `IP_RECVERR`, ENOBUFS also means that a queueing discipline of this host dropped the packet.
        Errno::ENOBUFS
        | Errno::ENOMEM
        | Errno::EMFILE
        | Errno::ENFILE
        | Errno::EADDRINUSE
        | Errno::ENOSPC
        | Errno::ENOSR
        | Errno::EDQUOT
        | Errno::EUSERS
        | Errno::EBUSY
        | Errno::ETOOMANYREFS => Condition::LocalLimit,
        Errno::ENOPROTOOPT
        | Errno::EOPNOTSUPP
        | Errno::EPROTO
        | Errno::EINVAL
        | Errno::ENOSYS
        | Errno::EPROTONOSUPPORT
        | Errno::ESOCKTNOSUPPORT
        | Errno::EPFNOSUPPORT
        | Errno::EPROTOTYPE => Condition::Unsupported,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::icmp::Origin;
    use crate::net::failure::{condition_of, failure_from_error};
    use std::io;
    use std::time::Duration;

    /// The largest error number of Linux (EHWPOISON, include/uapi/asm-generic/errno.h).
    const MAX_ERRNO: i32 = 133;

    const SOCKET: &[Call] = &[Call::Socket];
    const BIND: &[Call] = &[Call::Bind];
    const OPTION: &[Call] = &[Call::Option];
    const CONNECT: &[Call] = &[Call::Connect];
    const SEND: &[Call] = &[Call::Send];
    const RECEIVE: &[Call] = &[Call::Receive];
    const SETUP: &[Call] = &[Call::Socket, Call::Bind, Call::Option];
    const PACKETS: &[Call] = &[Call::Connect, Call::Send, Call::Receive];
    const REQUEST: &[Call] = &[Call::Connect, Call::Send];
    const ANY: &[Call] =
        &[Call::Socket, Call::Bind, Call::Option, Call::Connect, Call::Send, Call::Receive];

    /// The condition for an error number of these calls.
    #[rustfmt::skip]
    const TABLE: [(Errno, &[Call], Condition); 46] = [
        (Errno::ECONNREFUSED, ANY, Condition::Refused),
        (Errno::ENOPROTOOPT, PACKETS, Condition::Refused),
        (Errno::ENOPROTOOPT, SETUP, Condition::Unsupported),
        (Errno::EOPNOTSUPP, PACKETS, Condition::HostUnreachable),
        (Errno::EOPNOTSUPP, SETUP, Condition::Unsupported),
        (Errno::EPROTO, PACKETS, Condition::HostUnreachable),
        (Errno::EHOSTUNREACH, ANY, Condition::HostUnreachable),
        (Errno::EHOSTDOWN, ANY, Condition::HostUnreachable),
        (Errno::ENONET, ANY, Condition::HostUnreachable),
        (Errno::ENETUNREACH, ANY, Condition::NoRoute),
        (Errno::ENETDOWN, ANY, Condition::NoRoute),
        (Errno::ENODEV, ANY, Condition::NoRoute),
        (Errno::EAFNOSUPPORT, ANY, Condition::NoRoute),
        (Errno::EADDRNOTAVAIL, BIND, Condition::NoRoute),
        (Errno::EADDRNOTAVAIL, SEND, Condition::NoRoute),
        (Errno::EADDRNOTAVAIL, CONNECT, Condition::LocalLimit),
        (Errno::EINVAL, REQUEST, Condition::NoRoute),
        (Errno::EINVAL, RECEIVE, Condition::Unsupported),
        (Errno::EINVAL, SETUP, Condition::Unsupported),
        (Errno::EACCES, REQUEST, Condition::PermissionDenied),
        (Errno::EPERM, REQUEST, Condition::PermissionDenied),
        (Errno::EPERM, SETUP, Condition::PermissionDenied),
        (Errno::EACCES, RECEIVE, Condition::Prohibited),
        (Errno::ECONNRESET, ANY, Condition::Reset),
        (Errno::ECONNABORTED, ANY, Condition::Reset),
        (Errno::EPIPE, ANY, Condition::Reset),
        (Errno::ENOTCONN, ANY, Condition::Reset),
        (Errno::ETIMEDOUT, ANY, Condition::Silent),
        (Errno::EAGAIN, RECEIVE, Condition::Silent),
        (Errno::EAGAIN, REQUEST, Condition::LocalLimit),
        (Errno::EINTR, RECEIVE, Condition::Silent),
        (Errno::EINTR, SEND, Condition::LocalLimit),
        (Errno::EMSGSIZE, ANY, Condition::TooBig),
        (Errno::ENOBUFS, ANY, Condition::LocalLimit),
        (Errno::ENOMEM, ANY, Condition::LocalLimit),
        (Errno::EMFILE, ANY, Condition::LocalLimit),
        (Errno::ENFILE, ANY, Condition::LocalLimit),
        (Errno::EADDRINUSE, ANY, Condition::LocalLimit),
        (Errno::ENOSPC, ANY, Condition::LocalLimit),
        (Errno::ENOSYS, ANY, Condition::Unsupported),
        (Errno::EPROTONOSUPPORT, SOCKET, Condition::Unsupported),
        (Errno::ESOCKTNOSUPPORT, SOCKET, Condition::Unsupported),
        (Errno::EDOM, OPTION, Condition::Unsupported),
        (Errno::EBADF, ANY, Condition::Unsupported),
        (Errno::EIO, ANY, Condition::Unsupported),
        (Errno::EFAULT, ANY, Condition::Unsupported),
    ];

    #[test]
    fn every_error_number_of_every_call_has_a_condition() {
        for &call in ANY {
            for errno in 1..=MAX_ERRNO {
                let error = io::Error::from_raw_os_error(errno);
                let condition = condition_of(&error, call);
                let failure = failure_from_error(error, call, Duration::ZERO);
                assert_eq!(failure.condition, condition);
                if condition == Condition::Silent {
                    continue;
                }
                let kept = failure.error.as_ref().and_then(io::Error::raw_os_error);
                assert_eq!(kept, Some(errno), "{call:?}");
                if matches!(condition, Condition::LocalLimit | Condition::Unsupported) {
                    assert_eq!(failure.origin, Some(Origin::ThisHost), "{errno} of {call:?}");
                }
            }
        }
    }

    #[test]
    fn listed_error_numbers_have_their_conditions() {
        for (errno, calls, condition) in TABLE {
            for &call in calls {
                let error = io::Error::from_raw_os_error(errno as i32);
                assert_eq!(condition_of(&error, call), condition, "{errno} of {call:?}");
            }
        }
    }
}
