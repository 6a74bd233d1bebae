//! Workers: threads that serve, what they publish, and how they are told to end.
//!
//! A worker waits in the kernel itself, and not in tasks of tokio's: those cost an idle TCP connection 895
//! bytes (measured at 15,000 of them with the barest task), and a UDP reply the way through a reactor. tokio
//! has the rest of a server's life: signals, deadlines, waiting for the workers.

use crate::Signals;
use crate::supervisor::tell_ready;
use std::io;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Figures that can be put into the log.
pub trait LogTotals {
    /// Logs them, each by its name, so that programs can read them too; and `when` they were taken.
    fn log(&self, when: &'static str);
}

/// What a worker does, until it is told on its state to end.
type Run<T> = Box<dyn FnOnce(&WorkerState<T>) + Send>;

/// One thread's work.
pub struct Worker<T> {
    /// What it does.
    pub run: Run<T>,
    /// Has it look at its state, wherever it waits.
    pub wake: Box<dyn Fn() + Send>,
}

/// What a worker and the one who started it tell each other.
#[derive(Debug, Default)]
pub struct WorkerState<T> {
    totals: Mutex<T>,
    ending: AtomicBool,
}

impl<T: Copy> WorkerState<T> {
    /// Whether the worker is to answer what is in hand, and end.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Shows what has been done so far.
    pub fn publish_totals(&self, totals: &T) {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = *totals;
    }

    fn published_totals(&self) -> T {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `workers`, each on a thread of its own, until `signals` say to end; tells a supervisor once all of them
/// run. Returns the sum of what they published.
///
/// # Errors
///
/// If the system does not give a thread. Those that run already are ended.
///
/// # Panics
///
/// Only if a worker does, and then at once: what one does not serve, nobody does.
pub async fn run_workers<T>(workers: Vec<Worker<T>>, signals: &Signals) -> io::Result<T>
where
    T: Copy + Default + AddAssign + LogTotals + Send + 'static,
{
    let mut crew = Crew(Vec::new());
    let (gone, mut any_gone) = mpsc::channel(1);
    for (number, worker) in workers.into_iter().enumerate() {
        let state = Arc::new(WorkerState::default());
        let (own, gone) = (Arc::clone(&state), gone.clone());
        let thread = std::thread::Builder::new().name(format!("worker {number}"));
        let thread = thread.spawn(move || {
            // Dropped at the end, however that comes.
            let _gone = Gone(gone);
            (worker.run)(&own);
        })?;
        crew.0.push(Member { state, wake: worker.wake, thread: Some(thread) });
    }
    drop(gone);
    tell_ready();
    loop {
        tokio::select! {
            () = signals.shutdown.cancelled() => break,
            () = signals.report_totals.notified() => crew.published_totals().log("totals so far"),
            // Nobody told it to: it has panicked.
            _ = any_gone.recv() => break,
        }
    }
    crew.tell_to_end();
    // Each says that it is gone; after the last one nobody can any more.
    while any_gone.recv().await.is_some() {}
    for member in &mut crew.0 {
        if let Some(Err(panic)) = member.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
    Ok(crew.published_totals())
}

struct Member<T> {
    state: Arc<WorkerState<T>>,
    wake: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

/// The workers that run. They are told to end when this is dropped.
struct Crew<T: Copy>(Vec<Member<T>>);

impl<T: Copy> Crew<T> {
    fn tell_to_end(&self) {
        for member in &self.0 {
            member.state.ending.store(true, Ordering::Relaxed);
            (member.wake)();
        }
    }
}

impl<T: Copy + Default + AddAssign> Crew<T> {
    fn published_totals(&self) -> T {
        self.0.iter().fold(T::default(), |mut sum, member| {
            sum += member.state.published_totals();
            sum
        })
    }
}

impl<T: Copy> Drop for Crew<T> {
    fn drop(&mut self) {
        self.tell_to_end();
    }
}

/// Says so when it is dropped.
struct Gone(mpsc::Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        // One that waits to be heard is enough.
        let _ = self.0.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Clone, Copy, Default, Debug, PartialEq)]
    struct Count(u64);

    impl AddAssign for Count {
        fn add_assign(&mut self, other: Self) {
            self.0 += other.0;
        }
    }

    impl LogTotals for Count {
        fn log(&self, _: &'static str) {}
    }

    fn worker(work: impl FnOnce(&WorkerState<Count>) + Send + 'static) -> Worker<Count> {
        Worker { run: Box::new(work), wake: Box::new(|| {}) }
    }

    fn until_told(state: &WorkerState<Count>) {
        state.publish_totals(&Count(1));
        while !state.is_shutting_down() {
            std::thread::sleep(Duration::from_millis(1));
        }
        state.publish_totals(&Count(2));
    }

    #[tokio::test]
    async fn what_workers_published_is_summed_at_the_end() {
        let signals = Signals::default();
        let end = signals.shutdown.clone();
        let task = tokio::spawn(async move {
            run_workers(vec![worker(until_told), worker(until_told), worker(until_told)], &signals)
                .await
        });
        tokio::task::yield_now().await;
        end.cancel();
        assert_eq!(task.await.unwrap().unwrap(), Count(6));
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_worker_that_panics_is_noticed_at_once() {
        let workers = vec![worker(until_told), worker(|_| panic!("on purpose"))];
        let _ = run_workers(workers, &Signals::default()).await;
    }
}
