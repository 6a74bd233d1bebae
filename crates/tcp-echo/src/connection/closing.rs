//! The end of a connection: when the server closes it, and how.

use super::{Connection, NextAction, Phase, Queue};
use crate::reply_output::Drain;
use crate::timeouts::{Tick, Timeout, Timeouts};
use echo_service::unacknowledged_bytes;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

/// Why the server closes a connection without an event.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// The connection has ended with an error, usually a reset by the peer.
    Failed(io::Error),
    /// The peer has not sent anything within the idle timeout. Without a stall timeout, it has not taken any part of its
    /// replies either.
    Idle,
    /// The peer has taken its replies, or has sent a timed request, more slowly than the minimum rate.
    Stalled,
    /// The server has sent the FIN, and the peer has taken all replies.
    Drained,
}

impl Connection {
    /// Returns the reason to close this connection, if there is one. `now` is the current tick. The caller calls this
    /// function once in each tick.
    pub(crate) fn close_reason(&mut self, now: Tick, timeouts: Timeouts) -> Option<CloseReason> {
        if self.phase == Phase::AwaitingPeerClose {
            return None;
        }
        // A connection that waits for the rate limit runs no step after a reset.
        if let Some(error) = self.error_of_backlog() {
            return Some(CloseReason::Failed(error));
        }
        let idle_since = match self.check_drain(now, timeouts) {
            Drain::TooSlow => return Some(CloseReason::Stalled),
            Drain::Complete if self.phase == Phase::Draining => return Some(CloseReason::Drained),
            Drain::Complete => Some(self.last_transfer),
            // The stall timeout decides whether the peer is too slow.
            Drain::InProgress { .. } if timeouts.is_enabled(Timeout::Stall) => None,
            // Otherwise a peer that takes at least one byte in each idle timeout is not idle.
            Drain::InProgress { since } => Some(since.max(self.last_transfer)),
        };
        if self.queue.is_rate_limited() {
            return None;
        }
        if self.phase != Phase::Draining
            && let Some(timed) = &mut self.timed
        {
            if self.output.is_pending() {
                // The server does not read now, so the rest of the request cannot arrive.
                timed.restart_timeout(now);
            } else if timed.is_too_slow(now, timeouts) {
                return Some(CloseReason::Stalled);
            }
        }
        // A runnable connection waits for the server, not for its peer.
        let is_idle = self.queue == Queue::None
            && idle_since.is_some_and(|since| timeouts.is_expired(Timeout::Idle, since, now));
        is_idle.then_some(CloseReason::Idle)
    }

    /// Whether the peer has taken all replies after the FIN.
    ///
    /// # Errors
    ///
    /// The error that has ended the connection. The caller must close it.
    pub(super) fn finish_draining(&self) -> io::Result<NextAction> {
        match self.error_of_backlog() {
            Some(error) => Err(error),
            None if self.bytes_in_kernel() > 0 => Ok(NextAction::WaitForEvent),
            None => Ok(NextAction::Close),
        }
    }

    /// Sends the FIN, and closes the connection after the peer has taken all replies.
    ///
    /// # Errors
    ///
    /// The system's error if the connection has already ended. The caller must close it.
    pub(crate) fn finish(&mut self) -> io::Result<NextAction> {
        let backlog = self.bytes_in_kernel();
        self.stream.shutdown(Shutdown::Write)?;
        self.phase = Phase::Draining;
        Ok(if backlog == 0 { NextAction::Close } else { NextAction::WaitForEvent })
    }

    /// Prepares an immediate close. The kernel frees its buffers at once: if the peer has not taken all replies, the
    /// close sends a reset.
    pub(crate) fn prepare_immediate_close(&mut self) {
        // An error means that the connection has already ended.
        let _ = if self.has_pending_reply() || self.bytes_in_kernel() > 0 {
            self.reset_on_close()
        } else {
            self.stream.shutdown(Shutdown::Write)
        };
    }

    /// Makes the close send a reset and discard the data in the kernel's send queue. Otherwise the kernel would keep
    /// this data for a peer that does not read.
    ///
    /// # Errors
    ///
    /// The system's error if the connection has already ended.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// The number of bytes in the kernel's send queue. 0 if the system does not report it.
    pub(super) fn bytes_in_kernel(&self) -> u64 {
        let bytes = unacknowledged_bytes(&self.stream).unwrap_or(0);
        // The FIN counts as one byte.
        if self.is_awaiting_peer_close() { bytes.saturating_sub(1) } else { bytes }
    }

    /// The error that has ended a connection whose peer may have replies to take. After a reset, the kernel neither
    /// changes the length of the send queue nor reports another event. `take_error` removes the error from the socket,
    /// so the caller must close the connection.
    fn error_of_backlog(&self) -> Option<io::Error> {
        // If the system does not return the error, the next read or write fails.
        if self.may_have_backlog { self.stream.take_error().ok().flatten() } else { None }
    }

    fn check_drain(&mut self, now: Tick, timeouts: Timeouts) -> Drain {
        if !self.may_have_backlog {
            return Drain::Complete;
        }
        let drain = self.output.check_drain(self.bytes_in_kernel(), now, timeouts);
        self.may_have_backlog = drain != Drain::Complete;
        drain
    }
}
