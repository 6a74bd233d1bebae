//! Workers: threads that serve, what they publish, and how they are told to end.
//!
//! A worker waits in the kernel itself, and not in tasks of tokio's: those cost an idle TCP connection 895
//! bytes (measured at 15,000 of them with the barest task), and a UDP reply the way through a reactor. tokio
//! has the rest of a server's life: signals, deadlines, waiting for the workers.

use crate::Orders;
use std::fmt::Display;
use std::io;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

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

/// Runs `workers`, each on a thread of its own, until `orders` say to end. Returns the sum of what they
/// published.
///
/// # Errors
///
/// If the system does not give a thread.
///
/// # Panics
///
/// Only if a worker does.
pub async fn work<T>(workers: Vec<Worker<T>>, orders: &Orders) -> io::Result<T>
where
    T: Copy + Default + AddAssign + Display + Send + 'static,
{
    let mut running = Vec::new();
    for (number, worker) in workers.into_iter().enumerate() {
        let sheet = Arc::new(Sheet::default());
        let own = Arc::clone(&sheet);
        let (done, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(format!("worker {number}"));
        let thread = thread.spawn(move || {
            (worker.run)(&own);
            drop(done);
        })?;
        running.push((sheet, worker.wake, ended, thread));
    }
    let sum = |running: &[(Arc<Sheet<T>>, _, _, _)]| {
        running.iter().fold(T::default(), |mut sum, (sheet, ..)| {
            sum += sheet.published();
            sum
        })
    };
    loop {
        tokio::select! {
            () = orders.end.cancelled() => break,
            () = orders.tell.notified() => tracing::info!("so far: {}", sum(&running)),
        }
    }
    for (sheet, wake, ..) in &running {
        sheet.ending.store(true, Ordering::Relaxed);
        wake();
    }
    let mut total = T::default();
    for (sheet, _, ended, thread) in running {
        // It sends nothing: that it is gone says that the thread is at its end.
        let _ = ended.await;
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
        total += sheet.published();
    }
    Ok(total)
}
