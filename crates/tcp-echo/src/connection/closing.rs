//! The end of a connection: when the server closes it, and how.

use super::{Connection, NextAction, Phase, Queue};
use crate::reply_output::Drain;
use crate::timeouts::{Tick, Timeout, Timeouts};
use echo_service::unacknowledged_bytes;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

/// Why the server closes a connection without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The peer has not sent anything within the idle timeout.
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
        let drain = self.check_drain(now, timeouts);
        if drain == Drain::TooSlow {
            return Some(CloseReason::Stalled);
        }
        if self.phase == Phase::Draining {
            return (drain == Drain::Complete).then_some(CloseReason::Drained);
        }
        if self.queue.is_rate_limited() {
            return None;
        }
        if let Some(timed) = &mut self.timed {
            if self.output.is_pending() {
                // The server does not read now, so the rest of the request cannot arrive.
                timed.restart_timeout(now);
            } else if let Some(is_too_slow) = timed.is_too_slow(now, timeouts) {
                return is_too_slow.then_some(CloseReason::Stalled);
            }
        }
        // A runnable connection waits for the server, not for its peer.
        let is_idle = self.queue == Queue::None
            && drain == Drain::Complete
            && timeouts.is_expired(Timeout::Idle, self.last_transfer, now);
        is_idle.then_some(CloseReason::Idle)
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

    fn check_drain(&mut self, now: Tick, timeouts: Timeouts) -> Drain {
        if !self.may_have_backlog {
            return Drain::Complete;
        }
        let drain = self.output.check_drain(self.bytes_in_kernel(), now, timeouts);
        self.may_have_backlog = drain != Drain::Complete;
        drain
    }
}
