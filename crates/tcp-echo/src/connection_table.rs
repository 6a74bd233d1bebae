//! Runs the steps of the open connections of one worker, in the order of the [`Schedule`].

mod closing;

use crate::Config;
use crate::connection::{Connection, NextAction, Queue, ReadMode, StepContext};
use crate::limits::READ_SIZE;
use crate::open_connections::OpenConnections;
use crate::poller::{Poller, Readiness};
use crate::rate_waits::Waiting;
use crate::schedule::{NextStep, Schedule};
use crate::slots::{ConnectionSlots, Owner, SlotId};
use crate::timeouts::{Tick, Timeouts};
use crate::totals::Totals;
use echo_service::RateLimit;
use mio::net::TcpStream;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The cost of a step without its bytes. The unit of a cost is the time to transfer one byte. The system calls of a
/// step take about as long as the transfer of this number of bytes.
const STEP_COST: u64 = 8 * 1024;

/// Maximum number of steps until the worker checks for new events. Short steps take about 5 µs each. With fewer steps,
/// the checks would take a significant part of the time.
const MAX_STEPS: usize = 32;

/// Number of received and sent bytes after which the worker checks for new events: the largest reply to one read. So
/// the worker checks after each step that receives and sends the maximum number of bytes.
const MAX_STEP_BYTES: u64 = (READ_SIZE * echo_core::MAX_GROWTH) as u64;

/// Maximum value of `TCP_USER_TIMEOUT`. The kernel rejects a number of milliseconds that does not fit into a C `int`
/// (`do_tcp_setsockopt`, net/ipv4/tcp.c).
#[cfg(target_os = "linux")]
const MAX_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// The connections of one worker.
pub(crate) struct ConnectionTable<'a> {
    connections: OpenConnections,
    schedule: Schedule,
    slots: &'a ConnectionSlots,
    /// The number of the worker.
    worker: usize,
    rate_limit: &'a RateLimit,
    config: &'a Config,
    /// The buffer for the reads of all connections. An idle connection needs no buffer.
    read_buffer: Vec<u8>,
    is_shutting_down: bool,
    /// The current tick: the number of calls of [`ConnectionTable::close_timed_out`].
    tick: Tick,
    timeouts: Timeouts,
    totals: Totals,
    #[cfg(test)]
    work: tests::Work,
}

impl<'a> ConnectionTable<'a> {
    pub(crate) fn new(
        slots: &'a ConnectionSlots,
        worker: usize,
        rate_limit: &'a RateLimit,
        config: &'a Config,
    ) -> Self {
        Self {
            connections: OpenConnections::default(),
            schedule: Schedule::default(),
            slots,
            worker,
            rate_limit,
            config,
            read_buffer: vec![0; READ_SIZE],
            is_shutting_down: false,
            tick: 0,
            timeouts: Timeouts::new(config),
            totals: Totals::default(),
            #[cfg(test)]
            work: tests::Work::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(crate) fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// The owner of the next connection that [`ConnectionTable::insert`] adds.
    pub(crate) fn next_owner(&self) -> Owner {
        Owner { worker: self.worker, token: self.connections.next_token() }
    }

    /// Adds a connection and registers it with `poller`. The caller has acquired `slot` for
    /// [`ConnectionTable::next_owner`].
    ///
    /// # Errors
    ///
    /// The system's error if the system refuses a socket option or the registration. Then the connection is closed.
    pub(crate) fn insert(
        &mut self,
        stream: TcpStream,
        peer: IpAddr,
        slot: SlotId,
        poller: &Poller,
    ) -> io::Result<()> {
        // Disables Nagle's algorithm (RFC 896): a reply must not wait for the acknowledgement of the previous
        // reply.
        stream.set_nodelay(true)?;
        // Maximum time without an acknowledgement of sent data (TCP_USER_TIMEOUT, tcp(7)). After the server has closed
        // the connection, only the kernel can stop sending to a peer that does not read.
        #[cfg(target_os = "linux")]
        if !self.config.stall_timeout.is_zero() {
            let timeout = self.config.stall_timeout.saturating_mul(2).min(MAX_USER_TIMEOUT);
            socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(timeout))?;
        }
        let mut connection = Connection::new(stream, peer, slot, self.tick);
        poller.register(connection.stream(), self.connections.next_token())?;
        self.connections.insert(connection);
        self.totals.connections += 1;
        Ok(())
    }

    /// Maximum time that the worker may wait for events. `None`: no maximum.
    pub(crate) fn wait_timeout(&self, now: Instant) -> Option<Duration> {
        self.schedule.wait_timeout(now)
    }

    /// Whether no connection can run a step without a new event at the moment.
    pub(crate) fn is_idle(&self) -> bool {
        self.schedule.is_idle()
    }

    /// Adds the connection for which the event arrived to the connections that need a step.
    pub(crate) fn handle_event(&mut self, readiness: Readiness) {
        if let Some(read_mode) = self.needed_step(readiness) {
            self.add_to_queue(readiness.token, read_mode);
        }
    }

    /// Runs one step of the connection for which the event arrived. This takes less time than a queue. The caller uses
    /// this function if no other connection can run a step.
    pub(crate) fn handle_only_event(&mut self, readiness: Readiness, now: Instant) {
        let Some(read_mode) = self.needed_step(readiness) else { return };
        if self.connections.get(readiness.token).is_some_and(|c| c.queue() == Queue::None) {
            self.step(readiness.token, read_mode, now, None);
        } else {
            self.add_to_queue(readiness.token, read_mode);
        }
    }

    /// Runs at most [`MAX_STEPS`] steps. Ends earlier if the steps have transferred [`MAX_STEP_BYTES`], or if no
    /// connection needs a step. [`crate::fair_queue`] explains the order of the steps.
    pub(crate) fn run_steps(&mut self, now: Instant) {
        let bytes_before = self.transferred_bytes();
        for _ in 0..MAX_STEPS {
            self.run_next_step(now);
            if self.is_idle() || self.transferred_bytes() - bytes_before >= MAX_STEP_BYTES {
                return;
            }
        }
    }

    /// Runs one step, if a connection needs one.
    pub(crate) fn run_next_step(&mut self, now: Instant) {
        self.schedule.wake_waiting(now);
        if let Some(next) = self.schedule.next(self.rate_limit, now) {
            #[cfg(test)]
            {
                self.work.selections += 1;
            }
            let cost = match next {
                NextStep::Run(token) => self.run_step(token, now),
                NextStep::Resume(waiting) => self.resume(waiting, now),
                NextStep::Nothing => 0,
            };
            self.schedule.charge(cost);
        }
    }

    fn transferred_bytes(&self) -> u64 {
        self.totals.bytes_received + self.totals.bytes_answered
    }

    /// The mode of the step that a connection needs after an event. `None`: it needs no step.
    fn needed_step(&self, readiness: Readiness) -> Option<ReadMode> {
        let connection = self.connections.get(readiness.token)?;
        // The event may report only free space in the send buffer. A connection without a pending reply does not need
        // this event.
        if !readiness.is_readable && !connection.has_pending_reply() {
            return None;
        }
        Some(if readiness.is_read_closed { ReadMode::UntilEmpty } else { ReadMode::UntilShortRead })
    }

    /// Runs the step of a connection that was runnable. Returns the cost.
    fn run_step(&mut self, token: usize, now: Instant) -> u64 {
        if self.connections.release_closed(token) {
            return 0;
        }
        let Some(connection) = self.connections.connection_mut(token) else { return 0 };
        let read_mode = connection.queue().read_mode();
        connection.set_queue(Queue::None);
        self.step(token, read_mode, now, None)
    }

    /// Runs the step of a connection that has waited for the rate limit of its source. Returns the cost.
    fn resume(&mut self, waiting: Waiting, now: Instant) -> u64 {
        let Waiting { token, since } = waiting;
        if self.connections.release_closed(token) {
            return 0;
        }
        let Some(connection) = self.connections.connection_mut(token) else { return 0 };
        let read_mode = connection.queue().read_mode();
        connection.set_queue(Queue::None);
        connection.restart_timeouts(self.tick);
        self.step(token, read_mode, now, Some(since))
    }

    /// Runs one step of a connection that is in no queue, and returns the cost. If the rate limit of its source is
    /// exhausted, the connection waits instead. `limited_since` is the start of such a wait that has just ended.
    fn step(
        &mut self,
        token: usize,
        read_mode: ReadMode,
        now: Instant,
        limited_since: Option<Instant>,
    ) -> u64 {
        let bytes_before = self.transferred_bytes();
        let Some(connection) = self.connections.connection_mut(token) else { return 0 };
        let peer = connection.peer();
        // A pending reply answers a request that is already counted. After a wait, the source has a unit.
        let is_limited = !self.is_shutting_down
            && limited_since.is_none()
            && !connection.has_pending_reply()
            && !connection.is_awaiting_peer_close();
        if is_limited && self.schedule.must_wait(peer, self.rate_limit, now) {
            #[cfg(test)]
            {
                self.work.request_checks += 1;
            }
            if connection.has_request() {
                connection.set_queue(Queue::rate_limited(read_mode));
                self.totals.rate_limited_reads += 1;
                self.schedule.add_waiting(peer, token, self.rate_limit, now);
                return STEP_COST;
            }
        }
        #[cfg(test)]
        self.work.steps.push(peer);
        let mut context = StepContext {
            tick: self.tick,
            read_buffer: &mut self.read_buffer,
            config: self.config,
            totals: &mut self.totals,
            is_shutting_down: self.is_shutting_down,
            read_mode: if self.is_shutting_down { ReadMode::UntilEmpty } else { read_mode },
            limit_delay: limited_since
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            answered_units: 0,
        };
        let last_transfer = connection.last_transfer();
        let next = connection.step(&mut context);
        if connection.last_transfer() != last_transfer {
            self.slots.record_activity(connection.slot(), now);
        }
        if context.answered_units > 0 {
            self.rate_limit.charge(peer, context.answered_units, now);
        }
        let cost = STEP_COST + self.transferred_bytes() - bytes_before;
        match next {
            Ok(NextAction::WaitForEvent) => {}
            Ok(NextAction::StepAgain) => self.add_to_queue(token, ReadMode::UntilEmpty),
            Ok(NextAction::Close) => drop(self.remove(token)),
            Err(error) => self.close_failed(token, &error),
        }
        cost
    }

    /// Adds a connection to the connections that need a step. If it is already in a queue, `read_mode` can only change
    /// the mode of its next step to [`ReadMode::UntilEmpty`].
    fn add_to_queue(&mut self, token: usize, read_mode: ReadMode) {
        let Some(connection) = self.connections.connection_mut(token) else { return };
        if connection.queue() == Queue::None {
            connection.set_queue(Queue::runnable(read_mode));
            self.schedule.add_runnable(connection.peer(), token);
        } else if read_mode == ReadMode::UntilEmpty {
            connection.set_queue(connection.queue().until_empty());
        }
    }
}

#[cfg(test)]
mod tests;
