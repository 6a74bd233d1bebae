//! `rtt-client`: parse, log, plan, run, exit.

mod cli;
mod message;
mod start;

use cli::{ExchangeArgs, Format};
use rtt_client::report::{Csv, Json, Text, TextConfig};
use rtt_client::{Plan, Protocol, Report, RunError};
use start::{log_to_stderr, stop_on_ctrl_c};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (protocol, args) = match cli::parse() {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    log_to_stderr(args.verbose);
    match run(protocol, &args) {
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

/// Measures; returns whether every exchange was answered.
fn run(protocol: &'static Protocol, args: &ExchangeArgs) -> anyhow::Result<bool> {
    let plan = |message| Plan::new(protocol, args.target.clone(), args.settings(message));
    let given = args.message.clone().map(String::into_bytes);
    let mut message = given;
    if message.is_none() && args.is_one_message() {
        // Nobody is asked for a message that could not be sent.
        plan(Some(b"x".to_vec()))?;
        message = Some(message::read()?);
    }
    let plan = plan(message)?;
    let out = start::stdout();
    let progress = args.quiet && io::stderr().is_terminal();
    let text = TextConfig { quiet: args.quiet, progress };
    let mut report: Box<dyn Report> = match args.format {
        Format::Text => Box::new(Text::new(out, io::stderr(), text)),
        Format::Json => Box::new(Json::new(out, args.quiet)),
        Format::Csv => Box::new(Csv::new(out)),
    };
    let stop = if args.is_one_message() { start::never() } else { stop_on_ctrl_c()? };
    Ok(rtt_client::run(&plan, report.as_mut(), stop)?.all_answered())
}
