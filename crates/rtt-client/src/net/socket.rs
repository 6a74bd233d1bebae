//! [`BufferedSocket`]: a socket with its receive buffer, used by every protocol. This file also contains
//! [`OperationError`] and [`set_option`]. `set_option` logs each socket option.

use crate::model::protocol::Protocol;
use crate::net::system::{NetworkError, ReceiveConfig, Receiver, WaitUntil};
use crate::net::transport::{Received, SocketError, SocketOperation};
use echo_core::Stamp;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::{fmt, io};
use tracing::debug;

/// The size of the program's receive buffer, in bytes. It is larger than the payload of the longest datagram (65,527 bytes
/// over IPv6), so no datagram is cut off.
const BUFFER_LEN: usize = 65_536;

pub(crate) struct BufferedSocket {
    pub(crate) inner: Socket,
    pub(crate) receiver: Receiver,
    buffer: Box<[u8]>,
}

impl BufferedSocket {
    /// Creates a socket for `peer`, binds it and sets its options. Does not connect it.
    ///
    /// # Errors
    ///
    /// The operation that failed. [`SocketOperation::Create`] fails, for example, if this host does not support the
    /// peer's version of IP.
    pub(crate) fn new(
        peer: SocketAddr,
        kind: Type,
        bind: Option<SocketAddr>,
        config: ReceiveConfig,
    ) -> Result<Self, OperationError> {
        let inner = Socket::new(Domain::for_address(peer), kind, None)
            .map_err(|error| OperationError { operation: SocketOperation::Create, error })?;
        debug!(%peer, ?kind, "socket created");
        if let Some(address) = bind {
            inner.bind(&address.into()).map_err(|error| OperationError {
                operation: SocketOperation::Bind(address),
                error,
            })?;
            debug!(%address, "socket bound");
        }
        let receiver = Receiver::new(&inner, config)?;
        Ok(Self { inner, receiver, buffer: vec![0; BUFFER_LEN].into_boxed_slice() })
    }

    /// The local address, if the system reports it.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.inner.local_addr().ok()?.as_socket()
    }

    /// Returns the ICMP errors that arrived since the last call.
    pub(crate) fn network_errors(&mut self) -> Vec<NetworkError> {
        self.receiver.network_errors(&self.inner)
    }

    /// Waits for data. [`Received::Bytes`] with 0 bytes is an empty datagram or the end of a stream.
    pub(crate) fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let Some(meta) = self.receiver.receive(&self.inner, &mut self.buffer, until)? else {
            return Ok(Received::Nothing);
        };
        let received = Stamp::just_after();
        let bytes = &self.buffer[..meta.len];
        Ok(Received::Bytes { received, timestamp: meta.timestamp, bytes })
    }
}

/// A failed operation on a socket. [`OperationError::with_peer`] converts it to a [`SocketError`].
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
pub(crate) struct OperationError {
    pub(crate) operation: SocketOperation,
    #[source]
    pub(crate) error: io::Error,
}

impl OperationError {
    /// The error of an exchange on an open socket.
    pub(crate) fn exchange(error: io::Error) -> Self {
        Self { operation: SocketOperation::Exchange, error }
    }

    pub(crate) fn with_peer(self, protocol: &'static Protocol, address: SocketAddr) -> SocketError {
        let Self { operation, error } = self;
        SocketError { operation, protocol, address, error }
    }
}

/// Calls `set` to set a socket option, and logs the option, its value and the result.
pub(crate) fn set_option(
    option: &'static str,
    value: impl fmt::Debug,
    set: impl FnOnce() -> io::Result<()>,
) -> Result<(), OperationError> {
    let result = set();
    match &result {
        Ok(()) => debug!(option, ?value, "socket option set"),
        Err(error) => debug!(option, ?value, %error, "socket option refused"),
    }
    result.map_err(|error| OperationError { operation: SocketOperation::SetOption(option), error })
}
