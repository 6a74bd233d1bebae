//! What an operator asks of a running server: its totals, or its end; and how signals say so.

use crate::supervisor::tell_ending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long lines that wait have to be written when the process ends at once.
const LAST_LINES: Duration = Duration::from_millis(20);

/// What a server is told while it runs. Without signals, as in a test, whoever holds a copy tells it.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Cancelled: take no new work, answer what is in hand, return.
    pub shutdown: CancellationToken,
    /// Notified: log the totals so far.
    pub report_totals: Arc<Notify>,
}

/// Signals as signals give them: SIGINT or SIGTERM (elsewhere: Ctrl-C) to end, and a second one ends the
/// process at once, for whom answering what is in hand takes too long; SIGUSR1 to tell the totals. SIGHUP
/// does nothing: there is nothing to read again, and a terminal that closes is no reason to end.
///
/// The signals are caught from the moment that this returns. Made for a runtime of one thread.
///
/// # Errors
///
/// If the system does not let the signals be caught.
pub async fn catch_signals() -> io::Result<Signals> {
    let mut os_signals = OsSignals::new()?;
    let signals = Signals::default();
    let for_task = signals.clone();
    tokio::spawn(async move {
        let mut ending = false;
        loop {
            match os_signals.next().await {
                Signal::ReportTotals => for_task.report_totals.notify_one(),
                Signal::Nothing => tracing::info!("SIGHUP: there is nothing to read again"),
                Signal::End(signal, number) if ending => {
                    tracing::warn!(signal, "ending at once");
                    // For the log's own thread to write this.
                    std::thread::sleep(LAST_LINES);
                    // As a shell tells of who was ended by a signal.
                    std::process::exit(128 + number);
                }
                Signal::End(signal, _) => {
                    tracing::info!(signal, "ending: no new work, answering what is in hand");
                    ending = true;
                    for_task.shutdown.cancel();
                    tell_ending();
                }
            }
        }
    });
    // Lets the task run up to its first wait: where only Ctrl-C is to be had, waiting is what catches it.
    tokio::task::yield_now().await;
    Ok(signals)
}

#[cfg_attr(not(all(unix, not(portable))), expect(dead_code, reason = "not on every system"))]
enum Signal {
    End(&'static str, i32),
    ReportTotals,
    Nothing,
}

#[cfg(all(unix, not(portable)))]
struct OsSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    user_1: tokio::signal::unix::Signal,
}

#[cfg(all(unix, not(portable)))]
impl OsSignals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End("SIGINT", 2),
            _ = self.terminate.recv() => Signal::End("SIGTERM", 15),
            _ = self.hang_up.recv() => Signal::Nothing,
            _ = self.user_1.recv() => Signal::ReportTotals,
        }
    }
}

/// What every system has: Ctrl-C.
#[cfg(not(all(unix, not(portable))))]
struct OsSignals;

#[cfg(not(all(unix, not(portable))))]
impl OsSignals {
    #[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing will ever come; the system ends the process in its own way.
            std::future::pending::<()>().await;
        }
        Signal::End("Ctrl-C", 2)
    }
}
