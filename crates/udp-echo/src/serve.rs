//! Starts the workers and runs them until the shutdown.

use crate::Totals;
use crate::admission::AdmissionPolicy;
use crate::datagram_io::DatagramIo;
use crate::responder::Responder;
use crate::worker::{self, SHUTDOWN_CHECK_INTERVAL};
use echo_service::{
    AllowedNetworks, RateLimit, Signals, StartWorkerError, Worker, WorkerState, run_workers,
};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// The behaviour and the limits of a server.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Log each message when the server answers it.
    pub show_messages: bool,
    /// Time after the last request in which a worker polls its socket instead of sleeping. Zero disables
    /// this.
    pub busy_poll: Duration,
    /// The networks whose requests the server answers.
    pub allowed: AllowedNetworks,
    /// Maximum number of requests per second from one source. `Some(0)` means no limit. `None` means the
    /// default of [`RateLimit::resolve`].
    pub rate: Option<u32>,
}

/// The server cannot start.
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
    /// The system did not start a thread.
    #[error(transparent)]
    StartWorker(#[from] StartWorkerError),
}

/// Enables the information that [`serve`] needs about each datagram that arrives at `socket`. `address` is
/// the address to which the socket is bound, or will be bound.
///
/// [`serve`] also calls this function. A call before the bind ensures that the information is complete for
/// every datagram, for example the destination address on a host with several addresses.
pub fn prepare(socket: &UdpSocket, address: SocketAddr) {
    DatagramIo::prepare(socket, address);
}

/// Answers the datagrams that arrive at `sockets` until `signals` request the shutdown. Then it answers the
/// datagrams that have arrived, and returns the totals.
///
/// Each socket has its own worker thread, which waits only for this socket. So a reply needs two system
/// calls, and no third one to find out which socket is ready. Neither a datagram nor an error of a socket
/// ends the server.
///
/// # Errors
///
/// [`ServeError`] if the server cannot start.
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
            worker::run(socket, &responder, config.busy_poll, state);
        };
        // A worker checks its state after each SHUTDOWN_CHECK_INTERVAL, so it needs no wake-up.
        Worker { run: Box::new(run), wake: Box::new(|| {}) }
    });
    Ok(run_workers(workers.collect(), &signals).await?)
}

/// Makes a receive call wait, but not longer than the interval in which a worker checks its state.
fn set_blocking(socket: &UdpSocket) -> io::Result<()> {
    socket.set_read_timeout(Some(SHUTDOWN_CHECK_INTERVAL))?;
    socket.set_nonblocking(false)
}
