//! The connections that need a step, and the connections that wait for the rate limit of their source.

use crate::fair_queue::FairQueue;
use crate::open_connections::OpenConnections;
use crate::rate_waits::{RateWaits, Waiting};
use echo_service::{RateLimit, Source};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Minimum time between two wake-ups of a source that waits for its rate limit. The source then uses all tokens that
/// became available meanwhile. So a source with a high rate limit wakes the worker at most 1,000 times per second. It
/// is also the resolution of the wait in the kernel (`epoll_wait(2)`).
const MIN_RATE_WAIT: Duration = Duration::from_millis(1);

/// A step that the worker can run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// A step of the connection with this token.
    Run(usize),
    /// A step of the connection with this token, which has waited for the rate limit. Its source has a unit now.
    Resume(Waiting),
    /// No step. The source has no unit of its rate limit yet.
    Nothing,
}

/// An entry of the fair queue.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Run a step of the connection with this token.
    Step(usize),
    /// The source may have a unit of its rate limit. If so, run a step of its connection that has waited longest.
    ResumeWaiting,
}

/// Decides which connection runs the next step. A connection is in at most one of the two queues.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    runnable: FairQueue<Task>,
    rate_waits: RateWaits,
}

impl Schedule {
    /// Whether no connection can run a step at the moment.
    pub(crate) fn is_idle(&self) -> bool {
        self.runnable.is_empty()
    }

    /// Time until a connection can run a step without a new event. `None`: no connection waits.
    pub(crate) fn wait_timeout(&self, now: Instant) -> Option<Duration> {
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        self.rate_waits.next_due().map(|due| due.saturating_duration_since(now))
    }

    /// Adds a connection that needs a step.
    pub(crate) fn add_runnable(&mut self, peer: IpAddr, token: usize) {
        self.runnable.push(peer.into(), Task::Step(token));
    }

    /// Whether a request of `peer` must wait: for the rate limit, or behind other connections of the same source.
    pub(crate) fn must_wait(&self, peer: IpAddr, rate_limit: &RateLimit, now: Instant) -> bool {
        self.rate_waits.contains(peer.into()) || rate_limit.is_exhausted(peer, now)
    }

    /// Adds a connection that waits for the rate limit of its source.
    pub(crate) fn add_waiting(
        &mut self,
        peer: IpAddr,
        token: usize,
        rate_limit: &RateLimit,
        now: Instant,
    ) {
        let is_first = !self.rate_waits.contains(peer.into());
        // `now` can be earlier than the arrival of the request, because it is the time at which the steps started.
        self.rate_waits.push(peer, Waiting { token, since: Instant::now() });
        if is_first {
            let wait = rate_limit.wait_time(peer, now).max(MIN_RATE_WAIT);
            self.rate_waits.set_timer(peer.into(), now + wait);
        }
    }

    /// Makes a source runnable when it may have a unit of its rate limit.
    pub(crate) fn wake_waiting(&mut self, now: Instant) {
        while let Some(source) = self.rate_waits.pop_due(now) {
            self.runnable.push(source, Task::ResumeWaiting);
        }
    }

    /// Selects the next step. `None`: no connection needs a step. After the step, the caller calls
    /// [`Schedule::charge`].
    pub(crate) fn next(&mut self, rate_limit: &RateLimit, now: Instant) -> Option<NextStep> {
        let (source, task) = self.runnable.next()?;
        Some(match task {
            Task::Step(token) => NextStep::Run(token),
            Task::ResumeWaiting => self.next_waiting(source, rate_limit, now),
        })
    }

    /// Adds the cost of the last step to the service of its source.
    pub(crate) fn charge(&mut self, cost: u64) {
        self.runnable.charge(cost);
    }

    /// Counts the close of a runnable connection.
    pub(crate) fn note_runnable_close(&mut self, peer: IpAddr, connections: &mut OpenConnections) {
        self.runnable.note_close(peer.into(), |task| match task {
            Task::Step(token) => connections.release_closed(*token),
            Task::ResumeWaiting => false,
        });
    }

    /// Counts the close of a connection that waits for the rate limit.
    pub(crate) fn note_waiting_close(&mut self, peer: IpAddr, connections: &mut OpenConnections) {
        self.rate_waits.note_close(peer.into(), |token| connections.release_closed(token));
    }

    pub(crate) fn clear(&mut self) {
        self.runnable.clear();
        self.rate_waits.clear();
    }

    fn next_waiting(&mut self, source: Source, rate_limit: &RateLimit, now: Instant) -> NextStep {
        let Some(address) = self.rate_waits.due_address(source) else { return NextStep::Nothing };
        let wait = rate_limit.wait_time(address, now);
        if !wait.is_zero() {
            self.rate_waits.set_timer(source, now + wait.max(MIN_RATE_WAIT));
            return NextStep::Nothing;
        }
        let waiting = self.rate_waits.pop(source);
        if self.rate_waits.contains(source) {
            self.runnable.push(source, Task::ResumeWaiting);
        }
        waiting.map_or(NextStep::Nothing, NextStep::Resume)
    }
}
