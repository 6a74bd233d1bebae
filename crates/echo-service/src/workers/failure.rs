//! Permanent errors of sockets. A worker cannot continue after such an error.

use std::io;
use std::net::SocketAddr;

/// A worker cannot continue, because the system returned an error that a retry cannot change.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFailure {
    /// The worker cannot receive datagrams.
    #[error("cannot receive from the socket on {address}")]
    Receive {
        /// The address of the socket.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The worker cannot accept connections.
    #[error("cannot accept connections on {address}")]
    Accept {
        /// The address of the listener.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The worker cannot wait for events of its sockets.
    #[error("cannot wait for events of the sockets")]
    Wait(#[source] io::Error),
}

/// Whether each further call with the same descriptor returns the same `error`. The functions of a socket return these
/// errors only for a wrong descriptor (closed, not a socket, not listening) or for a wrong address in memory.
///
/// All other errors count as temporary: an empty queue, missing memory or descriptors, and errors of one peer or of the
/// network (an ICMP error; recvmsg(2), accept(2)).
///
/// ```
/// use echo_service::is_permanent_error;
/// use std::io::{Error, ErrorKind};
///
/// assert!(!is_permanent_error(&Error::from(ErrorKind::ConnectionRefused)));
/// assert!(is_permanent_error(&Error::from(ErrorKind::NotConnected)));
/// ```
#[must_use]
pub fn is_permanent_error(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(number) => PERMANENT.contains(&number),
        None => error.kind() == io::ErrorKind::NotConnected,
    }
}

/// `ENOTCONN` means that a datagram socket was shut down, or that the descriptor belongs to another kind of socket. It
/// is different from `ECONNREFUSED` and `ECONNRESET`, which report an error of a peer.
#[cfg(unix)]
const PERMANENT: [i32; 5] =
    [libc::EBADF, libc::ENOTSOCK, libc::EINVAL, libc::EFAULT, libc::ENOTCONN];

/// The numbers of Windows: `WSAEBADF`, `WSAENOTSOCK`, `WSAEINVAL`, `WSAEFAULT`, `WSAENOTCONN`.
#[cfg(not(unix))]
const PERMANENT: [i32; 5] = [10009, 10038, 10022, 10014, 10057];

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_descriptor_are_permanent() {
        use libc::{
            EACCES, EAGAIN, EBADF, ECONNABORTED, ECONNREFUSED, ECONNRESET, EFAULT, EHOSTUNREACH,
            EINTR, EINVAL, EMFILE, EMSGSIZE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM,
            ENOPROTOOPT, ENOTCONN, ENOTSOCK, EOPNOTSUPP, EPERM, EPROTO, ETIMEDOUT,
        };
        for number in [EBADF, ENOTSOCK, EINVAL, EFAULT, ENOTCONN] {
            assert!(is_permanent_error(&io::Error::from_raw_os_error(number)), "{number}");
        }
        // recvmsg(2), accept(2), and the errors of ICMP messages (net/ipv4/icmp.c, icmp_err_convert).
        for number in [
            EAGAIN,
            EINTR,
            ENOMEM,
            ENOBUFS,
            EMFILE,
            ENFILE,
            EPERM,
            EACCES,
            ECONNABORTED,
            ECONNREFUSED,
            ECONNRESET,
            EHOSTUNREACH,
            ENETUNREACH,
            ENETDOWN,
            ENOPROTOOPT,
            EPROTO,
            EOPNOTSUPP,
            EMSGSIZE,
            ETIMEDOUT,
        ] {
            assert!(!is_permanent_error(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
