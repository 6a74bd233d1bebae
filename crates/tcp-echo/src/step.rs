//! The input and the result of one step of a connection ([`crate::connection::Connection::step`]).

use crate::Config;
use crate::timeouts::Tick;
use crate::totals::Totals;

/// Whether a read that returns fewer bytes than requested has emptied the receive buffer. This is true for epoll
/// (epoll(7)). Other systems report new data only after a read has failed with `WouldBlock`.
const SHORT_READ_EMPTIES_BUFFER: bool = cfg!(all(target_os = "linux", not(portable)));

/// The worker's state that a step uses and changes.
pub(crate) struct StepContext<'a> {
    pub(crate) tick: Tick,
    /// The worker's read buffer: [`crate::limits::READ_SIZE`] bytes, shared by all of its connections.
    pub(crate) read_buffer: &'a mut [u8],
    pub(crate) config: &'a Config,
    pub(crate) totals: &'a mut Totals,
    /// The server answers the data that has arrived, and does not wait for more. An empty receive buffer ends the
    /// input.
    pub(crate) is_shutting_down: bool,
    pub(crate) read_mode: ReadMode,
    /// A result: the step adds the number of requests that it has answered. One read of a text counts as one request,
    /// and so does one timed request.
    pub(crate) answered_requests: u64,
}

/// When a step considers the receive buffer empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// After a short read, if the system allows this conclusion. This saves one system call for each request.
    UntilShortRead,
    /// Only after `WouldBlock` or the end of the input. This mode is necessary after a FIN: epoll reports the FIN only
    /// once, possibly together with data, and a short read does not show it.
    UntilEmpty,
}

/// What a connection needs after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextAction {
    /// An event: more input, or space in the send buffer.
    WaitForEvent,
    /// Another step without an event: the receive buffer may contain more data.
    StepAgain,
    /// To be closed: the kernel has accepted the complete reply and the FIN.
    Close,
}

impl StepContext<'_> {
    /// Whether a read of `length` bytes has emptied the receive buffer.
    pub(crate) fn read_emptied_buffer(&self, length: usize) -> bool {
        SHORT_READ_EMPTIES_BUFFER
            && length < self.read_buffer.len()
            && self.read_mode == ReadMode::UntilShortRead
    }
}
