//! [`BufferedSocket`]: a socket with its receiving side and its buffer, the common part of all protocols that
//! use sockets. Also: errors of single operations, and logging of socket options.

use crate::model::protocol::Protocol;
use crate::net::system::{NetworkError, ReceiveConfig, Receiver, WaitUntil};
use crate::net::transport::{Received, SocketError, SocketOperation};
use echo_core::Stamp;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::{fmt, io};
use tracing::debug;

/// The size of the receive buffer of the program, in bytes: the longest datagram and one more byte, so that a
/// datagram is never cut off unnoticed. A stream is read in pieces of this size.
const BUFFER_LEN: usize = 65_536;

pub(crate) struct BufferedSocket {
    pub(crate) inner: Socket,
    pub(crate) receiver: Receiver,
    buffer: Box<[u8]>,
}

impl BufferedSocket {
    /// Creates a socket for `peer`, binds it and sets its options. It is not connected yet.
    ///
    /// # Errors
    ///
    /// The operation that failed. [`SocketOperation::Create`] can mean that this host has no addresses of the
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

    /// The local address, or the unspecified address if the system does not return it.
    pub(crate) fn local(&self) -> SocketAddr {
        let address = self.inner.local_addr().ok().and_then(|address| address.as_socket());
        address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The ICMP errors that arrived since the last call.
    pub(crate) fn network_errors(&mut self) -> Vec<NetworkError> {
        self.receiver.network_errors(&self.inner)
    }

    /// Waits for data. The result can be [`Received::Bytes`] without any bytes: an empty datagram, or the end of
    /// a stream.
    pub(crate) fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let Some(meta) = self.receiver.receive(&self.inner, &mut self.buffer, until)? else {
            return Ok(Received::Nothing);
        };
        let received = Stamp::just_after();
        let bytes = &self.buffer[..meta.len];
        Ok(Received::Bytes { received, timestamp: meta.timestamp, bytes })
    }
}

/// An operation on a socket that failed. [`OperationError::with_peer`] turns it into a [`SocketError`].
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub(crate) struct OperationError {
    pub(crate) operation: SocketOperation,
    #[source]
    pub(crate) error: io::Error,
}

impl OperationError {
    /// For `map_err`: the error of setting or reading this option.
    pub(crate) fn option(name: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { operation: SocketOperation::SetOption(name), error }
    }

    /// The error of an exchange on an open socket.
    pub(crate) fn exchange(error: io::Error) -> Self {
        Self { operation: SocketOperation::Exchange, error }
    }

    pub(crate) fn with_peer(self, protocol: &Protocol, address: SocketAddr) -> SocketError {
        let Self { operation, error } = self;
        SocketError { operation, protocol: protocol.title, address, error }
    }
}

/// Sets a socket option with `set`, and logs the option, its value and whether the system refused it.
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
    result.map_err(OperationError::option(option))
}
