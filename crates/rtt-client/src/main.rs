//! `rtt-client`: parse, log, plan, run, exit.

mod cli;
mod message;

use cli::{ExchangeArgs, Format};
use rtt_client::report::{Json, Text};
use rtt_client::{Plan, Protocol, Report, RunError};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use tracing::Level;

fn main() -> ExitCode {
    let (protocol, args) = match cli::parse() {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    log_to_stderr(args.verbose);
    match run(protocol, args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Whoever closed stdout has seen enough.
            if !matches!(error.downcast_ref(), Some(RunError::Report(error)) if error.kind() == io::ErrorKind::BrokenPipe)
            {
                eprintln!("rtt-client: {error:#}");
            }
            ExitCode::from(2)
        }
    }
}

/// Measures; returns whether every exchange was answered.
fn run(protocol: &'static Protocol, args: ExchangeArgs) -> anyhow::Result<bool> {
    let family = args.family();
    let plan = |message| Plan::new(protocol, args.target.clone(), family, args.timeout, message);
    let plan = if let Some(message) = args.message {
        plan(message.into_bytes())?
    } else {
        // Nobody is asked for a message that could not be sent.
        plan(b"x".to_vec())?;
        plan(message::read()?)?
    };
    let mut report: Box<dyn Report> = match args.format {
        Format::Text => Box::new(Text::new(io::stdout().lock(), io::stderr().lock())),
        Format::Json => Box::new(Json::new(io::stdout().lock())),
    };
    Ok(rtt_client::run(&plan, report.as_mut())?.all_answered())
}

fn log_to_stderr(verbose: u8) {
    let level = [Level::WARN, Level::DEBUG, Level::TRACE][usize::from(verbose.min(2))];
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colour && io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr)
        .init();
}
