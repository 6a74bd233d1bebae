//! What stands around a run: the log, what Ctrl-C does, and the exit status.

use crate::cli::Format;
use anyhow::Context as _;
use rtt_client::analysis::comparison::Verdict;
use rtt_client::report::{Csv, Host, Invocation, Json, JsonConfig, Text, TextConfig};
use rtt_client::{Report, RunError};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;
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
fn stdout() -> Box<dyn Write> {
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

/// What the process ends with: whether all went well, or why nothing could be done, which is told.
pub(crate) fn status(done: anyhow::Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let report = error.downcast_ref().and_then(|error| match error {
                RunError::Report(error) => Some(error.kind()),
                _ => None,
            });
            // Whoever closed stdout has seen enough.
            if report != Some(io::ErrorKind::BrokenPipe) {
                eprintln!("rtt-client: {error:#}");
            }
            ExitCode::from(2)
        }
    }
}

/// The report that is asked for; a bar shows progress where there is a terminal, and `bar`.
pub(crate) fn report(format: Format, quiet: bool, bar: bool) -> Box<dyn Report> {
    let out = stdout();
    let text = TextConfig { quiet, progress: bar && io::stderr().is_terminal() };
    match format {
        Format::Text => Box::new(Text::new(out, io::stderr(), text)),
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

/// Says on stderr why a table has no rows: it has no place for that.
pub(crate) fn report_missing_table(format: Format, verdict: &Verdict) {
    if matches!(format, Format::Csv) && verdict.difference.is_none() {
        eprintln!("rtt-client: {}", verdict.sentence);
    }
}
