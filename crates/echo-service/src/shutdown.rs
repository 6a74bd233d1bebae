//! Ending when the system asks for it.

use std::io;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT or SIGTERM (elsewhere: Ctrl-C). A second one ends the
/// process at once, for whom answering what is in hand takes too long.
///
/// The signals are caught from the moment that this returns. Made for a runtime of one thread.
///
/// # Errors
///
/// If the system does not let the signals be caught.
pub async fn shutdown_on_signal() -> io::Result<CancellationToken> {
    let mut signals = Signals::new()?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let signal = signals.next().await;
        shutdown.cancel();
        tracing::info!(signal, "ending: no new work, answering what is in hand");
        let signal = signals.next().await;
        tracing::warn!(signal, "ending at once");
        std::process::exit(130);
    });
    // Lets the task run up to its first wait: where only Ctrl-C is to be had, waiting is what catches it.
    tokio::task::yield_now().await;
    Ok(token)
}

#[cfg(all(unix, not(portable)))]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(all(unix, not(portable)))]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// What every system has: Ctrl-C.
#[cfg(not(all(unix, not(portable))))]
struct Signals;

#[cfg(not(all(unix, not(portable))))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing will ever come; the system ends the process in its own way.
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
