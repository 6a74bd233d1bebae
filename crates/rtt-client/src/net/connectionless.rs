//! Opens the transport of a protocol without connections. Its socket is connected to the peer. This sends no packet.

use crate::model::protocol::Protocol;
use crate::net::socket::OperationError;
use crate::net::transport::{OpenAttempt, SocketError, Transport};
use std::net::SocketAddr;
use std::time::Instant;
use tracing::debug;

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
            let failure = error.into_failure(&[], start.elapsed());
            Err(failure.map_err(|error| error.with_peer(protocol, peer))?)
        }
    };
    Ok(OpenAttempt { connection: None, transport })
}
