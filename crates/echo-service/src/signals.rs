//! Signals that stop a running server or print its totals.
//!
//! A separate thread waits for the signals. tokio could wait for them too, but it panics if the process has no free
//! descriptor (`tokio::signal`, 1.54). The thread does not panic: [`SignalError`] reports each error of the system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The system did not install the handlers of the signals.
#[derive(Debug, thiserror::Error)]
#[error("cannot catch the signals that stop the server")]
pub struct SignalError(#[source] imp::Error);

/// Catches the signals of the process and forwards them to the returned [`Signals`].
///
/// - SIGINT and SIGTERM start the shutdown (Ctrl-C on systems without these signals). A second signal ends
///   the process immediately, because a shutdown can take too long.
/// - SIGUSR1 logs the totals.
/// - SIGHUP has no effect. There is no configuration file to reload, and a closed terminal must not stop the
///   server.
/// - SIGQUIT keeps the system's default: it ends the process without a shutdown. Rust ignores SIGPIPE.
///
/// When this function returns, the handlers are installed.
///
/// # Errors
///
/// [`SignalError`] if the system does not install the handlers.
pub fn catch_signals() -> Result<Signals, SignalError> {
    let signals = Signals::default();
    imp::forward(Forwarder { signals: signals.clone(), is_shutting_down: AtomicBool::new(false) })
        .map_err(SignalError)?;
    Ok(signals)
}

/// The effects of the signals.
struct Forwarder {
    signals: Signals,
    is_shutting_down: AtomicBool,
}

impl Forwarder {
    /// Starts the shutdown. At the second call, ends the process.
    fn shut_down(&self, signal: &'static str, number: i32) {
        if self.is_shutting_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(signal, "second signal: ending immediately");
            std::thread::sleep(FINAL_LOG_TIME);
            // The exit status that a shell reports for a process killed by this signal.
            std::process::exit(128 + number);
        }
        tracing::info!(signal, "ending: the server answers only the requests that it has received");
        self.signals.shutdown.cancel();
    }
}

#[cfg(all(unix, not(portable)))]
mod imp {
    use super::Forwarder;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;

    pub(super) type Error = std::io::Error;

    pub(super) fn forward(forwarder: Forwarder) -> Result<(), Error> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
        let run = move || {
            for signal in signals.forever() {
                match signal {
                    SIGINT => forwarder.shut_down("SIGINT", signal),
                    SIGTERM => forwarder.shut_down("SIGTERM", signal),
                    SIGUSR1 => forwarder.signals.report_totals.notify_one(),
                    _ => {
                        tracing::info!("SIGHUP has no effect: there is no configuration to reload");
                    }
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(run)?;
        Ok(())
    }
}

/// Systems without Unix signals have Ctrl-C only.
#[cfg(not(all(unix, not(portable))))]
mod imp {
    use super::Forwarder;

    /// The number of SIGINT on Unix. The exit status is the same on every system.
    const SIGINT: i32 = 2;

    pub(super) type Error = ctrlc::Error;

    pub(super) fn forward(forwarder: Forwarder) -> Result<(), Error> {
        ctrlc::set_handler(move || forwarder.shut_down("Ctrl-C", SIGINT))
    }
}
