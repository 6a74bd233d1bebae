//! Process setup: logging, Ctrl-C, the report to write, the exit status.

use crate::cli::Format;
use crate::stdout::stdout;
use crate::terminal::{allows_colour, text_config};
use anyhow::{Context as _, Result};
use rtt_client::Report;
use rtt_client::report::{Csv, Host, Invocation, Json, JsonConfig, Text};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::Level;

/// Set when the run has to stop.
static STOP: AtomicBool = AtomicBool::new(false);

/// The exit status of a process that SIGINT ended: 128 and the number of the signal, as shells report it.
const STATUS_INTERRUPTED: i32 = 130;

/// Makes the first Ctrl-C (or SIGTERM) set the stop flag, and the second one end the process. Returns the flag.
///
/// # Errors
///
/// If the system refuses a signal handler.
pub(crate) fn stop_on_interrupt() -> Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(STATUS_INTERRUPTED);
        }
    })
    .context("installing the handler for Ctrl-C")?;
    Ok(&STOP)
}

/// The stop flag, for runs that install no Ctrl-C handler: there, Ctrl-C ends the process at once.
pub(crate) fn interrupt_flag() -> &'static AtomicBool {
    &STOP
}

/// Sets the stop flag, as Ctrl-C does.
pub(crate) fn request_stop() {
    STOP.store(true, Ordering::Relaxed);
}

/// Sends the log to stderr. It is coloured on a terminal unless `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn log_to_stderr(verbosity: u8) {
    let level = [Level::WARN, Level::DEBUG, Level::TRACE][usize::from(verbosity.min(2))];
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(allows_colour() && io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .init();
}

/// The exit status of a command: 0 if every exchange had a correct reply, 1 if not, 2 if the command could not
/// run as requested. In the last case, one line on stderr states the error and its causes.
pub(crate) fn exit_status(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("rtt-client: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// How a report is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportOptions {
    pub(crate) format: Format,
    /// Leave out the individual exchanges.
    pub(crate) quiet: bool,
    /// Show a progress bar, if stderr is a terminal.
    pub(crate) progress_bar: bool,
}

/// A report on standard output.
pub(crate) fn report(options: ReportOptions) -> Box<dyn Report> {
    let ReportOptions { format, quiet, progress_bar } = options;
    let out = stdout();
    match format {
        Format::Text => Box::new(Text::new(out, io::stderr(), text_config(quiet, progress_bar))),
        Format::Json => {
            Box::new(Json::new(out, JsonConfig { quiet, invocation: Some(invocation()) }))
        }
        Format::Csv => Box::new(Csv::new(out)),
    }
}

/// The command line and the host, for the `start` event.
fn invocation() -> Invocation {
    let arguments = std::env::args_os().skip(1);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = [std::env::consts::OS, release.trim(), std::env::consts::ARCH];
    let system: Vec<&str> = system.into_iter().filter(|part| !part.is_empty()).collect();
    Invocation {
        arguments: arguments.map(|argument| argument.to_string_lossy().into_owned()).collect(),
        host: Host {
            system: system.join(" "),
            cpus: std::thread::available_parallelism().ok().map(usize::from),
        },
    }
}
