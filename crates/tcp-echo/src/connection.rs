//! One connection: reads requests, converts them to upper case, and sends the replies.
//!
//! No function here blocks. [`Connection::step`] does the work that is possible now, and returns what the connection
//! needs next. The module [`crate::worker`] explains the loop around it.

use crate::reply_output::ReplyOutput;
use crate::step::{NextAction, StepContext};
use crate::timed_request::TimedRequests;
use crate::timeouts::{Tick, Timeout, Timeouts};
use crate::totals::Totals;
use echo_core::{UppercaseStream, header};
use echo_service::escaped_excerpt;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, Shutdown};
use std::time::Instant;

/// A connection. A server can have thousands of idle connections, so a test limits the size of this type; rarely used
/// parts are boxed.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: IpAddr,
    format: RequestFormat,
    output: ReplyOutput,
    /// The tick of the last transfer in either direction.
    last_transfer: Tick,
    phase: Phase,
    /// The connection is in the table's list of connections that wait for the rate limit of their source.
    is_rate_limited: bool,
    /// The connection is in the table's list of connections that need another step without an event.
    is_runnable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The server has read nothing yet. The first read selects the [`RequestFormat`].
    Start,
    /// The server reads requests and answers them.
    Open,
    /// The server reads no more requests. It still sends the pending reply.
    InputEnded,
    /// The server has sent its complete reply and the FIN. It reads and discards input until the peer closes:
    /// closing a socket with unread input makes the kernel send a reset, and a reset can delete the reply from the
    /// peer's receive buffer.
    AwaitingPeerClose,
}

enum RequestFormat {
    /// Text. The server answers each part as it arrives.
    Text(UppercaseStream),
    /// Requests with a timing header. The server answers each request when it is complete.
    Timed(Box<TimedRequests>),
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: IpAddr, tick: Tick) -> Self {
        Self {
            stream,
            peer,
            format: RequestFormat::Text(UppercaseStream::default()),
            output: ReplyOutput::default(),
            last_transfer: tick,
            phase: Phase::Start,
            is_rate_limited: false,
            is_runnable: false,
        }
    }

    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether the kernel has not accepted the whole reply yet. The server reads nothing from the connection until
    /// then.
    pub(crate) fn has_pending_reply(&self) -> bool {
        self.output.is_pending()
    }

    /// Whether the reply is complete and only the close by the peer is missing.
    pub(crate) fn is_awaiting_peer_close(&self) -> bool {
        self.phase == Phase::AwaitingPeerClose
    }

    pub(crate) fn is_rate_limited(&self) -> bool {
        self.is_rate_limited
    }

    pub(crate) fn is_runnable(&self) -> bool {
        self.is_runnable
    }

    pub(crate) fn set_runnable(&mut self, is_runnable: bool) {
        self.is_runnable = is_runnable;
    }

    /// Stops reading because the rate limit of the source is exhausted.
    pub(crate) fn pause_for_rate_limit(&mut self) {
        self.is_rate_limited = true;
    }

    /// Continues after a pause, and restarts the timeouts: the peer has not caused the wait.
    pub(crate) fn resume(&mut self, tick: Tick) {
        self.is_rate_limited = false;
        self.last_transfer = tick;
        if let RequestFormat::Timed(timed) = &mut self.format {
            timed.restart_timeout(tick);
        }
    }

    /// Prepares the connection for the shutdown of the server: the rate limit no longer applies, and the connection
    /// is in the list of runnable connections.
    pub(crate) fn begin_shutdown(&mut self) {
        self.is_rate_limited = false;
        self.is_runnable = true;
    }

    /// Whether a request waits for its reply.
    pub(crate) fn has_request(&self) -> bool {
        let has_complete_request = match &self.format {
            RequestFormat::Timed(timed) => timed.has_request(),
            RequestFormat::Text(_) => false,
        };
        has_complete_request || self.stream.peek(&mut [0]).is_ok_and(|length| length > 0)
    }

    /// The timeout of this connection that has expired in the tick `now`, if any.
    pub(crate) fn expired_timeout(&self, now: Tick, timeouts: Timeouts) -> Option<Timeout> {
        if self.is_rate_limited || self.is_awaiting_peer_close() {
            return None;
        }
        let incomplete_since = match &self.format {
            RequestFormat::Timed(timed) => timed.incomplete_since(),
            RequestFormat::Text(_) => None,
        };
        let stalled_since =
            if self.has_pending_reply() { Some(self.last_transfer) } else { incomplete_since };
        let (since, timeout) = match stalled_since {
            Some(since) => (since, Timeout::Stall),
            None => (self.last_transfer, Timeout::Idle),
        };
        timeouts.is_expired(timeout, since, now).then_some(timeout)
    }

    /// Takes one step: sends the pending reply, or reads once and answers what it has read.
    ///
    /// # Errors
    ///
    /// The error of a socket function, or `InvalidData` after a malformed timing header. The caller closes the
    /// connection.
    pub(crate) fn step(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        if self.is_awaiting_peer_close() {
            return Ok(self.discard_input(context.read_buffer));
        }
        if self.has_pending_reply() {
            self.send_pending_reply(context.tick, context.totals)?;
            let is_complete = !self.has_pending_reply();
            return Ok(if is_complete { NextAction::StepAgain } else { NextAction::WaitForEvent });
        }
        let next = if self.phase == Phase::InputEnded {
            NextAction::StepAgain
        } else {
            match &self.format {
                RequestFormat::Text(_) => self.answer_text(context)?,
                RequestFormat::Timed(_) => self.answer_timed_request(context)?,
            }
        };
        if self.phase != Phase::InputEnded || self.has_pending_reply() {
            return Ok(next);
        }
        self.stream.shutdown(Shutdown::Write)?;
        // Without a transfer for some ticks, the peer has no unread reply, so a reset does no harm.
        if context.is_shutting_down && context.tick - self.last_transfer <= 1 {
            self.phase = Phase::AwaitingPeerClose;
            return Ok(NextAction::StepAgain);
        }
        Ok(NextAction::Close)
    }

    /// Sends as much of the pending reply as the kernel accepts. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// The error of the write, except `WouldBlock`.
    pub(crate) fn send_pending_reply(
        &mut self,
        tick: Tick,
        totals: &mut Totals,
    ) -> io::Result<usize> {
        let sent = self.output.send_pending(&self.stream, totals)?;
        if sent > 0 {
            self.last_transfer = tick;
        }
        Ok(sent)
    }

    fn answer_text(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        let RequestFormat::Text(uppercase) = &mut self.format else {
            return Ok(NextAction::StepAgain);
        };
        let length = match self.stream.read(context.read_buffer) {
            Ok(0) => return self.end_input(context),
            Ok(length) => length,
            Err(error) => return self.handle_read_error(error, context),
        };
        self.last_transfer = context.tick;
        context.totals.bytes_received += length as u64;
        let is_emptied = context.read_emptied_buffer(length);
        let text = &mut context.read_buffer[..length];
        if self.phase == Phase::Start {
            self.phase = Phase::Open;
            if header::timed_request_length(text).is_some() {
                let timed = TimedRequests::new(&self.stream, text, Instant::now(), context.tick);
                self.format = RequestFormat::Timed(Box::new(timed));
                return self.answer_timed_request(context);
            }
        }
        if context.config.show_messages {
            let peer = self.stream.peer_addr()?;
            tracing::info!(%peer, "{}", escaped_excerpt(text));
        }
        context.answered_requests += 1;
        let reply = uppercase.push(text);
        self.output.send(&self.stream, &reply, context.totals)?;
        Ok(if is_emptied { NextAction::WaitForEvent } else { NextAction::StepAgain })
    }

    fn answer_timed_request(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        let RequestFormat::Timed(timed) = &mut self.format else {
            return Ok(NextAction::StepAgain);
        };
        let mut is_emptied = false;
        if !timed.has_request() {
            match timed.read(&self.stream, context.read_buffer, context.tick) {
                Ok(0) => return self.end_input(context),
                Ok(length) => {
                    self.last_transfer = context.tick;
                    context.totals.bytes_received += length as u64;
                    is_emptied = context.read_emptied_buffer(length);
                }
                Err(error) => return self.handle_read_error(error, context),
            }
        }
        if let Some(reply) = timed.next_reply(&self.stream, context.config, context.tick)? {
            context.answered_requests += 1;
            self.output.send(&self.stream, &reply, context.totals)?;
        }
        let is_done = is_emptied && !timed.has_request();
        Ok(if is_done { NextAction::WaitForEvent } else { NextAction::StepAgain })
    }

    fn handle_read_error(
        &mut self,
        error: io::Error,
        context: &mut StepContext<'_>,
    ) -> io::Result<NextAction> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(NextAction::StepAgain),
            ErrorKind::WouldBlock if context.is_shutting_down => self.end_input(context),
            ErrorKind::WouldBlock => Ok(NextAction::WaitForEvent),
            _ => Err(error),
        }
    }

    /// Ends the input. If the text ends within a character, the reply contains its bytes unchanged.
    fn end_input(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        self.phase = Phase::InputEnded;
        if let RequestFormat::Text(uppercase) = &mut self.format {
            let incomplete_character = std::mem::take(uppercase).finish();
            self.output.send(&self.stream, &incomplete_character, context.totals)?;
        }
        Ok(NextAction::WaitForEvent)
    }

    fn discard_input(&mut self, buffer: &mut [u8]) -> NextAction {
        match self.stream.read(buffer) {
            Ok(1..) => NextAction::StepAgain,
            Err(error) if error.kind() == ErrorKind::WouldBlock => NextAction::WaitForEvent,
            Err(error) if error.kind() == ErrorKind::Interrupted => NextAction::StepAgain,
            // After the complete reply, an error has the same meaning as a close.
            Ok(0) | Err(_) => NextAction::Close,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_fits_in_one_cache_line() {
        assert!(size_of::<Connection>() <= 64, "{}", size_of::<Connection>());
    }
}
