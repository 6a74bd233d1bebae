//! Tests of [`super::run_workers`]: totals, failures, panics, and the heartbeat.

use super::*;
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::time::Duration;

/// Maximum time to wait for an event. A loaded machine needs a small part of it.
const MAX_WAIT: Duration = Duration::from_secs(20);

crate::counters! {
    /// Counters of a test.
    struct Totals {
        /// Number of published values.
        published,
    }
}

fn worker(
    run: impl FnOnce(&WorkerState<Totals>) -> Result<(), WorkerFailure> + Send + 'static,
) -> Worker<Totals> {
    Worker { run: Box::new(run), wake: Box::new(|| {}) }
}

#[expect(clippy::unnecessary_wraps, reason = "a worker returns a result")]
fn run_until_shutdown(state: &WorkerState<Totals>) -> Result<(), WorkerFailure> {
    while !state.is_shutting_down() {
        state.publish_totals(&Totals { published: 1 });
        std::thread::sleep(Duration::from_millis(1));
    }
    state.publish_totals(&Totals { published: 2 });
    Ok(())
}

#[tokio::test]
async fn totals_of_all_workers_are_summed_at_the_end() {
    let signals = Signals::default();
    let shutdown = signals.shutdown.clone();
    let task = tokio::spawn(async move {
        let workers = (0..3).map(|_| worker(run_until_shutdown)).collect();
        run_workers(workers, &signals).await
    });
    tokio::task::yield_now().await;
    shutdown.cancel();
    assert_eq!(task.await.unwrap().unwrap(), Totals { published: 6 });
}

#[tokio::test]
#[should_panic(expected = "on purpose")]
async fn panic_of_one_worker_stops_all_workers() {
    let workers = vec![worker(run_until_shutdown), worker(|_| panic!("on purpose"))];
    let _ = run_workers(workers, &Signals::default()).await;
}

#[tokio::test]
async fn failure_of_one_worker_stops_all_workers_and_is_returned() {
    let failure = || WorkerFailure::Wait(io::ErrorKind::NotConnected.into());
    let workers = vec![worker(run_until_shutdown), worker(move |_| Err(failure()))];
    let error = run_workers(workers, &Signals::default()).await.unwrap_err();
    assert!(matches!(error, RunWorkersError::Failed { worker: 1, .. }), "{error}");
    assert_eq!(error.to_string(), "worker 1 cannot continue");
}

/// The second worker waits for a message in each pass. Each check of the heartbeat wakes the first worker, so the
/// number of wake-ups is the number of checks.
#[tokio::test]
async fn heartbeat_stops_while_one_worker_hangs_and_continues_afterwards() {
    let (notify, notifications) = std_mpsc::channel();
    let (count_check, checks) = std_mpsc::channel();
    let (continue_worker, may_continue) = std_mpsc::channel();
    let signals = Signals::default();
    let shutdown = signals.shutdown.clone();
    let observer = std::thread::spawn(move || {
        let pass = |number: usize| (0..number).for_each(|_| continue_worker.send(()).unwrap());
        // Both workers make progress.
        for _ in 0..3 {
            pass(1);
            notifications.recv_timeout(MAX_WAIT).unwrap();
        }
        // The second worker hangs. One more notification can belong to its last pass.
        checks.try_iter().for_each(drop);
        for _ in 0..20 {
            checks.recv_timeout(MAX_WAIT).unwrap();
        }
        let while_hanging = notifications.try_iter().count();
        pass(1);
        let afterwards = notifications.recv_timeout(MAX_WAIT);
        shutdown.cancel();
        // The worker then ends.
        drop(continue_worker);
        (while_hanging, afterwards)
    });

    let counting = Worker {
        wake: Box::new(move || {
            let _ = count_check.send(());
        }),
        ..worker(run_until_shutdown)
    };
    let hanging = worker(move |state| {
        while !state.is_shutting_down() && may_continue.recv().is_ok() {
            state.publish_totals(&Totals::default());
        }
        Ok(())
    });
    let heartbeat = Heartbeat::new(Some(Duration::from_millis(20)), || {
        let _ = notify.send(());
    });
    supervise(vec![counting, hanging], &signals, heartbeat).await.unwrap();
    let (while_hanging, afterwards) = observer.join().unwrap();
    assert!(while_hanging <= 1, "{while_hanging} notifications in 20 checks");
    assert_eq!(afterwards, Ok(()));
}

#[tokio::test]
async fn without_a_watchdog_no_worker_is_woken() {
    let (count_wake, wakes) = std_mpsc::channel();
    let signals = Signals::default();
    let shutdown = signals.shutdown.clone();
    let observer = std::thread::spawn(move || {
        // The first check of a heartbeat is due immediately.
        let wake = wakes.recv_timeout(Duration::from_millis(50));
        shutdown.cancel();
        wake
    });
    let counting = Worker {
        wake: Box::new(move || {
            let _ = count_wake.send(());
        }),
        ..worker(run_until_shutdown)
    };
    supervise(vec![counting], &signals, Heartbeat::new(None, || {})).await.unwrap();
    assert_eq!(observer.join().unwrap(), Err(RecvTimeoutError::Timeout));
}
