//! Process setup: logging, the report, the exit status.

use crate::cli::Format;
use crate::interim::WithInterimFigures;
use crate::output::{LogLine, print_error, stderr, stdout};
use crate::progress::WithProgressBar;
use crate::terminal::{allows_colour, text_config};
use anyhow::Result;
use rtt_client::Report;
use rtt_client::report::{Csv, Host, Invocation, Json, JsonConfig, Text, TextConfig};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use tracing::Level;

/// Sends the log to stderr. On a terminal it is coloured, unless `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn log_to_stderr(verbosity: u8) {
    let level = [Level::WARN, Level::DEBUG, Level::TRACE][usize::from(verbosity.min(2))];
    let has_colour = allows_colour() && io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(has_colour)
        .with_target(false)
        .with_writer(move || LogLine { has_colour })
        .log_internal_errors(false)
        .init();
}

/// Returns the exit status of a command: 0 for true, 1 for false, 2 for an error. Also prints the error and its causes
/// in one line on stderr.
pub(crate) fn exit_status(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            print_error(format_args!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// The options of a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportOptions {
    pub(crate) format: Format,
    /// Omit the individual exchanges.
    pub(crate) quiet: bool,
    /// Show a progress bar if the format is text and stderr is a terminal.
    pub(crate) progress_bar: bool,
}

/// Creates a report on standard output.
pub(crate) fn report(options: ReportOptions) -> Box<dyn Report> {
    let ReportOptions { format, quiet, progress_bar } = options;
    let out = stdout();
    let report: Box<dyn Report> = match format {
        Format::Text => {
            let config = TextConfig { quiet, ..text_config() };
            let text = Text::new(out, stderr(), config);
            if progress_bar && io::stderr().is_terminal() {
                Box::new(WithProgressBar::new(text, config.charset))
            } else {
                Box::new(text)
            }
        }
        Format::Json => {
            Box::new(Json::new(out, JsonConfig { quiet, invocation: Some(invocation()) }))
        }
        Format::Csv => Box::new(Csv::new(out)),
    };
    Box::new(WithInterimFigures::new(report))
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
