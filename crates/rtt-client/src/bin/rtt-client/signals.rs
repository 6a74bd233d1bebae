//! The signals of the process.
//!
//! | signal | effect |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM | the run ends with its summary; a second signal ends the process |
//! | SIGQUIT (Ctrl-\\), SIGUSR1 | prints the figures so far, and the run continues |
//! | SIGHUP | the system's default: it ends the process, unless it is ignored at the start (`nohup`) |
//!
//! Threads handle the signals. So they do not interrupt a system call of the measuring thread, and the figures are printed
//! during every wait. On systems without Unix signals, only Ctrl-C is handled.

use anyhow::{Context as _, Result};
use rtt_client::remove_unfinished_files;
use std::sync::atomic::{AtomicBool, Ordering};

/// The stop flag. It is set when the run must stop.
static STOP: AtomicBool = AtomicBool::new(false);

/// Whether a signal has set the stop flag.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The exit status after a second signal is this number plus the number of the signal. Shells report the same number
/// for a process that a signal ended.
const STATUS_OF_SIGNAL: i32 = 128;

/// Handles the signals that end a run, and returns the stop flag. The first signal sets the flag. The second signal ends
/// the process.
///
/// # Errors
///
/// If the system refuses a signal handler.
pub(crate) fn stop_on_interrupt() -> Result<&'static AtomicBool> {
    imp::stop_on_interrupt().context("cannot install the handler for Ctrl-C")?;
    Ok(&STOP)
}

/// Prints the figures of the run when a signal requests them (see [`crate::interim`]).
///
/// # Errors
///
/// If the system refuses a signal handler.
pub(crate) fn print_figures_on_request() -> Result<()> {
    imp::print_figures_on_request().context("cannot install the handler for SIGQUIT")
}

/// Whether a signal has ended the run. After a closed pipe, the result is `false`.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Sets the stop flag, as Ctrl-C does.
pub(crate) fn request_stop() {
    STOP.store(true, Ordering::Relaxed);
}

/// Sets the stop flag. After the second signal, ends the process.
fn interrupt(signal: i32) {
    STOP.store(true, Ordering::Relaxed);
    if INTERRUPTED.swap(true, Ordering::Relaxed) {
        remove_unfinished_files();
        std::process::exit(STATUS_OF_SIGNAL + signal);
    }
}

#[cfg(unix)]
mod imp {
    use super::interrupt;
    use crate::interim;
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    use std::{io, thread};

    pub(super) fn stop_on_interrupt() -> io::Result<()> {
        handle(&[SIGINT, SIGTERM], interrupt)
    }

    pub(super) fn print_figures_on_request() -> io::Result<()> {
        handle(&[SIGQUIT, SIGUSR1], |_| interim::print())
    }

    /// Calls `handler` in a separate thread for each of the `signals` that arrives.
    fn handle(signals: &[i32], handler: fn(i32)) -> io::Result<()> {
        let mut signals = Signals::new(signals)?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            signals.forever().for_each(handler);
        })?;
        Ok(())
    }
}

#[cfg(not(unix))]
mod imp {
    use super::interrupt;

    /// The number of SIGINT on Unix. The exit status of the client is the same on every system.
    const SIGINT: i32 = 2;

    pub(super) fn stop_on_interrupt() -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(|| interrupt(SIGINT))
    }

    pub(super) fn print_figures_on_request() -> Result<(), ctrlc::Error> {
        Ok(())
    }
}
