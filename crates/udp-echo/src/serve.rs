//! Starts the workers and runs them until the shutdown.

use crate::Totals;
use crate::admission::AdmissionPolicy;
use crate::datagram_io::DatagramIo;
use crate::responder::Responder;
use crate::worker::{self, SHUTDOWN_CHECK_INTERVAL};
use echo_service::{
    AllowedNetworks, RateLimit, RunWorkersError, Signals, Worker, WorkerState, run_workers,
};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// The behaviour and the limits of a server.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Log each message that the server answers.
    pub show_messages: bool,
    /// After a request, a worker polls its socket for this time before it sleeps. Zero disables polling.
    pub busy_poll: Duration,
    /// The networks of the peers that the server answers.
    pub allowed: AllowedNetworks,
    /// Maximum number of requests per second from one source. `Some(0)` means no limit. `None` means the
    /// default of [`RateLimit::resolve`].
    pub rate: Option<u32>,
}

/// The server cannot start, or it cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system did not report the address of a socket.
    #[error("cannot read the local address of a UDP socket")]
    LocalAddress(#[source] io::Error),
    /// The system refused a socket option.
    #[error("cannot set the options of the UDP socket on {address}")]
    SetOptions {
        /// The address of the socket.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The system did not start a thread, or a worker cannot continue.
    #[error(transparent)]
    Workers(#[from] RunWorkersError),
}

/// Enables the information that [`serve`] needs about each datagram that arrives at `socket`. `address` is
/// the local address of the socket. The socket does not need to be bound to it yet.
///
/// [`serve`] calls this function too. But datagrams can arrive between the bind and [`serve`]. The kernel then
/// does not report their destination address, for example. To get this information for all datagrams, call this
/// function before the bind.
pub fn prepare(socket: &UdpSocket, address: SocketAddr) {
    DatagramIo::prepare(socket, address);
}

/// Answers the datagrams that arrive at `sockets` until `signals` request the shutdown. Then it answers the
/// datagrams that arrived before the shutdown, and returns the totals.
///
/// Each socket has its own worker thread. A thread waits only for its socket, so a reply needs two system
/// calls: receive and send. With several sockets per thread, a third call would have to find the socket that
/// is ready. The server continues after any datagram and after any temporary error of a socket.
///
/// # Errors
///
/// [`ServeError`] if the server cannot start, or if a socket has a permanent error
/// ([`is_permanent_error`](echo_service::is_permanent_error)).
///
/// # Panics
///
/// If a worker panics.
pub async fn serve(
    sockets: Vec<UdpSocket>,
    config: Config,
    signals: Signals,
) -> Result<Totals, ServeError> {
    let mut own_ports = Vec::new();
    for socket in &sockets {
        let address = socket.local_addr().map_err(ServeError::LocalAddress)?;
        set_blocking(socket).map_err(|source| ServeError::SetOptions { address, source })?;
        prepare(socket, address);
        own_ports.push(address.port());
    }
    let policy =
        AdmissionPolicy { allowed: config.allowed, rate: RateLimit::new(config.rate), own_ports };
    let responder = Arc::new(Responder { policy, show_messages: config.show_messages });
    let workers = sockets.into_iter().map(|socket| {
        let responder = Arc::clone(&responder);
        let run = move |state: &WorkerState<Totals>| {
            worker::run(socket, &responder, config.busy_poll, state)
        };
        // A worker checks its state at each SHUTDOWN_CHECK_INTERVAL, so `wake` does nothing.
        Worker { run: Box::new(run), wake: Box::new(|| {}) }
    });
    Ok(run_workers(workers.collect(), &signals).await?)
}

/// Configures `socket` so that a receive call waits, for [`SHUTDOWN_CHECK_INTERVAL`] at most.
fn set_blocking(socket: &UdpSocket) -> io::Result<()> {
    socket.set_read_timeout(Some(SHUTDOWN_CHECK_INTERVAL))?;
    socket.set_nonblocking(false)
}
