//! The open connections of one worker, and what each needs next.

use crate::Config;
use crate::admission::Admission;
use crate::bounds::{PIECE, Patience, Round};
use crate::connection::{Connection, Next, Overdue, Turn};
use crate::poller::{Poller, Told};
use crate::totals::Totals;
use echo_service::{RateLimit, should_log};
use mio::net::TcpStream;
use slab::Slab;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

/// How long connections beyond their source's rate wait before they are looked at again.
const PAUSE: Duration = Duration::from_millis(10);

/// How often connections are looked at for being overdue: the longest time between, the part of the
/// shorter limit, and the shortest time.
const ROUND: (Duration, u32, Duration) = (Duration::from_secs(1), 8, Duration::from_millis(1));

/// The connections, and what they have in common.
pub(crate) struct Room<'a> {
    connections: Slab<Connection>,
    admission: &'a Admission,
    rate: &'a RateLimit,
    config: &'a Config,
    /// What is read goes here first, whichever connection it is of: one that is idle has no buffer.
    scratch: Vec<u8>,
    /// Those that need another step without being told of.
    again: Vec<usize>,
    /// Those that wait for their source's rate, and when they are looked at again.
    paused: Vec<usize>,
    resume_at: Option<Instant>,
    is_ending: bool,
    /// The number of the round that looks for what is overdue, and how long it is.
    round: Round,
    between_rounds: Duration,
    patience: Patience,
    totals: Totals,
}

impl<'a> Room<'a> {
    pub(crate) fn new(admission: &'a Admission, rate: &'a RateLimit, config: &'a Config) -> Self {
        let limits = [config.idle, config.stall].into_iter().filter(|limit| !limit.is_zero());
        let between_rounds = limits.fold(ROUND.0, |least, limit| least.min(limit / ROUND.1));
        let between_rounds = between_rounds.max(ROUND.2);
        let rounds = |limit: Duration| {
            let rounds = limit.as_nanos().div_ceil(between_rounds.as_nanos());
            (rounds > 0).then(|| Round::try_from(rounds).unwrap_or(Round::MAX))
        };
        Self {
            connections: Slab::new(),
            admission,
            rate,
            config,
            scratch: vec![0; PIECE],
            again: Vec::new(),
            paused: Vec::new(),
            resume_at: None,
            is_ending: false,
            round: 0,
            between_rounds,
            patience: Patience { idle: rounds(config.idle), stall: rounds(config.stall) },
            totals: Totals::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(crate) fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// Takes in a connection, which `poller` is to tell of from now on.
    pub(crate) fn enter(
        &mut self,
        stream: TcpStream,
        peer: IpAddr,
        poller: &Poller,
    ) -> io::Result<()> {
        // A reply must not wait for the acknowledgement of the one before it (RFC 896's algorithm).
        stream.set_nodelay(true)?;
        // For what the system still has to send after a connection has been closed here.
        #[cfg(target_os = "linux")]
        if !self.config.stall.is_zero() {
            let timeout = Some(self.config.stall * 2);
            socket2::SockRef::from(&stream).set_tcp_user_timeout(timeout)?;
        }
        let place = self.connections.vacant_entry();
        let mut connection = Connection::new(stream, peer, self.round);
        poller.watch(connection.stream(), place.key())?;
        place.insert(connection);
        self.totals.connections += 1;
        Ok(())
    }

    /// How long can be waited before something has to be done without being told of.
    pub(crate) fn patience(&self, now: Instant) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        self.resume_at.map(|at| at.saturating_duration_since(now))
    }

    /// A connection has something new.
    pub(crate) fn told(&mut self, told: Told, now: Instant) {
        let Some(connection) = self.connections.get(told.token) else { return };
        // Room to write is of interest to who waits for it alone.
        if told.to_read || connection.is_pending() {
            self.step(told.token, told.is_read_closed, now);
        }
    }

    /// Does what is to be done without being told of.
    pub(crate) fn go_on(&mut self, now: Instant) {
        let again = std::mem::take(&mut self.again);
        for token in &again {
            if let Some(connection) = self.connections.get_mut(*token) {
                connection.is_again = false;
            }
        }
        for token in again {
            self.step(token, true, now);
        }
        if self.resume_at.is_some_and(|at| now >= at) {
            self.resume_at = None;
            let paused = std::mem::take(&mut self.paused);
            for token in &paused {
                if let Some(connection) = self.connections.get_mut(*token) {
                    connection.resume(self.round);
                }
            }
            let delayed = self.totals.delayed;
            for token in paused {
                self.step(token, true, now);
            }
            // Those that go on waiting have been counted.
            self.totals.delayed = delayed;
        }
    }

    /// How often [`Room::close_overdue`] wants to be called while there are connections.
    pub(crate) fn between_rounds(&self) -> Duration {
        self.between_rounds
    }

    /// Closes the connections whose time is over. Each call is a round.
    pub(crate) fn close_overdue(&mut self) {
        self.round = self.round.saturating_add(1);
        let overdue = self.connections.iter().filter_map(|(token, connection)| {
            connection.overdue(self.round, self.patience).map(|why| (token, why))
        });
        for (token, why) in overdue.collect::<Vec<_>>() {
            // A peer that reads slowly makes room long before the system tells of it.
            if why == Overdue::Stalled && self.takes_something(token) {
                continue;
            }
            let mut connection = self.remove(token);
            match why {
                Overdue::Idle => {
                    self.totals.idle += 1;
                    let count = self.totals.idle;
                    if should_log(count) {
                        tracing::info!(peer = %connection.peer, count, "closed: it has said nothing for long");
                    }
                    // It may be gone for good, which an idle connection does not show.
                    let _ = connection.stream().shutdown(Shutdown::Write);
                }
                Overdue::Stalled => {
                    self.totals.stalled += 1;
                    let count = self.totals.stalled;
                    if should_log(count) {
                        tracing::warn!(peer = %connection.peer, count, "cut: it does not go on");
                    }
                    // With a reset: otherwise the system would go on to keep what nobody reads.
                    let socket = socket2::SockRef::from(&*connection.stream());
                    let _ = socket.set_linger(Some(Duration::ZERO));
                }
            }
        }
    }

    /// Whether the connection with this token has taken something of a reply that waits, just now.
    fn takes_something(&mut self, token: usize) -> bool {
        let answered = self.totals.bytes_answered;
        self.again_later(token);
        // A failure is found again by the step that follows.
        let _ = self.connections[token].flush(self.round, &mut self.totals);
        self.totals.bytes_answered > answered
    }

    /// Has it take another step, soon.
    fn again_later(&mut self, token: usize) {
        let connection = &mut self.connections[token];
        if !connection.is_again {
            connection.is_again = true;
            self.again.push(token);
        }
    }

    /// From now on what is not there to be read is not waited for: each connection is answered what has
    /// arrived, and closed.
    pub(crate) fn begin_end(&mut self) {
        self.is_ending = true;
        self.paused.clear();
        self.resume_at = None;
        self.again = self.connections.iter().map(|(token, _)| token).collect();
        for (_, connection) in &mut self.connections {
            connection.is_paused = false;
            connection.is_again = true;
        }
    }

    /// Whether all that is left to do is to let peers see that all has been answered.
    pub(crate) fn is_lingering(&self) -> bool {
        self.connections.iter().all(|(_, connection)| connection.is_lingering())
    }

    /// Cuts what is still busy.
    pub(crate) fn cut(&mut self) {
        let busy = self.connections.iter().filter(|(_, connection)| !connection.is_lingering());
        self.totals.cut += busy.count() as u64;
        self.connections.clear();
    }

    /// Has the connection with this token do what it can, if its source is within its rate; if not, it waits.
    fn step(&mut self, token: usize, is_thorough: bool, now: Instant) {
        // A token can be of a connection that has been closed in this same turn, or of another that has its
        // place since, which does no harm: a step of that finds nothing to do.
        let Some(connection) = self.connections.get_mut(token) else { return };
        if connection.is_paused {
            return;
        }
        // At the end everything is answered. What waits for room has been counted.
        let is_counted = !self.is_ending && !connection.is_pending();
        if is_counted && self.rate.is_exhausted(connection.peer, now) && connection.has_request() {
            connection.is_paused = true;
            self.totals.delayed += 1;
            self.paused.push(token);
            self.resume_at.get_or_insert(now + PAUSE);
            return;
        }
        let mut turn = Turn {
            round: self.round,
            scratch: &mut self.scratch,
            config: self.config,
            totals: &mut self.totals,
            is_ending: self.is_ending,
            requests: 0,
            is_thorough: is_thorough || self.is_ending,
        };
        let next = connection.step(&mut turn);
        if turn.requests > 0 {
            // There was one at least, and more than one does not come of a step.
            let _ = self.rate.take(connection.peer, turn.requests, now);
        }
        match next {
            Ok(Next::Wait) => {}
            Ok(Next::Step) => self.again_later(token),
            Ok(Next::Close) => drop(self.remove(token)),
            Err(error) => {
                self.totals.broken += 1;
                let count = self.totals.broken;
                if should_log(count) {
                    tracing::debug!(peer = %connection.peer, %error, count, "a connection broke");
                }
                self.remove(token);
            }
        }
    }

    fn remove(&mut self, token: usize) -> Connection {
        let connection = self.connections.remove(token);
        self.admission.leave(connection.peer);
        connection
    }
}
