//! Closes connections: after a timeout, for a new connection, and at the shutdown of the server.

use super::ConnectionTable;
use crate::connection::{CloseReason, Connection, NextAction, Queue, ReadMode};
use echo_service::should_log;
use std::io;
use std::time::Duration;

impl ConnectionTable<'_> {
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
                CloseReason::Failed(error) => self.close_failed(token, &error),
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
        let Some(mut connection) = self.remove(token) else { return };
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
        self.schedule.clear();
        self.connections.release_all_closed();
        for (token, connection) in self.connections.iter_mut() {
            connection.set_queue(Queue::RunnableUntilEmpty);
            self.schedule.add_runnable(connection.peer(), token);
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

    /// Sends the FIN. Removes the connection at once, or after the peer has taken all replies.
    pub(super) fn close(&mut self, token: usize) {
        let Some(connection) = self.connections.connection_mut(token) else { return };
        match connection.finish() {
            Ok(NextAction::WaitForEvent) => {}
            // An error means that the connection has already ended.
            Ok(_) | Err(_) => drop(self.remove(token)),
        }
    }

    /// Closes a connection after an error.
    pub(super) fn close_failed(&mut self, token: usize, error: &io::Error) {
        let Some(connection) = self.connections.get(token) else { return };
        self.totals.closed_with_error += 1;
        let count = self.totals.closed_with_error;
        if should_log(count) {
            let peer = connection.peer();
            tracing::debug!(%peer, %error, count, "closed a connection after an error");
        }
        self.close(token);
    }

    /// Removes a connection, and releases its slot. The caller closes its socket.
    pub(super) fn remove(&mut self, token: usize) -> Option<Connection> {
        let connection = self.connections.remove(token)?;
        self.slots.release(connection.slot());
        let peer = connection.peer();
        match connection.queue() {
            Queue::None => {}
            Queue::Runnable | Queue::RunnableUntilEmpty => {
                self.schedule.note_runnable_close(peer, &mut self.connections);
            }
            Queue::RateLimited | Queue::RateLimitedUntilEmpty => {
                self.schedule.note_waiting_close(peer, &mut self.connections);
            }
        }
        Some(connection)
    }

    fn close_idle(&mut self, token: usize) {
        // See `reset_stalled`.
        if self.send_part_of_pending_reply(token) {
            return;
        }
        let Some(mut connection) = self.remove(token) else { return };
        self.totals.closed_idle += 1;
        let count = self.totals.closed_idle;
        if should_log(count) {
            tracing::info!(peer = %connection.peer(), count, "closed an idle connection");
        }
        connection.prepare_immediate_close();
    }

    fn reset_stalled(&mut self, token: usize) {
        // The kernel reports a socket as writable only when much of the send buffer is free. It can accept some bytes
        // earlier. A system that does not report the length of the send queue shows the progress of the peer only in
        // this way.
        if self.send_part_of_pending_reply(token)
            && let Some(connection) = self.connections.connection_mut(token)
            && !matches!(
                connection.close_reason(self.tick, self.timeouts),
                Some(CloseReason::Stalled)
            )
        {
            return;
        }
        let Some(connection) = self.remove(token) else { return };
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
        let Some(connection) = self.connections.connection_mut(token) else { return false };
        if !connection.has_pending_reply() {
            return false;
        }
        // An error needs no action here. The caller can close the connection. If it does not, the next step fails and
        // closes the connection.
        let sent = connection.send_pending_reply(self.tick, &mut self.totals);
        self.add_to_queue(token, ReadMode::UntilEmpty);
        sent.is_ok_and(|sent| sent > 0)
    }
}
