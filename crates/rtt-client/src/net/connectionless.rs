//! Opens the transport of a protocol without connections. Its socket is connected to the peer. This sends no packet.

use crate::model::condition::{Condition, Failure};
use crate::model::icmp::Origin;
use crate::model::protocol::Protocol;
use crate::net::failure::ReportedErrors;
use crate::net::socket::{BufferedSocket, OperationError, SocketKind, set_option};
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError, SocketOperation, Transport};
use socket2::Socket;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tracing::debug;

/// The maximum number of sockets that are opened until one has a usable port. The system chooses the ports at random, and
/// few of them cannot be used.
const MAX_ATTEMPTS: usize = 64;

/// The reason if the socket is connected to its own port.
pub(crate) const CONNECTED_TO_ITSELF: &str =
    "the only available local port is the port of the target, so no server listens on it";

/// The failure of a socket that is connected to itself. No other socket listens on the port.
pub(crate) fn connected_to_itself(after: Duration) -> Failure {
    Failure {
        origin: Some(Origin::ThisHost),
        detail: Some(CONNECTED_TO_ITSELF.to_owned()),
        ..Failure::new(Condition::Refused, after)
    }
}

/// Makes a socket that is connected to itself release its port when it is closed. Otherwise, the closed connection could
/// occupy the port.
pub(crate) fn release_port(socket: &Socket) {
    let _ = set_option("SO_LINGER", 0, || socket.set_linger(Some(Duration::ZERO)));
}

/// The reason if no chosen port can be used.
const NO_USABLE_PORT: &str =
    "servers do not reply to the available local ports, because they belong to services";

/// Calls `open` to open a transport to `peer`, and logs the result. An error about the peer or the route becomes the
/// failure of the attempt.
///
/// # Errors
///
/// Any other error.
pub(crate) fn open_with<T: Transport + 'static>(
    protocol: &'static Protocol,
    peer: SocketAddr,
    open: impl FnOnce() -> Result<T, OperationError>,
) -> Result<OpenAttempt, SocketError> {
    let start = Instant::now();
    let transport = match open() {
        Ok(transport) => {
            debug!(%peer, local = transport.local().map(tracing::field::display), "connected");
            Ok(Box::new(transport) as Box<dyn Transport>)
        }
        Err(error) => {
            debug!(%peer, %error, "not connected");
            let failure = error.into_failure(peer, ReportedErrors::NONE, start.elapsed());
            Err(failure.map_err(|error| error.with_peer(protocol, peer))?)
        }
    };
    Ok(OpenAttempt { connection: None, transport })
}

/// Opens a datagram socket that is connected to `peer`. If the system chooses the local port, `is_usable` decides whether
/// the port can be used. The socket is never connected to itself.
///
/// # Errors
///
/// The operation that failed. [`ErrorKind::ConnectionRefused`] if the socket can only be connected to itself.
pub(crate) fn connect_from_usable_port(
    peer: SocketAddr,
    config: &OpenConfig<'_>,
    is_usable: impl Fn(u16) -> bool,
) -> Result<BufferedSocket, OperationError> {
    let is_chosen_by_system = config.bind.is_none_or(|address| address.port() == 0);
    // These sockets stay open until the end, so that the system chooses another port.
    let mut rejected: Vec<BufferedSocket> = Vec::new();
    let mut was_connected_to_itself = false;
    let self_connected = || connect_error(ErrorKind::ConnectionRefused, CONNECTED_TO_ITSELF);
    for _ in 0..MAX_ATTEMPTS {
        let opened = BufferedSocket::new(peer, SocketKind::DATAGRAMS, config)
            .and_then(|socket| socket.connect(peer).map(|()| socket));
        let socket = match opened {
            Ok(socket) => socket,
            Err(_) if was_connected_to_itself => return Err(self_connected()),
            Err(_) if !rejected.is_empty() => break,
            Err(error) => return Err(error),
        };
        let is_self = socket.is_connected_to_itself(peer);
        was_connected_to_itself |= is_self;
        if is_self && !is_chosen_by_system {
            break;
        }
        let port = socket.local().map(|local| local.port());
        if !is_self && (!is_chosen_by_system || port.is_none_or(&is_usable)) {
            return Ok(socket);
        }
        debug!(%peer, port, "local port rejected");
        rejected.push(socket);
    }
    if was_connected_to_itself {
        return Err(self_connected());
    }
    Err(connect_error(ErrorKind::AddrInUse, NO_USABLE_PORT))
}

/// The error of a connect operation that this program detects.
pub(crate) fn connect_error(kind: ErrorKind, reason: &'static str) -> OperationError {
    OperationError { operation: SocketOperation::Connect, error: io::Error::new(kind, reason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Settings;
    use std::cell::RefCell;

    #[test]
    fn port_that_cannot_be_used_is_replaced() {
        let config = OpenConfig::new(&Settings::one(""));
        let peer = "127.0.0.1:9".parse().unwrap();
        let offered = RefCell::new(Vec::new());
        let is_usable = |port| {
            offered.borrow_mut().push(port);
            offered.borrow().len() > 3
        };
        let socket = connect_from_usable_port(peer, &config, is_usable).unwrap();
        let offered = offered.into_inner();
        assert_eq!(Some(offered[3]), socket.local().map(|local| local.port()));
        assert!(offered[..3].iter().all(|port| *port != offered[3]));
    }

    #[test]
    fn number_of_attempts_is_bounded() {
        let config = OpenConfig::new(&Settings::one(""));
        let peer = "127.0.0.1:9".parse().unwrap();
        let error = connect_from_usable_port(peer, &config, |_| false).err().unwrap();
        assert_eq!(error.error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn socket_is_never_connected_to_itself() {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = OpenConfig { bind: Some(free), ..OpenConfig::new(&Settings::one("")) };
        let error = connect_from_usable_port(free, &config, |_| true).err().unwrap();
        assert_eq!(error.error.kind(), ErrorKind::ConnectionRefused);
    }
}
