//! [`race`]: tries the addresses of a name until one of them answers.
//!
//! The schedule is the one of RFC 8305 (Happy Eyeballs, version 2). The client tries the first address. If there is no
//! result after [`ATTEMPT_DELAY`], it also tries the next address, and so on. If an attempt fails, the next one starts at
//! once. The first attempt that succeeds wins. The client then cancels all other attempts, and waits for their end. So
//! no attempt runs at the same time as the measurement.
//!
//! Attempts that overlap run in separate threads, because they use the same blocking calls as a measurement. The number of
//! addresses is limited ([`MAX_ADDRESSES`](crate::net::resolve::MAX_ADDRESSES)), and so is the number of threads. If the system
//! refuses a thread, an attempt starts after the end of the others, and the thread that calls [`race`] makes it.

use crate::net::system::MAX_PAUSE;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};
use tracing::debug;

/// The time between the starts of two attempts (RFC 8305, section 5, "Connection Attempt Delay"). The recommended value is
/// 250 ms.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The times at which the attempts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schedule {
    /// A new attempt starts after this time, usually [`ATTEMPT_DELAY`]. Earlier attempts continue.
    Overlapping(Duration),
    /// A new attempt starts after the end of the previous one, because all attempts use the same local port. An attempt is
    /// cancelled after this time.
    OneAfterAnother(Duration),
}

/// Whether the last candidate is tried if all others have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastCandidate {
    Try,
    /// The measurement uses this candidate in any case, so an attempt would show nothing new.
    Skip,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) schedule: Schedule,
    pub(super) last: LastCandidate,
    /// The maximum number of attempts at the same time. The next attempt then starts after the end of these.
    pub(super) max_running: usize,
    /// The stop flag of the user.
    pub(super) stop: &'a AtomicBool,
}

/// The result of one attempt.
pub(super) struct Attempt<T> {
    pub(super) succeeded: bool,
    pub(super) value: T,
}

/// The attempt that won a race.
pub(super) struct Winner<T> {
    /// The index of the candidate.
    pub(super) index: usize,
    pub(super) value: T,
    /// Whether no other attempt ran at the same time.
    pub(super) was_alone: bool,
}

/// An attempt that did not win.
pub(super) struct Loser<T> {
    /// The index of the candidate.
    pub(super) index: usize,
    pub(super) value: T,
    /// Whether the attempt was cancelled before it had a result.
    pub(super) is_cancelled: bool,
}

pub(super) struct RaceResult<T> {
    pub(super) winner: Option<Winner<T>>,
    /// The other attempts that were started, in the order of the candidates. Without a winner, it is empty only if the
    /// system refuses the thread for the schedule.
    pub(super) losers: Vec<Loser<T>>,
}

/// Calls `attempt` for the `candidates`, with a flag that cancels the attempt. All attempts are over when this function
/// returns. An attempt must end within [`MAX_PAUSE`] after its flag was set.
///
/// The calling thread makes the first attempt. So a measurement in it has the same conditions as without a race. It also makes
/// each attempt that does not overlap with another one. If the system refuses a thread for the schedule, there is no attempt.
pub(super) fn race<C: Sync, T: Send>(
    candidates: &[C],
    rules: Rules<'_>,
    attempt: impl Fn(&C, &AtomicBool) -> Attempt<T> + Sync,
) -> RaceResult<T> {
    let flags: Vec<AtomicBool> = candidates.iter().map(|_| AtomicBool::new(false)).collect();
    let run = |index: usize| attempt(&candidates[index], &flags[index]);
    let (flags, run) = (&flags[..], &run);
    thread::scope(|scope| {
        let (results, receiver) = mpsc::channel();
        let for_schedule = Sender::clone(&results);
        // The schedule sends the indices of the attempts that this thread makes. So the first attempt also waits for the start
        // of the other thread, which takes CPU time.
        let (caller, indices) = mpsc::channel();
        let schedule = move || {
            let threads = Threads { scope, caller, run, results: for_schedule };
            run_schedule(flags, rules, &threads, &receiver)
        };
        match spawn("addresses", scope, schedule) {
            Some(thread) => {
                // The channel closes at the end of the schedule.
                for index in indices {
                    send_result(&results, index, run);
                }
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }
            None => RaceResult { winner: None, losers: Vec::new() },
        }
    })
}

/// The result of the attempt with this index, or its panic.
type IndexedResult<T> = (usize, thread::Result<Attempt<T>>);

/// The threads that make the attempts.
struct Threads<'scope, 'env, T, F> {
    scope: &'scope Scope<'scope, 'env>,
    /// Receives the indices of the attempts of the thread that calls [`race`].
    caller: Sender<usize>,
    run: &'scope F,
    results: Sender<IndexedResult<T>>,
}

impl<'scope, T: Send + 'scope, F: Fn(usize) -> Attempt<T> + Sync> Threads<'scope, '_, T, F> {
    /// Starts an attempt. Returns false if the system refuses a thread. If no attempt is running, the calling thread is free
    /// and needs no other thread.
    fn start(&self, index: usize, is_alone: bool) -> bool {
        if is_alone {
            // The send fails only if the race has ended with a panic.
            let _ = self.caller.send(index);
            return true;
        }
        let (results, run) = (self.results.clone(), self.run);
        spawn("address", self.scope, move || send_result(&results, index, run)).is_some()
    }
}

/// Starts the attempts, and waits for their results.
fn run_schedule<'scope, T: Send + 'scope>(
    flags: &[AtomicBool],
    rules: Rules<'_>,
    threads: &Threads<'scope, '_, T, impl Fn(usize) -> Attempt<T> + Sync>,
    receiver: &Receiver<IndexedResult<T>>,
) -> RaceResult<T> {
    let mut state = State::new(flags, rules.schedule);
    loop {
        while state.next_is_due(Instant::now()) {
            let is_alone = state.running.is_empty();
            let is_last = state.started == flags.len() - 1;
            if is_last && rules.last == LastCandidate::Skip && is_alone {
                break;
            }
            let is_allowed = state.running.len() < rules.max_running;
            if is_allowed && threads.start(state.started, is_alone) {
                state.start_next(Instant::now());
            } else {
                state.start_next_alone();
            }
        }
        if state.running.is_empty() {
            return state.finish();
        }
        if rules.stop.load(Ordering::Relaxed) {
            state.cancel_all();
        }
        match receiver.recv_timeout(state.pause(Instant::now())) {
            Ok((index, Ok(result))) => state.ended(index, result, Instant::now()),
            Ok((_, Err(panic))) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => state.cancel_expired(Instant::now()),
            // `threads` contains a sender, too.
            Err(RecvTimeoutError::Disconnected) => return state.finish(),
        }
    }
}

/// Makes an attempt and sends its result.
fn send_result<T>(
    results: &Sender<IndexedResult<T>>,
    index: usize,
    run: &impl Fn(usize) -> Attempt<T>,
) {
    let result = catch_unwind(AssertUnwindSafe(|| run(index)));
    // The send fails only if the race has ended with a panic.
    let _ = results.send((index, result));
}

/// Starts a thread. Returns `None` if the system refuses it.
fn spawn<'scope, 'env, R: Send + 'scope>(
    name: &str,
    scope: &'scope Scope<'scope, 'env>,
    run: impl FnOnce() -> R + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, R>> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
    thread.inspect_err(|error| debug!(%error, "cannot start a thread")).ok()
}

/// A running attempt.
struct Running {
    index: usize,
    started: Instant,
    was_alone: bool,
}

struct State<'a, T> {
    flags: &'a [AtomicBool],
    schedule: Schedule,
    /// The number of candidates that were started.
    started: usize,
    running: Vec<Running>,
    /// The time of the next start, if no attempt ends earlier.
    next_start: Option<Instant>,
    is_cancelled: bool,
    winner: Option<Winner<T>>,
    losers: Vec<Loser<T>>,
}

impl<'a, T> State<'a, T> {
    fn new(flags: &'a [AtomicBool], schedule: Schedule) -> Self {
        Self {
            flags,
            schedule,
            started: 0,
            running: Vec::new(),
            next_start: None,
            is_cancelled: false,
            winner: None,
            losers: Vec::new(),
        }
    }

    fn next_is_due(&self, now: Instant) -> bool {
        let is_due = self.running.is_empty() || self.next_start.is_some_and(|start| now >= start);
        self.started < self.flags.len() && !self.is_cancelled && is_due
    }

    /// Records the start of the next attempt.
    fn start_next(&mut self, now: Instant) {
        let index = self.started;
        self.started += 1;
        self.next_start = match self.schedule {
            Schedule::Overlapping(delay) => Some(now + delay),
            Schedule::OneAfterAnother(_) => None,
        };
        let was_alone = self.running.is_empty();
        self.running.iter_mut().for_each(|other| other.was_alone = false);
        self.running.push(Running { index, started: now, was_alone });
    }

    /// The next attempt starts after the end of all others.
    fn start_next_alone(&mut self) {
        self.next_start = None;
    }

    /// The longest wait for a result.
    fn pause(&self, now: Instant) -> Duration {
        let next_start = self.next_start.filter(|_| self.started < self.flags.len());
        next_start.map_or(MAX_PAUSE, |start| start.saturating_duration_since(now).min(MAX_PAUSE))
    }

    fn cancel_all(&mut self) {
        self.is_cancelled = true;
        for running in &self.running {
            self.flags[running.index].store(true, Ordering::Relaxed);
        }
    }

    /// Cancels an attempt whose time is over.
    fn cancel_expired(&self, now: Instant) {
        let Schedule::OneAfterAnother(limit) = self.schedule else { return };
        for running in &self.running {
            if now.saturating_duration_since(running.started) >= limit {
                self.flags[running.index].store(true, Ordering::Relaxed);
            }
        }
    }

    fn ended(&mut self, index: usize, result: Attempt<T>, now: Instant) {
        let position = self.running.iter().position(|running| running.index == index);
        let was_alone =
            position.is_some_and(|position| self.running.swap_remove(position).was_alone);
        let Attempt { succeeded, value } = result;
        if succeeded && self.winner.is_none() && !self.is_cancelled {
            self.winner = Some(Winner { index, value, was_alone });
            self.cancel_all();
            return;
        }
        let is_cancelled = self.flags[index].load(Ordering::Relaxed);
        self.losers.push(Loser { index, value, is_cancelled });
        // The next attempt starts at once.
        self.next_start = self.next_start.map(|_| now);
    }

    fn finish(mut self) -> RaceResult<T> {
        self.losers.sort_by_key(|loser| loser.index);
        RaceResult { winner: self.winner, losers: self.losers }
    }
}

#[cfg(test)]
mod tests;
