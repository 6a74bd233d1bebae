//! Waits until sockets of one worker are ready. The crate `mio` calls epoll on Linux, and equivalent functions on other
//! systems. tokio's reactor uses the same crate.

use echo_service::{WorkerFailure, is_permanent_error};
use mio::{Events, Interest, Poll, Token, Waker, event};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the waker. All other tokens belong to sockets.
const WAKER: Token = Token(usize::MAX);

/// Maximum number of events that one wait returns. Further events stay in the kernel until the next wait.
const MAX_EVENTS: usize = 1024;

/// Pause after a temporary error of the wait. It prevents a loop that uses a full CPU.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// The sockets of one worker, and the events of the last wait.
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
    /// The socket has data, a connection in its queue, the end of the input, or an error. If the
    /// field is false, the socket is only writable.
    pub(crate) is_readable: bool,
    /// The peer has closed its sending direction. No other event reports this close.
    pub(crate) is_read_closed: bool,
}

impl Poller {
    /// Creates a poller without sockets. For the time `busy_poll` after each event, the poller checks for further
    /// events without sleeping. Zero disables these checks.
    ///
    /// # Errors
    ///
    /// The system's error, for example if no descriptor is free.
    pub(crate) fn new(busy_poll: Duration) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let events = Events::with_capacity(MAX_EVENTS);
        Ok(Self { poll, events, waker, busy_poll, last_event: Instant::now() })
    }

    /// Returns a waker. Another thread uses it to end a wait.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Registers `socket` under `token` for edge-triggered events. An event occurs once when data or a connection
    /// arrives, and once when the socket becomes writable again.
    ///
    /// # Errors
    ///
    /// The system's error (on Linux, from `epoll_ctl(2)`).
    pub(crate) fn register(&self, socket: &mut impl event::Source, token: usize) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket, Token(token), both)
    }

    /// Waits for events, at most for `timeout`. [`Poller::events`] returns the events.
    ///
    /// # Errors
    ///
    /// [`WorkerFailure`] if the system returns a permanent error.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), WorkerFailure> {
        // Without busy-polling, there is only one poll. Then no reading of the clock is necessary.
        let start = (!self.busy_poll.is_zero()).then(Instant::now);
        let mut remaining = timeout;
        loop {
            let is_busy_polling =
                !self.busy_poll.is_zero() && self.last_event.elapsed() < self.busy_poll;
            let poll_timeout = if is_busy_polling { Some(Duration::ZERO) } else { remaining };
            if let Err(error) = self.poll.poll(&mut self.events, poll_timeout) {
                self.events.clear();
                if is_permanent_error(&error) {
                    return Err(WorkerFailure::Wait(error));
                }
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(%error, "cannot wait for events of the sockets");
                    std::thread::sleep(ERROR_PAUSE);
                }
                return Ok(());
            }
            if !self.events.is_empty() {
                if !self.busy_poll.is_zero() {
                    self.last_event = Instant::now();
                }
                return Ok(());
            }
            if !is_busy_polling || remaining == Some(Duration::ZERO) {
                return Ok(());
            }
            let elapsed = start.map_or(Duration::ZERO, |start| start.elapsed());
            remaining = timeout.map(|timeout| timeout.saturating_sub(elapsed));
        }
    }

    /// Whether the last wait returned the maximum number of events. Then the kernel may have more of them.
    pub(crate) fn has_more(&self) -> bool {
        self.events.iter().nth(MAX_EVENTS - 1).is_some()
    }

    /// The events of the sockets in the last wait. Events of the waker are not included.
    pub(crate) fn events(&self) -> impl Iterator<Item = Readiness> {
        let sockets = self.events.iter().filter(|event| event.token() != WAKER);
        sockets.map(|event| Readiness {
            token: event.token().0,
            is_readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            is_read_closed: event.is_read_closed(),
        })
    }
}
