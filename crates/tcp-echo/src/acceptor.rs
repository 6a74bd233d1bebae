//! Accepting connections: who is let in, and what is done when the system gives no more.

use crate::Config;
use crate::admission::{Admission, TooMany};
use crate::poller::Poller;
use crate::room::Room;
use crate::totals::Totals;
use echo_service::should_log;
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
pub(crate) struct Acceptor(Vec<Listening>);

struct Listening {
    listener: TcpListener,
    /// Whether it may have a connection.
    is_ready: bool,
    /// How long the next rest is.
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
            let (rest, resting_until) = (REST.0, None);
            watched.push(Listening { listener, is_ready: true, rest, resting_until });
        }
        Ok(Self(watched))
    }

    /// The listener with this token may have a connection.
    pub(crate) fn is_ready(&mut self, token: usize) {
        if let Some(listening) = self.0.get_mut(token - FIRST_LISTENER) {
            listening.is_ready = true;
        }
    }

    /// How long can be waited before there is something to accept; nothing, if until a listener says so.
    pub(crate) fn patience(&self, now: Instant) -> Option<Duration> {
        let ready = self.0.iter().filter(|listening| listening.is_ready);
        let rest = |until: Instant| until.saturating_duration_since(now);
        ready.map(|listening| listening.resting_until.map_or(Duration::ZERO, rest)).min()
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
        for listening in &mut self.0 {
            if !listening.is_ready || listening.resting_until.is_some_and(|until| now < until) {
                continue;
            }
            listening.resting_until = None;
            for _ in 0..BATCH {
                match listening.listener.accept() {
                    Ok((stream, peer)) => {
                        listening.rest = REST.0;
                        admit(stream, peer.ip(), admission, config, room, poller);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listening.is_ready = false;
                        break;
                    }
                    Err(error) => {
                        tell(&error, room.totals());
                        if !concerns_one_connection(&error) {
                            // Not at once again: the queue stays as it is, and the error would come back.
                            listening.resting_until = Some(now + listening.rest);
                            listening.rest = (listening.rest * 2).min(REST.1);
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Whether there may be connections that have not been accepted, and can be.
    pub(crate) fn may_have_more(&self) -> bool {
        self.0.iter().any(|listening| listening.is_ready && listening.resting_until.is_none())
    }

    /// Looks at all listeners again.
    pub(crate) fn look_at_all(&mut self) {
        for listening in &mut self.0 {
            listening.is_ready = true;
            listening.resting_until = None;
        }
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
    let totals = room.totals();
    if !config.allowed.allows(peer) {
        refuse(&mut totals.refused_network, peer, "its network is not allowed");
        return;
    }
    match admission.enter(peer) {
        Ok(()) => {
            if let Err(error) = room.enter(stream, peer, poller) {
                admission.leave(peer);
                tell(&error, room.totals());
            }
        }
        Err(TooMany::InAll) => {
            refuse(
                &mut totals.refused_in_all,
                peer,
                "there are as many connections as there may be",
            );
        }
        Err(TooMany::OfOneSource) => {
            refuse(
                &mut totals.refused_of_source,
                peer,
                "its source has as many connections as it may",
            );
        }
    }
}

/// Counts a connection that is closed at once, and logs some of them.
fn refuse(count: &mut u64, peer: IpAddr, why: &str) {
    *count += 1;
    if should_log(*count) {
        tracing::warn!(%peer, count, why, "a connection was not let in");
    }
}

fn tell(error: &io::Error, totals: &mut Totals) {
    totals.accept_errors += 1;
    let count = totals.accept_errors;
    if should_log(count) {
        tracing::warn!(%error, count, "a connection could not be accepted");
    }
}

/// Whether only the connection that was to be accepted has failed; accept(2) hands up what happened to
/// it meanwhile, what its network did, and that a firewall does not want it.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
            | Kind::TimedOut
    )
}
