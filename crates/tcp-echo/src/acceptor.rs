//! Accepting connections: who is let in, and what is done when the system gives no more.

use crate::Config;
use crate::admission::{Admission, TooMany};
use crate::poller::Poller;
use crate::room::Room;
use crate::totals::Totals;
use echo_service::is_milestone;
use mio::net::{TcpListener, TcpStream};
use std::io;
use std::net::{self, IpAddr};
use std::time::{Duration, Instant};

/// How long accepting rests after an error that will not pass by itself at once, like having no
/// descriptor left: first and longest rest; it doubles in between.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// How many connections are accepted in a row before those that are open have a turn.
const BATCH: usize = 64;

/// The tokens of listeners, so that those of connections begin at 0: from here on.
pub(crate) const FIRST_LISTENER: usize = usize::MAX / 2;

/// The listeners of one worker.
pub(crate) struct Acceptor {
    listeners: Vec<TcpListener>,
    /// Which of them may have a connection.
    ready: Vec<bool>,
    rest: Duration,
    resting_until: Option<Instant>,
}

impl Acceptor {
    pub(crate) fn new(listeners: Vec<net::TcpListener>, poller: &Poller) -> io::Result<Self> {
        let mut watched = Vec::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            listener.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(listener);
            poller.watch(&mut listener, FIRST_LISTENER + number)?;
            watched.push(listener);
        }
        let ready = vec![true; watched.len()];
        Ok(Self { listeners: watched, ready, rest: REST.0, resting_until: None })
    }

    /// The listener with this token may have a connection.
    pub(crate) fn is_ready(&mut self, token: usize) {
        if let Some(ready) = self.ready.get_mut(token - FIRST_LISTENER) {
            *ready = true;
        }
    }

    /// How long can be waited before there is something to accept; nothing, if until a listener says so.
    pub(crate) fn patience(&self, now: Instant) -> Option<Duration> {
        let is_ready = self.ready.iter().any(|ready| *ready);
        is_ready.then(|| {
            self.resting_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
        })
    }

    /// Accepts what there is, a batch at most of each listener, and lets into `room` whom `admission` does.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        admission: &Admission,
        config: &Config,
        room: &mut Room<'_>,
        poller: &Poller,
    ) {
        if self.resting_until.is_some_and(|until| now < until) {
            return;
        }
        self.resting_until = None;
        for (listener, ready) in self.listeners.iter().zip(&mut self.ready) {
            for _ in 0..BATCH {
                if !*ready {
                    break;
                }
                let error = match listener.accept() {
                    Ok((stream, peer)) => {
                        self.rest = REST.0;
                        admit(stream, peer.ip(), admission, config, room, poller);
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *ready = false;
                        break;
                    }
                    Err(error) => error,
                };
                tell(&error, room.totals());
                if !concerns_one_connection(&error) {
                    // Not at once again: the queue stays as it is, and the error would come back.
                    self.resting_until = Some(now + self.rest);
                    self.rest = (self.rest * 2).min(REST.1);
                    return;
                }
            }
        }
    }

    /// Whether there may be connections that have not been accepted.
    pub(crate) fn may_have_more(&self) -> bool {
        self.resting_until.is_none() && self.ready.iter().any(|ready| *ready)
    }

    /// Looks at all listeners again.
    pub(crate) fn look_at_all(&mut self) {
        self.resting_until = None;
        self.ready.fill(true);
    }
}

/// Lets a connection into the room, or closes it at once, which tells its peer sooner than silence.
fn admit(
    stream: TcpStream,
    peer: IpAddr,
    admission: &Admission,
    config: &Config,
    room: &mut Room<'_>,
    poller: &Poller,
) {
    if !config.allowed.has(peer) {
        room.totals().refused_network += 1;
        return;
    }
    match admission.enter(peer) {
        Ok(()) => {
            if let Err(error) = room.enter(stream, peer, poller) {
                admission.leave(peer);
                tell(&error, room.totals());
            }
        }
        Err(TooMany::InAll) => room.totals().refused_in_all += 1,
        Err(TooMany::OfOneSource) => room.totals().refused_of_source += 1,
    }
}

fn tell(error: &io::Error, totals: &mut Totals) {
    totals.accept_errors += 1;
    let count = totals.accept_errors;
    if is_milestone(count) {
        tracing::warn!(%error, count, "a connection could not be accepted");
    }
}

/// Whether only the connection that was to be accepted has failed; accept(2) hands up what happened to
/// it meanwhile.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
