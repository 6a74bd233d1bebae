//! The open connections of one worker. Two lists contain the connections that need a step without an event.

use crate::Config;
use crate::connection::{CloseReason, Connection, NextAction, ReadMode, StepContext};
use crate::limits::READ_SIZE;
use crate::poller::{Poller, Readiness};
use crate::slots::{ConnectionSlots, Owner, SlotId};
use crate::timeouts::{Tick, Timeouts};
use crate::totals::Totals;
use echo_service::{RateLimit, should_log};
use mio::net::TcpStream;
use slab::Slab;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Interval at which the worker checks whether rate-limited connections can continue.
const RATE_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The connections of one worker. The index of a connection in the slab is its token in the [`Poller`].
pub(crate) struct ConnectionTable<'a> {
    connections: Slab<Connection>,
    slots: &'a ConnectionSlots,
    /// The number of the worker.
    worker: usize,
    rate_limit: &'a RateLimit,
    config: &'a Config,
    /// The buffer for the reads of all connections. An idle connection needs no buffer.
    read_buffer: Vec<u8>,
    /// The tokens of connections that need another step without an event.
    runnable: Vec<usize>,
    /// The connections that wait for the rate limit of their source.
    rate_limited: Vec<RateLimited>,
    /// The time of the next check of `rate_limited`. `None` if `rate_limited` is empty.
    rate_check_at: Option<Instant>,
    is_shutting_down: bool,
    /// The current tick: the number of calls of [`ConnectionTable::close_timed_out`].
    tick: Tick,
    timeouts: Timeouts,
    totals: Totals,
}

/// A connection that waits for the rate limit of its source.
#[derive(Debug, Clone, Copy)]
struct RateLimited {
    token: usize,
    since: Instant,
}

impl<'a> ConnectionTable<'a> {
    pub(crate) fn new(
        slots: &'a ConnectionSlots,
        worker: usize,
        rate_limit: &'a RateLimit,
        config: &'a Config,
    ) -> Self {
        Self {
            connections: Slab::new(),
            slots,
            worker,
            rate_limit,
            config,
            read_buffer: vec![0; READ_SIZE],
            runnable: Vec::new(),
            rate_limited: Vec::new(),
            rate_check_at: None,
            is_shutting_down: false,
            tick: 0,
            timeouts: Timeouts::new(config),
            totals: Totals::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(crate) fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// The owner of the next connection that [`ConnectionTable::insert`] adds.
    pub(crate) fn next_owner(&self) -> Owner {
        Owner { worker: self.worker, token: self.connections.vacant_key() }
    }

    /// Adds a connection and registers it with `poller`. The caller has acquired `slot` for
    /// [`ConnectionTable::next_owner`].
    ///
    /// # Errors
    ///
    /// The system's error if the system refuses a socket option or the registration. Then the connection is closed.
    pub(crate) fn insert(
        &mut self,
        stream: TcpStream,
        peer: IpAddr,
        slot: SlotId,
        poller: &Poller,
    ) -> io::Result<()> {
        // Disables Nagle's algorithm (RFC 896): a reply must not wait for the acknowledgement of the previous
        // reply.
        stream.set_nodelay(true)?;
        // Maximum time without an acknowledgement of sent data (TCP_USER_TIMEOUT, tcp(7)). After the server has closed
        // the connection, only the kernel can stop sending to a peer that does not read.
        #[cfg(target_os = "linux")]
        if !self.config.stall_timeout.is_zero() {
            let timeout = Some(self.config.stall_timeout * 2);
            socket2::SockRef::from(&stream).set_tcp_user_timeout(timeout)?;
        }
        let entry = self.connections.vacant_entry();
        let mut connection = Connection::new(stream, peer, slot, self.tick);
        poller.register(connection.stream(), entry.key())?;
        entry.insert(connection);
        self.totals.connections += 1;
        Ok(())
    }

    /// Maximum time that the worker may wait for events. `None`: no maximum.
    pub(crate) fn wait_timeout(&self, now: Instant) -> Option<Duration> {
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        self.rate_check_at.map(|at| at.saturating_duration_since(now))
    }

    /// Runs one step of the connection for which the event arrived.
    pub(crate) fn handle_event(&mut self, readiness: Readiness, now: Instant) {
        let Some(connection) = self.connections.get(readiness.token) else { return };
        // The event may report only free space in the send buffer. A connection without a pending reply does not need
        // this event.
        if readiness.is_readable || connection.has_pending_reply() {
            let read_mode = if readiness.is_read_closed {
                ReadMode::UntilEmpty
            } else {
                ReadMode::UntilShortRead
            };
            self.step(readiness.token, read_mode, now, None);
        }
    }

    /// Runs one step of each runnable connection. Also runs one step of each rate-limited connection, if the next check
    /// of these connections is due.
    pub(crate) fn step_without_events(&mut self, now: Instant) {
        let runnable = std::mem::take(&mut self.runnable);
        for token in &runnable {
            if let Some(connection) = self.connections.get_mut(*token) {
                connection.set_runnable(false);
            }
        }
        for token in runnable {
            self.step(token, ReadMode::UntilEmpty, now, None);
        }
        if self.rate_check_at.is_some_and(|at| now >= at) {
            self.step_rate_limited(now);
        }
    }

    /// Time between two calls of [`ConnectionTable::close_timed_out`].
    pub(crate) fn tick_length(&self) -> Duration {
        self.timeouts.tick_length()
    }

    /// Starts the next tick, and closes the connections with an expired timeout.
    pub(crate) fn close_timed_out(&mut self) {
        self.tick = self.tick.saturating_add(1);
        let expired = self.connections.iter_mut().filter_map(|(token, connection)| {
            let reason = connection.close_reason(self.tick, self.timeouts)?;
            Some((token, reason))
        });
        for (token, reason) in expired.collect::<Vec<_>>() {
            match reason {
                CloseReason::Idle => self.close_idle(token),
                CloseReason::Stalled => self.reset_stalled(token),
                CloseReason::Drained => drop(self.remove(token)),
            }
        }
    }

    /// Closes the connections that have lost their slots to connections of other workers.
    pub(crate) fn close_replaced(&mut self) {
        for token in self.slots.take_replaced(self.worker) {
            self.close_for_newcomer(token);
        }
    }

    /// Closes a connection that has lost its slot to a new connection.
    pub(crate) fn close_for_newcomer(&mut self, token: usize) {
        let mut connection = self.remove(token);
        self.totals.closed_for_newcomer += 1;
        let count = self.totals.closed_for_newcomer;
        if should_log(count) {
            tracing::warn!(
                peer = %connection.peer(),
                count,
                "closed a connection, because another source needs its slot"
            );
        }
        connection.prepare_immediate_close();
    }

    /// Starts the shutdown. Each connection answers the data that has arrived, and then closes. Rate limits no longer
    /// apply.
    pub(crate) fn begin_shutdown(&mut self) {
        self.is_shutting_down = true;
        self.rate_limited.clear();
        self.rate_check_at = None;
        self.runnable = self.connections.iter().map(|(token, _)| token).collect();
        for (_, connection) in &mut self.connections {
            connection.begin_shutdown();
        }
    }

    /// Whether all connections only wait for the peer's close.
    pub(crate) fn is_awaiting_peers_only(&self) -> bool {
        self.connections.iter().all(|(_, connection)| connection.is_awaiting_peer_close())
    }

    /// Closes all remaining connections at the end of the shutdown.
    pub(crate) fn close_all(&mut self) {
        let connections = self.connections.iter();
        let incomplete = connections.filter(|(_, connection)| !connection.is_awaiting_peer_close());
        self.totals.closed_at_shutdown += incomplete.count() as u64;
        self.connections.clear();
    }

    fn step_rate_limited(&mut self, now: Instant) {
        self.rate_check_at = None;
        let rate_limited = std::mem::take(&mut self.rate_limited);
        for RateLimited { token, .. } in &rate_limited {
            if let Some(connection) = self.connections.get_mut(*token) {
                connection.resume(self.tick);
            }
        }
        let counted = self.totals.rate_limited_reads;
        for RateLimited { token, since } in rate_limited {
            self.step(token, ReadMode::UntilEmpty, now, Some(since));
        }
        // A connection that must wait again is not counted again.
        self.totals.rate_limited_reads = counted;
    }

    /// Runs one step of a connection. If the rate limit of its source is exhausted, the connection waits instead.
    /// `limited_since` is the start of such a wait that has just ended.
    ///
    /// Does nothing if no connection has this token: an earlier step or a timeout can have closed the connection.
    fn step(
        &mut self,
        token: usize,
        read_mode: ReadMode,
        now: Instant,
        limited_since: Option<Instant>,
    ) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        if connection.is_rate_limited() {
            return;
        }
        // A pending reply answers a request that is already counted.
        let is_counted = !self.is_shutting_down && !connection.has_pending_reply();
        let peer = connection.peer();
        if is_counted && self.rate_limit.is_exhausted(peer, now) && connection.has_request() {
            connection.pause_for_rate_limit();
            self.totals.rate_limited_reads += 1;
            self.rate_limited.push(RateLimited { token, since: limited_since.unwrap_or(now) });
            self.rate_check_at.get_or_insert(now + RATE_CHECK_INTERVAL);
            return;
        }
        let mut context = StepContext {
            tick: self.tick,
            read_buffer: &mut self.read_buffer,
            config: self.config,
            totals: &mut self.totals,
            is_shutting_down: self.is_shutting_down,
            read_mode: if self.is_shutting_down { ReadMode::UntilEmpty } else { read_mode },
            limit_delay: limited_since
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            answered_requests: 0,
        };
        let last_transfer = connection.last_transfer();
        let next = connection.step(&mut context);
        if connection.last_transfer() != last_transfer {
            self.slots.record_activity(connection.slot(), now);
        }
        if context.answered_requests > 0 {
            self.rate_limit.charge(peer, context.answered_requests, now);
        }
        match next {
            Ok(NextAction::WaitForEvent) => {}
            Ok(NextAction::StepAgain) => self.make_runnable(token),
            Ok(NextAction::Close) => drop(self.remove(token)),
            Err(error) => {
                self.totals.closed_with_error += 1;
                let count = self.totals.closed_with_error;
                if should_log(count) {
                    tracing::debug!(%peer, %error, count, "closed a connection after an error");
                }
                self.close(token);
            }
        }
    }

    fn make_runnable(&mut self, token: usize) {
        let connection = &mut self.connections[token];
        if !connection.is_runnable() {
            connection.set_runnable(true);
            self.runnable.push(token);
        }
    }

    fn close_idle(&mut self, token: usize) {
        self.totals.closed_idle += 1;
        let count = self.totals.closed_idle;
        if should_log(count) {
            let peer = self.connections[token].peer();
            tracing::info!(%peer, count, "closed an idle connection");
        }
        self.close(token);
    }

    /// Sends the FIN. Removes the connection at once, or after the peer has taken all replies.
    fn close(&mut self, token: usize) {
        match self.connections[token].finish() {
            Ok(NextAction::WaitForEvent) => {}
            // An error means that the connection has already ended.
            Ok(_) | Err(_) => drop(self.remove(token)),
        }
    }

    fn reset_stalled(&mut self, token: usize) {
        // The kernel reports a socket as writable only when much of the send buffer is free. It can accept some bytes
        // earlier. A system that does not report the length of the send queue shows the progress of the peer only in this
        // way.
        if self.connections[token].has_pending_reply() && self.send_part_of_pending_reply(token) {
            let connection = &mut self.connections[token];
            if connection.close_reason(self.tick, self.timeouts) != Some(CloseReason::Stalled) {
                return;
            }
        }
        let connection = self.remove(token);
        self.totals.closed_stalled += 1;
        let count = self.totals.closed_stalled;
        if should_log(count) {
            tracing::warn!(peer = %connection.peer(), count, "reset a stalled connection");
        }
        // An error means that the connection has already ended.
        let _ = connection.reset_on_close();
    }

    /// Sends as much of the pending reply as the kernel accepts. Returns whether the kernel accepted any bytes.
    fn send_part_of_pending_reply(&mut self, token: usize) -> bool {
        let before = self.totals.bytes_answered;
        self.make_runnable(token);
        // An error needs no action here. The caller can close the connection. If it does not, the next step fails and
        // closes the connection.
        let _ = self.connections[token].send_pending_reply(self.tick, &mut self.totals);
        self.totals.bytes_answered > before
    }

    fn remove(&mut self, token: usize) -> Connection {
        let connection = self.connections.remove(token);
        self.slots.release(connection.slot());
        connection
    }
}
