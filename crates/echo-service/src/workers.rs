//! Starts worker threads, watches their progress, collects their totals, and stops them.
//!
//! A worker is a thread that waits in the kernel, and not a tokio task. With one tokio task per connection, an
//! idle TCP connection costs 895 bytes (measured with 15,000 connections and the smallest possible task). For
//! UDP, tokio's reactor adds a step to the path of each reply.
//!
//! tokio waits only for signals and for the end of the workers. The workers check their own deadlines.

mod failure;
mod heartbeat;
#[cfg(test)]
mod tests;

pub use failure::{WorkerFailure, is_permanent_error};

use crate::process::{notify_ready, notify_stopping};
use crate::{LogTotals, Signals};
use heartbeat::Heartbeat;
use std::error::Error as _;
use std::io;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// The function that a worker thread runs.
type RunWorker<T> = Box<dyn FnOnce(&WorkerState<T>) -> Result<(), WorkerFailure> + Send>;

/// The work of one thread.
pub struct Worker<T> {
    /// Runs on the thread until [`WorkerState::is_shutting_down`] returns true. An error ends all workers.
    pub run: RunWorker<T>,
    /// Interrupts the wait of the worker. The worker then checks its state.
    pub wake: Box<dyn Fn() + Send>,
}

/// State that a worker shares with [`run_workers`].
#[derive(Debug, Default)]
pub struct WorkerState<T> {
    totals: Mutex<T>,
    /// Number of calls of [`WorkerState::publish_totals`].
    passes: AtomicU64,
    is_shutting_down: AtomicBool,
}

impl<T: Copy> WorkerState<T> {
    /// Whether the shutdown has begun. The worker must then answer the requests that have arrived, and return.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.is_shutting_down.load(Ordering::Relaxed)
    }

    /// Sets the totals of this worker. [`run_workers`] reads them.
    ///
    /// A worker must call this function in each pass of its loop. If it does not, the watchdog of the supervisor
    /// restarts the server.
    pub fn publish_totals(&self, totals: &T) {
        self.passes.fetch_add(1, Ordering::Relaxed);
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = *totals;
    }

    fn published_totals(&self) -> T {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The workers cannot start, or they cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum RunWorkersError {
    /// The system did not start a thread.
    #[error("cannot start the thread of worker {worker}")]
    Start {
        /// The number of the worker, from 0.
        worker: usize,
        /// The error of the system.
        source: io::Error,
    },
    /// A worker ended before the shutdown.
    #[error("worker {worker} cannot continue")]
    Failed {
        /// The number of the worker, from 0.
        worker: usize,
        /// The reason.
        source: WorkerFailure,
    },
}

/// Runs each worker on its own thread until `signals` request the shutdown. Notifies the supervisor when all workers
/// run, while all workers make progress, and when the shutdown begins. Returns the sum of the totals of all workers.
///
/// # Errors
///
/// [`RunWorkersError`] if the system does not start a thread, or if a worker cannot continue. The function stops the
/// other workers. It also logs the failure of a worker and the totals.
///
/// # Panics
///
/// If a worker panics. The function stops all other workers first, because they do not serve the sockets of
/// the worker that panicked.
pub async fn run_workers<T>(
    workers: Vec<Worker<T>>,
    signals: &Signals,
) -> Result<T, RunWorkersError>
where
    T: Copy + Default + AddAssign + LogTotals + Send + 'static,
{
    supervise(workers, signals, Heartbeat::of_process()).await
}

/// [`run_workers`] with a heartbeat that a test can replace.
async fn supervise<T>(
    workers: Vec<Worker<T>>,
    signals: &Signals,
    mut heartbeat: Heartbeat<impl Fn()>,
) -> Result<T, RunWorkersError>
where
    T: Copy + Default + AddAssign + LogTotals + Send + 'static,
{
    let mut running = RunningWorkers(Vec::new());
    let (ended_sender, mut ended) = mpsc::channel(1);
    for (number, worker) in workers.into_iter().enumerate() {
        let state = Arc::new(WorkerState::default());
        let (thread_state, ended_sender) = (Arc::clone(&state), ended_sender.clone());
        let thread = std::thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(move || {
                // Sends its message when the thread ends, also after a panic.
                let _notify_on_drop = NotifyOnDrop(ended_sender);
                (worker.run)(&thread_state)
            })
            .map_err(|source| RunWorkersError::Start { worker: number, source })?;
        running.0.push(RunningWorker { state, wake: worker.wake, thread: Some(thread) });
    }
    drop(ended_sender);
    notify_ready();
    loop {
        tokio::select! {
            () = signals.shutdown.cancelled() => break,
            () = signals.report_totals.notified() => running.totals().log("totals so far"),
            // A worker ended before the shutdown, so it failed or panicked.
            _ = ended.recv() => break,
            () = heartbeat.next_check() => {
                heartbeat.check(running.passes());
                running.wake_all();
            }
        }
    }
    running.shut_down();
    notify_stopping();
    // The channel closes when the last worker has dropped its sender.
    while ended.recv().await.is_some() {}
    let mut failure = None;
    for (number, worker) in running.0.iter_mut().enumerate() {
        match worker.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(source))) => {
                log_failure(number, &source);
                failure.get_or_insert(RunWorkersError::Failed { worker: number, source });
            }
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
    match failure {
        None => Ok(running.totals()),
        Some(failure) => {
            running.totals().log("totals at the failure");
            Err(failure)
        }
    }
}

fn log_failure(worker: usize, failure: &WorkerFailure) {
    let reason = failure.source().map(tracing::field::display);
    tracing::error!(worker, reason, "{failure}: the server ends");
}

struct RunningWorker<T> {
    state: Arc<WorkerState<T>>,
    wake: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<Result<(), WorkerFailure>>>,
}

/// The running workers. A drop stops them.
struct RunningWorkers<T: Copy>(Vec<RunningWorker<T>>);

impl<T: Copy> RunningWorkers<T> {
    fn shut_down(&self) {
        for worker in &self.0 {
            worker.state.is_shutting_down.store(true, Ordering::Relaxed);
        }
        self.wake_all();
    }

    fn wake_all(&self) {
        self.0.iter().for_each(|worker| (worker.wake)());
    }

    /// The number of passes of each worker.
    fn passes(&self) -> Vec<u64> {
        self.0.iter().map(|worker| worker.state.passes.load(Ordering::Relaxed)).collect()
    }
}

impl<T: Copy + Default + AddAssign> RunningWorkers<T> {
    fn totals(&self) -> T {
        self.0.iter().fold(T::default(), |mut sum, worker| {
            sum += worker.state.published_totals();
            sum
        })
    }
}

impl<T: Copy> Drop for RunningWorkers<T> {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Sends a message through the channel on drop.
struct NotifyOnDrop(mpsc::Sender<()>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        // If the channel is full, it already contains a message.
        let _ = self.0.try_send(());
    }
}
