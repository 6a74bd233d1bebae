//! Accepts connections, closes those that are not allowed or exceed a limit, and pauses after errors.

use crate::Config;
use crate::connection_table::ConnectionTable;
use crate::memory::limit_buffers;
use crate::poller::Poller;
use crate::serve::ServeError;
use crate::slots::{Admission, ConnectionSlots, Refusal};
use crate::totals::Totals;
use echo_service::{WorkerFailure, is_permanent_error, should_log};
use mio::net::{TcpListener, TcpStream};
use socket2::SockRef;
use std::io;
use std::net::{self, IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// First pause of a listener after an error that affects all connections, for example if no descriptor is free.
/// Each further error doubles the pause, up to [`MAX_ERROR_PAUSE`].
const MIN_ERROR_PAUSE: Duration = Duration::from_millis(5);

/// Longest pause of a listener. When a descriptor becomes free, the server accepts connections after at most this time.
const MAX_ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Maximum number of connections that a listener accepts before the worker serves the open connections again. The
/// worker accepts this number in less than 0.1 ms. A flood of new connections delays a request by this time.
const MAX_BATCH: usize = 8;

/// The token of the first listener. The tokens of connections are smaller.
pub(crate) const FIRST_LISTENER: usize = usize::MAX / 2;

/// The listeners of one worker.
pub(crate) struct Acceptor(Vec<Listener>);

struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// Whether the listener's queue may contain a connection.
    is_ready: bool,
    /// Whether the queue may contain connections that arrived before the server limited the buffers of the listener.
    /// They have not inherited the limits. For example, systemd starts the server when a connection has arrived.
    may_have_early_connections: bool,
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
            let listener = Listener::register(listener, address, poller, FIRST_LISTENER + index);
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

    /// Maximum time that the worker may wait for events. `None`: no maximum.
    pub(crate) fn wait_timeout(&self, now: Instant) -> Option<Duration> {
        let ready = self.0.iter().filter(|listener| listener.is_ready);
        let pause = |until: Instant| until.saturating_duration_since(now);
        ready.map(|listener| listener.paused_until.map_or(Duration::ZERO, pause)).min()
    }

    /// Accepts up to [`MAX_BATCH`] connections from each ready listener. Adds each allowed connection
    /// to `table`, and closes the others.
    ///
    /// # Errors
    ///
    /// [`WorkerFailure`] if a listener has a permanent error.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        slots: &ConnectionSlots,
        config: &Config,
        table: &mut ConnectionTable<'_>,
        poller: &Poller,
    ) -> Result<(), WorkerFailure> {
        for listener in &mut self.0 {
            if !listener.is_ready || listener.paused_until.is_some_and(|until| now < until) {
                continue;
            }
            listener.paused_until = None;
            for _ in 0..MAX_BATCH {
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        listener.next_pause = MIN_ERROR_PAUSE;
                        if listener.may_have_early_connections {
                            // An error has no effect on the service.
                            let _ = limit_buffers(&SockRef::from(&stream));
                        }
                        admit(stream, peer.ip(), slots, config, table, poller);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.is_ready = false;
                        listener.may_have_early_connections = false;
                        break;
                    }
                    Err(error) => {
                        count_error(&error, table.totals());
                        if is_permanent_error(&error) {
                            let address = listener.address;
                            return Err(WorkerFailure::Accept { address, source: error });
                        }
                        if !affects_only_one_connection(&error) {
                            // The connection stays in the queue, so an immediate retry would return the same error.
                            listener.pause(now);
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a listener without a pause may have more connections in its queue.
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
    fn register(
        listener: net::TcpListener,
        address: SocketAddr,
        poller: &Poller,
        token: usize,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        limit_buffers(&SockRef::from(&listener))?;
        let mut socket = TcpListener::from_std(listener);
        poller.register(&mut socket, token)?;
        Ok(Self {
            socket,
            address,
            is_ready: true,
            may_have_early_connections: true,
            next_pause: MIN_ERROR_PAUSE,
            paused_until: None,
        })
    }

    /// Starts a pause after an error. The next pause is twice as long.
    fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + self.next_pause);
        self.next_pause = (self.next_pause * 2).min(MAX_ERROR_PAUSE);
    }
}

/// Adds an allowed connection to `table`. Closes any other connection immediately. So the peer does not wait for a
/// timeout.
fn admit(
    stream: TcpStream,
    peer: IpAddr,
    slots: &ConnectionSlots,
    config: &Config,
    table: &mut ConnectionTable<'_>,
    poller: &Poller,
) {
    if !config.allowed.allows(peer) {
        refuse(&mut table.totals().refused_network, peer, "--allow does not contain the address");
        return;
    }
    match slots.acquire(peer, table.next_owner()) {
        Ok(Admission { slot, replaced }) => {
            if let Err(error) = table.insert(stream, peer, slot, poller) {
                slots.release(slot);
                count_error(&error, table.totals());
            }
            if let Some(token) = replaced {
                table.close_for_newcomer(token);
            }
        }
        Err(Refusal::AllSlots) => {
            refuse(
                &mut table.totals().refused_connection_limit,
                peer,
                "all slots of --connections are in use",
            );
        }
        Err(Refusal::PrefixLimit) => {
            refuse(
                &mut table.totals().refused_source_limit,
                peer,
                "the source or its network has reached its limit (--connections-per-source)",
            );
        }
    }
}

fn refuse(count: &mut u64, peer: IpAddr, reason: &'static str) {
    *count += 1;
    if should_log(*count) {
        tracing::warn!(%peer, count, reason, "refused a connection");
    }
}

fn count_error(error: &io::Error, totals: &mut Totals) {
    totals.accept_errors += 1;
    let count = totals.accept_errors;
    if should_log(count) {
        tracing::warn!(%error, count, "cannot accept a connection");
    }
}

/// Whether an error of accept(2) affects only one connection. After such an error, accept(2) can succeed for the next
/// connection. Examples: the connection ended after its handshake, the network reports an error, or a firewall refuses
/// the connection.
fn affects_only_one_connection(error: &io::Error) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_5_milliseconds_to_1_second() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let poller = Poller::new(Duration::ZERO).unwrap();
        let mut acceptor = Acceptor::new(vec![listener], &poller).unwrap();
        let now = Instant::now();
        assert_eq!(acceptor.wait_timeout(now), Some(Duration::ZERO));
        let pauses = [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000];
        for pause in pauses.map(Duration::from_millis) {
            acceptor.0[0].pause(now);
            assert_eq!(acceptor.wait_timeout(now), Some(pause));
            assert!(!acceptor.can_accept_more());
        }
    }
}
