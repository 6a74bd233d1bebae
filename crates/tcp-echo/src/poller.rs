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
        loop {
            let again = !self.busy_poll.is_zero() && self.last_event.elapsed() < self.busy_poll;
            let patience = if again { Some(Duration::ZERO) } else { patience };
            // Interrupted by a signal it is as if nothing had come.
            if self.poll.poll(&mut self.events, patience).is_err() {
                self.events.clear();
            }
            if self.events.is_empty() && again {
                continue;
            }
            if !self.busy_poll.is_zero() && !self.events.is_empty() {
                self.last_event = Instant::now();
            }
            return;
        }
    }

    /// What there is: tokens, and whether the peer has sent its last.
    pub(crate) fn events(&self) -> impl Iterator<Item = (usize, bool)> {
        let sockets = self.events.iter().filter(|event| event.token() != ORDERS);
        sockets.map(|event| (event.token().0, event.is_read_closed()))
    }
}
