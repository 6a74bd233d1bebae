//! Signals that control a running server: end it, or log its totals.

use crate::process::notify_stopping;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Time for the log thread to write its last lines before the process ends at once.
const FINAL_LOG_TIME: Duration = Duration::from_millis(20);

/// Controls a running server. All clones control the same server. A test can use it without operating system
/// signals.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// When cancelled, the server stops accepting new work, answers the requests already received, and
    /// returns.
    pub shutdown: CancellationToken,
    /// When notified, the server logs its totals and continues.
    pub report_totals: Arc<Notify>,
}

/// The system does not let the process catch a signal.
#[derive(Debug, thiserror::Error)]
#[error("cannot catch {signal}")]
pub struct SignalError {
    /// The name of the signal.
    pub signal: &'static str,
    /// The error of the system.
    pub source: io::Error,
}

/// Catches the signals of the process and forwards them to the returned [`Signals`].
///
/// - SIGINT and SIGTERM (on systems without them: Ctrl-C) end the server. A second one ends the process at
///   once, for the case that answering the requests already received takes too long.
/// - SIGUSR1 logs the totals.
/// - SIGHUP has no effect. The server has no configuration file to reload, and a closed terminal must not end
///   it.
///
/// The signals are caught when this function returns. It needs a tokio runtime with one thread.
///
/// # Errors
///
/// [`SignalError`] if the system does not let the process catch a signal.
pub async fn catch_signals() -> Result<Signals, SignalError> {
    let mut os_signals = OsSignals::new()?;
    let signals = Signals::default();
    let forwarded = signals.clone();
    tokio::spawn(async move {
        let mut is_shutting_down = false;
        loop {
            match os_signals.next().await {
                Action::ReportTotals => forwarded.report_totals.notify_one(),
                Action::None => {
                    tracing::info!("SIGHUP has no effect: there is no configuration to reload");
                }
                Action::Shutdown { signal, number } if is_shutting_down => {
                    tracing::warn!(signal, "second signal: ending at once");
                    std::thread::sleep(FINAL_LOG_TIME);
                    // The exit status that a shell reports for a process ended by this signal.
                    std::process::exit(128 + number);
                }
                Action::Shutdown { signal, .. } => {
                    tracing::info!(
                        signal,
                        "ending: no new work, answering the requests already received"
                    );
                    is_shutting_down = true;
                    forwarded.shutdown.cancel();
                    notify_stopping();
                }
            }
        }
    });
    // Runs the task up to its first wait. On systems that only have Ctrl-C, this wait installs the handler.
    tokio::task::yield_now().await;
    Ok(signals)
}

/// The effect of a signal.
#[cfg_attr(
    not(all(unix, not(portable))),
    expect(dead_code, reason = "other systems only have a signal for shutdown")
)]
enum Action {
    Shutdown { signal: &'static str, number: i32 },
    ReportTotals,
    None,
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
    fn new() -> Result<Self, SignalError> {
        use tokio::signal::unix::SignalKind;
        let catch = |kind, signal| {
            tokio::signal::unix::signal(kind).map_err(|source| SignalError { signal, source })
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt(), "SIGINT")?,
            terminate: catch(SignalKind::terminate(), "SIGTERM")?,
            hang_up: catch(SignalKind::hangup(), "SIGHUP")?,
            user_1: catch(SignalKind::user_defined1(), "SIGUSR1")?,
        })
    }

    async fn next(&mut self) -> Action {
        tokio::select! {
            _ = self.interrupt.recv() => Action::Shutdown { signal: "SIGINT", number: 2 },
            _ = self.terminate.recv() => Action::Shutdown { signal: "SIGTERM", number: 15 },
            _ = self.hang_up.recv() => Action::None,
            _ = self.user_1.recv() => Action::ReportTotals,
        }
    }
}

/// Systems without Unix signals have Ctrl-C only.
#[cfg(not(all(unix, not(portable))))]
struct OsSignals;

#[cfg(not(all(unix, not(portable))))]
impl OsSignals {
    #[expect(clippy::unnecessary_wraps, reason = "the Unix version can fail")]
    fn new() -> Result<Self, SignalError> {
        Ok(Self)
    }

    async fn next(&mut self) -> Action {
        if tokio::signal::ctrl_c().await.is_err() {
            // Ctrl-C cannot be caught. The system's default action ends the process.
            std::future::pending::<()>().await;
        }
        Action::Shutdown { signal: "Ctrl-C", number: 2 }
    }
}
