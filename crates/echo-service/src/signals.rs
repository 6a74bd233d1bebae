//! Signals that stop a running server or print its totals.

use crate::process::notify_stopping;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Time from a second signal to the exit of the process. In this time, the log thread can write its last
/// lines.
const FINAL_LOG_TIME: Duration = Duration::from_millis(20);

/// Controls a running server. All clones control the same server. Tests use it without signals of the operating
/// system.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Cancel it for a shutdown. The server then answers the requests that have arrived, and returns.
    pub shutdown: CancellationToken,
    /// Notify it for a report. The server then logs its totals and continues.
    pub report_totals: Arc<Notify>,
}

/// The system did not install the handler of a signal.
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
/// - SIGINT and SIGTERM start the shutdown (Ctrl-C on systems without these signals). A second signal ends
///   the process immediately, because a shutdown can take too long.
/// - SIGUSR1 logs the totals.
/// - SIGHUP has no effect. There is no configuration file to reload, and a closed terminal must not stop the
///   server.
/// - SIGQUIT keeps the system's default: it ends the process without a shutdown. Rust ignores SIGPIPE.
///
/// When this function returns, the handlers are installed. The function needs a tokio runtime with one thread.
///
/// # Errors
///
/// [`SignalError`] if the system does not install a handler.
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
                    tracing::warn!(signal, "second signal: ending immediately");
                    std::thread::sleep(FINAL_LOG_TIME);
                    // The exit status that a shell reports for a process killed by this signal.
                    std::process::exit(128 + number);
                }
                Action::Shutdown { signal, .. } => {
                    tracing::info!(
                        signal,
                        "ending: the server answers only the requests that it has received"
                    );
                    is_shutting_down = true;
                    forwarded.shutdown.cancel();
                    notify_stopping();
                }
            }
        }
    });
    // The task runs until it waits for a signal. On systems with Ctrl-C only, this wait installs the handler.
    tokio::task::yield_now().await;
    Ok(signals)
}

/// The effect of a signal.
#[cfg_attr(
    not(all(unix, not(portable))),
    expect(dead_code, reason = "other systems have a signal for the shutdown only")
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
    #[expect(clippy::unnecessary_wraps, reason = "the Unix version can return an error")]
    fn new() -> Result<Self, SignalError> {
        Ok(Self)
    }

    async fn next(&mut self) -> Action {
        if tokio::signal::ctrl_c().await.is_err() {
            // The handler of Ctrl-C was not installed. The system's default applies: Ctrl-C kills the process.
            std::future::pending::<()>().await;
        }
        Action::Shutdown { signal: "Ctrl-C", number: 2 }
    }
}
