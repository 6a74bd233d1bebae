//! Accepts connections, refuses those that exceed a limit, and pauses after errors.

use crate::Config;
use crate::connection_limit::{ConnectionLimit, ExceededLimit};
use crate::connection_table::ConnectionTable;
use crate::poller::Poller;
use crate::serve::ServeError;
use crate::totals::Totals;
use echo_service::should_log;
use mio::net::{TcpListener, TcpStream};
use std::io;
use std::net::{self, IpAddr};
use std::time::{Duration, Instant};

/// First pause of a listener after an error that concerns more than one connection, such as a lack of descriptors.
/// The pause doubles with each further error, up to [`MAX_ERROR_PAUSE`].
const MIN_ERROR_PAUSE: Duration = Duration::from_millis(5);

/// Longest pause of a listener after an error.
const MAX_ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Maximum number of connections that a listener accepts before the open connections are served again.
const MAX_BATCH: usize = 64;

/// The token of the first listener. Tokens below it belong to connections.
pub(crate) const FIRST_LISTENER: usize = usize::MAX / 2;

/// The listeners of one worker.
pub(crate) struct Acceptor(Vec<Listener>);

struct Listener {
    socket: TcpListener,
    /// Whether the queue of the listener can contain a connection.
    is_ready: bool,
    next_pause: Duration,
    paused_until: Option<Instant>,
}

impl Acceptor {
    /// Registers `listeners` with `poller`.
    ///
    /// # Errors
    ///
    /// [`ServeError`] if a system call for a listener fails.
    pub(crate) fn new(
        listeners: Vec<net::TcpListener>,
        poller: &Poller,
    ) -> Result<Self, ServeError> {
        let mut registered = Vec::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            let address = listener.local_addr().map_err(ServeError::LocalAddress)?;
            let listener = Listener::register(listener, poller, FIRST_LISTENER + index);
            let listener =
                listener.map_err(|source| ServeError::RegisterListener { address, source })?;
            registered.push(listener);
        }
        Ok(Self(registered))
    }

    /// Marks the listener with this token as ready.
    pub(crate) fn set_ready(&mut self, token: usize) {
        if let Some(listener) = self.0.get_mut(token - FIRST_LISTENER) {
            listener.is_ready = true;
        }
    }

    /// Maximum time that the worker can wait for events; `None` if only an event causes work.
    pub(crate) fn wait_timeout(&self, now: Instant) -> Option<Duration> {
        let ready = self.0.iter().filter(|listener| listener.is_ready);
        let pause = |until: Instant| until.saturating_duration_since(now);
        ready.map(|listener| listener.paused_until.map_or(Duration::ZERO, pause)).min()
    }

    /// Accepts up to [`MAX_BATCH`] connections of each ready listener. Adds them to `table`, or closes them if they
    /// exceed a limit.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        connection_limit: &ConnectionLimit,
        config: &Config,
        table: &mut ConnectionTable<'_>,
        poller: &Poller,
    ) {
        for listener in &mut self.0 {
            if !listener.is_ready || listener.paused_until.is_some_and(|until| now < until) {
                continue;
            }
            listener.paused_until = None;
            for _ in 0..MAX_BATCH {
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        listener.next_pause = MIN_ERROR_PAUSE;
                        admit(stream, peer.ip(), connection_limit, config, table, poller);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.is_ready = false;
                        break;
                    }
                    Err(error) => {
                        count_error(&error, table.totals());
                        if !concerns_one_connection(&error) {
                            // The connection stays in the queue, so an immediate retry would fail in the same way.
                            listener.paused_until = Some(now + listener.next_pause);
                            listener.next_pause = (listener.next_pause * 2).min(MAX_ERROR_PAUSE);
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Whether a listener that is not paused can have further connections.
    pub(crate) fn can_accept_more(&self) -> bool {
        self.0.iter().any(|listener| listener.is_ready && listener.paused_until.is_none())
    }

    /// Marks all listeners as ready and ends their pauses.
    pub(crate) fn set_all_ready(&mut self) {
        for listener in &mut self.0 {
            listener.is_ready = true;
            listener.paused_until = None;
        }
    }
}

impl Listener {
    fn register(listener: net::TcpListener, poller: &Poller, token: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut socket = TcpListener::from_std(listener);
        poller.register(&mut socket, token)?;
        Ok(Self { socket, is_ready: true, next_pause: MIN_ERROR_PAUSE, paused_until: None })
    }
}

/// Adds a connection to `table`. If it exceeds a limit, closes it at once, so that the peer need not wait for a
/// timeout.
fn admit(
    stream: TcpStream,
    peer: IpAddr,
    connection_limit: &ConnectionLimit,
    config: &Config,
    table: &mut ConnectionTable<'_>,
    poller: &Poller,
) {
    let totals = table.totals();
    if !config.allowed.allows(peer) {
        refuse(&mut totals.refused_network, peer, "--allow does not contain its address");
        return;
    }
    match connection_limit.acquire(peer) {
        Ok(()) => {
            if let Err(error) = table.insert(stream, peer, poller) {
                connection_limit.release(peer);
                count_error(&error, table.totals());
            }
        }
        Err(ExceededLimit::Connections) => {
            refuse(
                &mut totals.refused_connection_limit,
                peer,
                "the server has reached --connections",
            );
        }
        Err(ExceededLimit::ConnectionsPerSource) => {
            refuse(
                &mut totals.refused_source_limit,
                peer,
                "its source has reached --connections-per-source",
            );
        }
    }
}

fn refuse(count: &mut u64, peer: IpAddr, reason: &'static str) {
    *count += 1;
    if should_log(*count) {
        tracing::warn!(%peer, count, reason, "connection not served");
    }
}

fn count_error(error: &io::Error, totals: &mut Totals) {
    totals.accept_errors += 1;
    let count = totals.accept_errors;
    if should_log(count) {
        tracing::warn!(%error, count, "accepting a connection failed");
    }
}

/// Whether an error of accept(2) concerns only the connection to be accepted: accept(2) also returns errors that the
/// connection has had since its handshake, errors of the network, and a refusal by a firewall.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
            | Kind::TimedOut
    )
}
