//! Workers: threads that serve, what they publish, and how they are told to end.
//!
//! A worker waits in the kernel itself, and not in tasks of tokio's: those cost an idle TCP connection 895
//! bytes (measured at 15,000 of them with the barest task), and a UDP reply the way through a reactor. tokio
//! has the rest of a server's life: signals, deadlines, waiting for the workers.

use crate::Orders;
use crate::supervisor::tell_ready;
use std::io;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Figures that can be put into the log.
pub trait Tell {
    /// Logs them, each by its name, so that programs can read them too; and `when` they were taken.
    fn tell(&self, when: &'static str);
}

/// What a worker does, until it is told on its sheet to end.
type Run<T> = Box<dyn FnOnce(&Sheet<T>) + Send>;

/// One thread's work.
pub struct Worker<T> {
    /// What it does.
    pub run: Run<T>,
    /// Has it look at its sheet, wherever it waits.
    pub wake: Box<dyn Fn() + Send>,
}

/// What a worker and the one who started it tell each other.
#[derive(Debug, Default)]
pub struct Sheet<T> {
    totals: Mutex<T>,
    ending: AtomicBool,
}

impl<T: Copy> Sheet<T> {
    /// Whether the worker is to answer what is in hand, and end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Shows what has been done so far.
    pub fn publish(&self, totals: &T) {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = *totals;
    }

    fn published(&self) -> T {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `workers`, each on a thread of its own, until `orders` say to end; tells a supervisor once all of them
/// run. Returns the sum of what they published.
///
/// # Errors
///
/// If the system does not give a thread. Those that run already are ended.
///
/// # Panics
///
/// Only if a worker does, and then at once: what one does not serve, nobody does.
pub async fn work<T>(workers: Vec<Worker<T>>, orders: &Orders) -> io::Result<T>
where
    T: Copy + Default + AddAssign + Tell + Send + 'static,
{
    let mut crew = Crew(Vec::new());
    let (gone, mut any_gone) = mpsc::channel(1);
    for (number, worker) in workers.into_iter().enumerate() {
        let sheet = Arc::new(Sheet::default());
        let (own, gone) = (Arc::clone(&sheet), gone.clone());
        let thread = std::thread::Builder::new().name(format!("worker {number}"));
        let thread = thread.spawn(move || {
            // Dropped at the end, however that comes.
            let _gone = Gone(gone);
            (worker.run)(&own);
        })?;
        crew.0.push(Member { sheet, wake: worker.wake, thread: Some(thread) });
    }
    drop(gone);
    tell_ready();
    loop {
        tokio::select! {
            () = orders.end.cancelled() => break,
            () = orders.tell.notified() => crew.published().tell("totals so far"),
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
    Ok(crew.published())
}

struct Member<T> {
    sheet: Arc<Sheet<T>>,
    wake: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

/// The workers that run. They are told to end when this is dropped.
struct Crew<T: Copy>(Vec<Member<T>>);

impl<T: Copy> Crew<T> {
    fn tell_to_end(&self) {
        for member in &self.0 {
            member.sheet.ending.store(true, Ordering::Relaxed);
            (member.wake)();
        }
    }
}

impl<T: Copy + Default + AddAssign> Crew<T> {
    fn published(&self) -> T {
        self.0.iter().fold(T::default(), |mut sum, member| {
            sum += member.sheet.published();
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

    impl Tell for Count {
        fn tell(&self, _: &'static str) {}
    }

    fn worker(work: impl FnOnce(&Sheet<Count>) + Send + 'static) -> Worker<Count> {
        Worker { run: Box::new(work), wake: Box::new(|| {}) }
    }

    fn until_told(sheet: &Sheet<Count>) {
        sheet.publish(&Count(1));
        while !sheet.is_ending() {
            std::thread::sleep(Duration::from_millis(1));
        }
        sheet.publish(&Count(2));
    }

    #[tokio::test]
    async fn what_workers_published_is_summed_at_the_end() {
        let orders = Orders::default();
        let end = orders.end.clone();
        let task = tokio::spawn(async move {
            work(vec![worker(until_told), worker(until_told), worker(until_told)], &orders).await
        });
        tokio::task::yield_now().await;
        end.cancel();
        assert_eq!(task.await.unwrap().unwrap(), Count(6));
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_worker_that_panics_is_noticed_at_once() {
        let workers = vec![worker(until_told), worker(|_| panic!("on purpose"))];
        let _ = work(workers, &Orders::default()).await;
    }
}
