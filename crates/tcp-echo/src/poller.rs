//! Waits for the sockets of one worker, with epoll on Linux and its equivalents elsewhere, through `mio`. tokio's
//! reactor is built on the same crate.

use mio::{Events, Interest, Poll, Token, Waker, event};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the waker. All other tokens belong to sockets.
const WAKER: Token = Token(usize::MAX);

/// Maximum number of events that one wait returns. Further events stay in the kernel until the next wait.
const MAX_EVENTS: usize = 1024;

/// Pause after a failed wait.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Waits until sockets are ready.
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    busy_poll: Duration,
    last_event: Instant,
}

/// An event of one socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness {
    pub(crate) token: usize,
    /// The socket has data, a connection to accept, the end of the input, or an error. If false, the socket is only
    /// writable.
    pub(crate) is_readable: bool,
    /// The peer has closed its sending direction. No further event follows.
    pub(crate) is_read_closed: bool,
}

impl Poller {
    /// A poller that checks for events without sleeping until `busy_poll` has passed since the last event. Zero
    /// disables this.
    ///
    /// # Errors
    ///
    /// The system's error if it has no descriptor left.
    pub(crate) fn new(busy_poll: Duration) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let events = Events::with_capacity(MAX_EVENTS);
        Ok(Self { poll, events, waker, busy_poll, last_event: Instant::now() })
    }

    /// Ends a wait from another thread.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Reports `socket` under `token` from now on, edge-triggered: once for each arrival of data or of a
    /// connection, and once when the socket becomes writable again.
    ///
    /// # Errors
    ///
    /// The error of the system call (on Linux, `epoll_ctl(2)`).
    pub(crate) fn register(&self, socket: &mut impl event::Source, token: usize) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket, Token(token), both)
    }

    /// Waits for events, at most for `timeout`. [`Poller::events`] returns them.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) {
        let start = Instant::now();
        loop {
            let remaining = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            let is_busy_polling =
                !self.busy_poll.is_zero() && self.last_event.elapsed() < self.busy_poll;
            let poll_timeout = if is_busy_polling { Some(Duration::ZERO) } else { remaining };
            if let Err(error) = self.poll.poll(&mut self.events, poll_timeout) {
                self.events.clear();
                if error.kind() != io::ErrorKind::Interrupted {
                    // No cause of this error is known. The pause prevents a loop that uses a full CPU.
                    tracing::error!(%error, "waiting for sockets failed");
                    std::thread::sleep(ERROR_PAUSE);
                }
                return;
            }
            if !self.events.is_empty() {
                if !self.busy_poll.is_zero() {
                    self.last_event = Instant::now();
                }
                return;
            }
            if !is_busy_polling || remaining.is_some_and(|remaining| remaining.is_zero()) {
                return;
            }
        }
    }

    /// The events of the last wait, except wake-ups by the waker.
    pub(crate) fn events(&self) -> impl Iterator<Item = Readiness> {
        let sockets = self.events.iter().filter(|event| event.token() != WAKER);
        sockets.map(|event| Readiness {
            token: event.token().0,
            is_readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            is_read_closed: event.is_read_closed(),
        })
    }
}
