//! Starts the workers and runs them until the shutdown.

use crate::Totals;
use crate::acceptor::Acceptor;
use crate::limits::{
    DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS_PER_SOURCE,
    DEFAULT_STALL_TIMEOUT,
};
use crate::poller::Poller;
use crate::slots::{ConnectionSlots, PrefixLimits};
use crate::worker;
use echo_service::{
    AllowedNetworks, RateLimit, RunWorkersError, Signals, SourceLimit, Worker, WorkerState,
    run_workers,
};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// The behaviour and the limits of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Log each request when the server answers it.
    pub show_messages: bool,
    /// After an event, a worker polls its sockets for this time before it sleeps. Zero disables polling.
    pub busy_poll: Duration,
    /// The networks whose peers may connect.
    pub allowed: AllowedNetworks,
    /// Maximum number of requests per second from one source. A read of text and a timed request count as one request
    /// for each [`echo_service::UNIT_BYTES`] bytes. `Some(0)` means no limit. `None` means the default of
    /// [`RateLimit::resolve`].
    pub rate: Option<u32>,
    /// Maximum number of open connections: the number of slots. At most [`crate::MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// Maximum number of open connections from one source. [`Config::prefix_limits`] derives the limits of larger
    /// networks. `Some(0)` means no limit. `None` means
    /// [`crate::DEFAULT_MAX_CONNECTIONS_PER_SOURCE`] for other hosts. Loopback addresses then have no limit.
    pub max_connections_per_source: Option<u64>,
    /// The server closes a connection if the peer does not send anything for this time. A peer that has replies to take
    /// is idle only if the stall timeout is disabled, and if the peer does not take anything either. Zero disables the
    /// timeout.
    pub idle_timeout: Duration,
    /// The server resets a connection if the peer takes its replies more slowly than
    /// [`crate::MIN_TRANSFER_RATE`] for this time. The same applies to the arrival of an incomplete timed request. Zero
    /// disables the timeout.
    pub stall_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            show_messages: false,
            busy_poll: Duration::ZERO,
            allowed: AllowedNetworks::default(),
            rate: None,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_source: None,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            stall_timeout: DEFAULT_STALL_TIMEOUT,
        }
    }
}

impl Config {
    /// The maximum number of connections per source and per network, with the default applied.
    #[must_use]
    pub fn prefix_limits(&self) -> PrefixLimits {
        let requested = self.max_connections_per_source;
        let source = SourceLimit::resolve(requested, DEFAULT_MAX_CONNECTIONS_PER_SOURCE);
        PrefixLimits::new(self.max_connections, source)
    }
}

/// The server cannot start, or it cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system did not create the object that reports socket events (on Linux, an epoll instance).
    #[error("cannot create the event queue of a worker")]
    CreatePoller(#[source] io::Error),
    /// The system did not return the address of a listener.
    #[error("cannot read the local address of a TCP listener")]
    LocalAddress(#[source] io::Error),
    /// The system refused an operation on a listener.
    #[error("cannot set up the TCP listener on {address}")]
    RegisterListener {
        /// The address of the listener.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The system did not start a thread, or a worker cannot continue.
    #[error(transparent)]
    Workers(#[from] RunWorkersError),
}

/// Serves the connections of `listeners` until `signals` request the shutdown. Then answers the data that has arrived,
/// and returns the totals.
///
/// `listeners` contains one vector for each worker thread. Peers and errors of connections do not stop the
/// server.
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
    listeners: Vec<Vec<TcpListener>>,
    config: Config,
    signals: Signals,
) -> Result<Totals, ServeError> {
    let pollers = listeners.iter().map(|_| Poller::new(config.busy_poll));
    let pollers: Vec<_> = pollers.collect::<Result<_, _>>().map_err(ServeError::CreatePoller)?;
    let wakers = pollers.iter().map(Poller::waker).collect();
    let slots = ConnectionSlots::new(config.max_connections, config.prefix_limits(), wakers);
    let slots = Arc::new(slots);
    let rate_limit = Arc::new(RateLimit::new(config.rate));
    let mut workers = Vec::new();
    for (number, (listeners, poller)) in listeners.into_iter().zip(pollers).enumerate() {
        let waker = poller.waker();
        let acceptor = Acceptor::new(listeners, &poller)?;
        let (slots, rate_limit) = (Arc::clone(&slots), Arc::clone(&rate_limit));
        let config = config.clone();
        let run = move |state: &WorkerState<Totals>| {
            worker::run(acceptor, poller, &slots, number, &rate_limit, &config, state)
        };
        let wake = move || {
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "cannot wake a worker");
            }
        };
        workers.push(Worker { run: Box::new(run), wake: Box::new(wake) });
    }
    Ok(run_workers(workers, &signals).await?)
}
