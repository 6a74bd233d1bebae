//! Where a worker waits for its sockets: epoll and its like, by way of `mio`, which is what tokio's own reactor
//! is made of.

use mio::{Events, Interest, Poll, Token, Waker, event};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What wakes a worker that is not one of its sockets.
const ORDERS: Token = Token(usize::MAX);

/// How many sockets a worker hears of at once. More wait in the kernel for the next turn.
const EVENTS: usize = 1024;

/// How long a worker rests whose waiting failed.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// A place to wait at.
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    busy_poll: Duration,
    last_event: Instant,
}

impl Poller {
    /// One that looks again and again for `busy_poll` before it sleeps.
    pub(crate) fn new(busy_poll: Duration) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), ORDERS)?);
        let events = Events::with_capacity(EVENTS);
        Ok(Self { poll, events, waker, busy_poll, last_event: Instant::now() })
    }

    /// What wakes it up from another thread.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Has a socket be told of, under the name of `token`, each time when there is something new to read or
    /// accept, or room to write again.
    pub(crate) fn watch(&self, socket: &mut impl event::Source, token: usize) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket, Token(token), both)
    }

    /// Waits until there is something, or `patience` is over.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) {
        let begun = Instant::now();
        loop {
            let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
            let looks_again =
                !self.busy_poll.is_zero() && self.last_event.elapsed() < self.busy_poll;
            let timeout = if looks_again { Some(Duration::ZERO) } else { left };
            if let Err(error) = self.poll.poll(&mut self.events, timeout) {
                self.events.clear();
                if error.kind() != io::ErrorKind::Interrupted {
                    // Nothing is known that could cause it; it must not make the worker spin.
                    tracing::error!(%error, "waiting failed");
                    std::thread::sleep(AFTER_ERROR);
                }
                return;
            }
            if !self.events.is_empty() {
                if !self.busy_poll.is_zero() {
                    self.last_event = Instant::now();
                }
                return;
            }
            if !looks_again || left.is_some_and(|left| left.is_zero()) {
                return;
            }
        }
    }

    /// What there is.
    pub(crate) fn events(&self) -> impl Iterator<Item = Told> {
        let sockets = self.events.iter().filter(|event| event.token() != ORDERS);
        sockets.map(|event| Told {
            token: event.token().0,
            to_read: event.is_readable() || event.is_read_closed() || event.is_error(),
            is_read_closed: event.is_read_closed(),
        })
    }
}

/// What is told of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) token: usize,
    /// There is something to read or accept, or an end, or an error; otherwise there is room to write alone.
    pub(crate) to_read: bool,
    /// The peer has sent its last.
    pub(crate) is_read_closed: bool,
}
