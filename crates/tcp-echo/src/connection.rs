//! One connection: reads requests, converts them to upper case, and sends the replies.
//!
//! No function here blocks. [`Connection::step`] does the work that is possible now, and returns the [`NextAction`] of
//! the connection. The module [`crate::worker`] explains the loop that calls it.

mod closing;
mod queue;

pub(crate) use closing::CloseReason;
pub(crate) use queue::Queue;

use crate::Config;
use crate::reply_output::ReplyOutput;
use crate::slots::SlotId;
use crate::timed_request::TimedRequests;
use crate::timeouts::Tick;
use crate::totals::Totals;
use echo_core::UppercaseStream;
use echo_core::header::Request;
use echo_service::{escaped_excerpt, request_units};
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read as _};
use std::net::IpAddr;
use std::time::Duration;

/// Whether a read that returns fewer bytes than requested has emptied the receive buffer. This is true for epoll
/// (epoll(7)). On other systems, mio may report new data only after a read has failed with `WouldBlock`.
const SHORT_READ_EMPTIES_BUFFER: bool = cfg!(all(target_os = "linux", not(portable)));

/// A connection. A server can have thousands of idle connections, so a test limits the size of this type. Boxes contain
/// the parts that not every connection needs.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: IpAddr,
    /// The conversion of text, which the server answers in pieces, as they arrive.
    uppercase: UppercaseStream,
    /// Timed requests. The server answers each request when it is complete. `None`: the requests are text.
    timed: Option<Box<TimedRequests>>,
    output: ReplyOutput,
    slot: SlotId,
    /// The tick in which the last data was received or sent.
    last_transfer: Tick,
    phase: Phase,
    /// Whether the peer may have replies to take. If this is false, no check of the backlog is necessary.
    may_have_backlog: bool,
    queue: Queue,
}

/// The worker's state that a step uses and changes.
pub(crate) struct StepContext<'a> {
    pub(crate) tick: Tick,
    /// The worker's read buffer: [`crate::limits::READ_SIZE`] bytes. All connections of the worker use it.
    pub(crate) read_buffer: &'a mut [u8],
    pub(crate) config: &'a Config,
    pub(crate) totals: &'a mut Totals,
    /// During the shutdown, the server answers only the data that has arrived. An empty receive buffer ends the input.
    pub(crate) is_shutting_down: bool,
    pub(crate) read_mode: ReadMode,
    /// The time that the connection has just waited for the rate limit of its source.
    pub(crate) limit_delay: Duration,
    /// Output: the step adds the units of the requests that it has answered ([`request_units`]). A read of text counts
    /// as one request.
    pub(crate) answered_units: u64,
}

/// When a step considers the receive buffer empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// After a short read (fewer bytes than requested), if [`SHORT_READ_EMPTIES_BUFFER`] is true. This saves one system
    /// call for each request.
    UntilShortRead,
    /// Only after `WouldBlock` or the end of the input. This mode is necessary after a FIN. epoll reports the FIN only
    /// once, possibly together with data, and a short read does not show the FIN.
    UntilEmpty,
}

/// The action that a connection needs after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextAction {
    /// Wait until an event reports more input, or space in the send buffer.
    WaitForEvent,
    /// Run another step without an event: the receive buffer may contain more data.
    StepAgain,
    /// Close the connection: the peer has taken the complete reply.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The server has not read any data. The first read shows whether the requests are text or timed requests.
    Start,
    /// The server reads requests and answers them.
    Open,
    /// The server does not read any more requests. It still sends the pending reply.
    InputEnded,
    /// The server has sent the FIN. It does not read any more, and waits until the peer has taken all replies. Without
    /// this phase, the kernel would keep the replies of a closed connection, which has no slot. So the number of slots
    /// would not limit the memory of the kernel.
    Draining,
    /// The server is shutting down. It has sent its complete reply and the FIN. It reads and discards input until the
    /// peer closes. If the server closed a socket with unread input, the kernel would send a reset. A reset can delete
    /// the reply from the peer's receive buffer.
    AwaitingPeerClose,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: IpAddr, slot: SlotId, tick: Tick) -> Self {
        Self {
            stream,
            peer,
            uppercase: UppercaseStream::default(),
            timed: None,
            output: ReplyOutput::default(),
            slot,
            last_transfer: tick,
            phase: Phase::Start,
            may_have_backlog: false,
            queue: Queue::None,
        }
    }

    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The slot of the connection. The server must release it after the close.
    pub(crate) fn slot(&self) -> SlotId {
        self.slot
    }

    /// The tick in which the last data was received or sent.
    pub(crate) fn last_transfer(&self) -> Tick {
        self.last_transfer
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether the kernel has accepted only a part of the reply. The server does not read from the connection until
    /// the kernel has accepted the rest.
    pub(crate) fn has_pending_reply(&self) -> bool {
        self.output.is_pending()
    }

    /// Whether the kernel has accepted all replies and the FIN, and the connection only waits for the peer.
    pub(crate) fn is_awaiting_peer_close(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::AwaitingPeerClose)
    }

    pub(crate) fn queue(&self) -> Queue {
        self.queue
    }

    pub(crate) fn set_queue(&mut self, queue: Queue) {
        self.queue = queue;
    }

    /// Restarts the timeouts after a wait for the rate limit, because the server caused this wait, not the peer.
    pub(crate) fn restart_timeouts(&mut self, tick: Tick) {
        self.last_transfer = tick;
        if let Some(timed) = &mut self.timed {
            timed.restart_timeout(tick);
        }
    }

    /// Whether a request waits for an answer: a complete timed request, or any data in the receive buffer.
    pub(crate) fn has_request(&self) -> bool {
        let has_complete_request = self.timed.as_ref().is_some_and(|timed| timed.has_request());
        has_complete_request || self.stream.peek(&mut [0]).is_ok_and(|length| length > 0)
    }

    /// Runs one step: sends the pending reply, or reads at most once and answers at most one request.
    ///
    /// # Errors
    ///
    /// The error of a socket function, or `InvalidData` after a malformed timing header. The caller must close the
    /// connection.
    pub(crate) fn step(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        match self.phase {
            Phase::Draining => return self.finish_draining(),
            Phase::AwaitingPeerClose => return Ok(self.discard_input(context.read_buffer)),
            Phase::Start | Phase::Open | Phase::InputEnded => {}
        }
        if self.has_pending_reply() {
            self.send_pending_reply(context.tick, context.totals)?;
            let is_complete = !self.has_pending_reply();
            return Ok(if is_complete { NextAction::StepAgain } else { NextAction::WaitForEvent });
        }
        let next = if self.phase == Phase::InputEnded {
            NextAction::StepAgain
        } else if self.timed.is_some() {
            self.answer_timed_request(context)?
        } else {
            self.answer_text(context)?
        };
        if self.phase != Phase::InputEnded || self.has_pending_reply() {
            return Ok(next);
        }
        let next = self.finish()?;
        // A reset after the close could delete an unread reply, so the connection waits for the peer's close. If the
        // last transfer is more than one tick ago, the peer has probably read its reply. No wait is necessary.
        if context.is_shutting_down && context.tick - self.last_transfer <= 1 {
            self.phase = Phase::AwaitingPeerClose;
            return Ok(NextAction::StepAgain);
        }
        Ok(next)
    }

    /// Sends as much of the pending reply as the kernel accepts. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// The error of the write. `WouldBlock` is not an error here.
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
            if Request::parse(text).is_some() {
                let timed = TimedRequests::new(text, context.tick, context.limit_delay);
                self.timed = Some(Box::new(timed));
                return self.answer_timed_request(context);
            }
        }
        if context.config.show_messages {
            let peer = self.stream.peer_addr()?;
            tracing::info!(%peer, text = escaped_excerpt(text), "request");
        }
        context.answered_units += request_units(length);
        let reply = self.uppercase.push(text);
        self.may_have_backlog = true;
        self.output.send(&self.stream, &reply, context.totals)?;
        Ok(if is_emptied { NextAction::WaitForEvent } else { NextAction::StepAgain })
    }

    fn answer_timed_request(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        let Some(timed) = &mut self.timed else {
            return Ok(NextAction::StepAgain);
        };
        let mut is_emptied = false;
        if timed.has_request() {
            timed.add_limit_delay(context.limit_delay);
        } else {
            match timed.read(&self.stream, context) {
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
            context.answered_units += request_units(reply.len());
            self.may_have_backlog = true;
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

    /// Ends the input. If the text ends inside a character, the reply contains the bytes of this character unchanged.
    fn end_input(&mut self, context: &mut StepContext<'_>) -> io::Result<NextAction> {
        self.phase = Phase::InputEnded;
        let incomplete_character = std::mem::take(&mut self.uppercase).finish();
        self.may_have_backlog |= !incomplete_character.is_empty();
        self.output.send(&self.stream, &incomplete_character, context.totals)?;
        Ok(NextAction::WaitForEvent)
    }

    fn discard_input(&mut self, buffer: &mut [u8]) -> NextAction {
        match self.stream.read(buffer) {
            Ok(1..) => NextAction::StepAgain,
            Err(error) if error.kind() == ErrorKind::WouldBlock => NextAction::WaitForEvent,
            Err(error) if error.kind() == ErrorKind::Interrupted => NextAction::StepAgain,
            // The reply is complete, so an error has the same effect as a close.
            Ok(0) | Err(_) => NextAction::Close,
        }
    }
}

impl StepContext<'_> {
    /// Whether a read of `length` bytes has emptied the receive buffer.
    fn read_emptied_buffer(&self, length: usize) -> bool {
        SHORT_READ_EMPTIES_BUFFER
            && length < self.read_buffer.len()
            && self.read_mode == ReadMode::UntilShortRead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connection_fits_in_one_cache_line() {
        assert!(size_of::<Connection>() <= 64, "{}", size_of::<Connection>());
    }
}
