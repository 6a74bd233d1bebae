//! What is set up before a run: the log, and what Ctrl-C does.

use anyhow::Context as _;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::Level;

static STOP: AtomicBool = AtomicBool::new(false);

/// A flag that the first Ctrl-C (or SIGTERM) sets; the second one ends the process.
pub(crate) fn stop_on_ctrl_c() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .context("catching Ctrl-C")?;
    Ok(&STOP)
}

/// A flag that nothing sets: Ctrl-C ends the process, as the system does it.
pub(crate) fn never() -> &'static AtomicBool {
    &STOP
}

/// Standard output: a line at a time for a person, in larger pieces for a program.
pub(crate) fn stdout() -> Box<dyn Write> {
    let out = io::stdout();
    if out.is_terminal() { Box::new(out.lock()) } else { Box::new(BufWriter::new(out.lock())) }
}

/// Sends the log to stderr, coloured on a terminal unless `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn log_to_stderr(verbose: u8) {
    let level = [Level::WARN, Level::DEBUG, Level::TRACE][usize::from(verbose.min(2))];
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colour && io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .init();
}
