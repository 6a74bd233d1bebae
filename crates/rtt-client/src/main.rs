//! `rtt-client`: parse, log, plan, run, exit.

mod cli;
mod message;
mod start;

use cli::{Asked, ExchangeArgs, Format, How};
use rtt_client::report::{Csv, Json, Text, TextConfig};
use rtt_client::{Plan, Protocol, Report, compare};
use start::{log_to_stderr, stop_on_ctrl_c};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = match cli::parse() {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    log_to_stderr(asked.how().verbose);
    let done = match &asked {
        Asked::Exchanges(protocol, args) => exchanges(protocol, args),
        Asked::Comparison(args) => args.contest().map_err(Into::into).and_then(|contest| {
            let stop = stop_on_ctrl_c()?;
            Ok(compare(&contest, report(&args.how, true).as_mut(), stop)?.all_answered)
        }),
    };
    start::status(done)
}

/// Measures; returns whether every exchange was answered.
fn exchanges(protocol: &'static Protocol, args: &ExchangeArgs) -> anyhow::Result<bool> {
    let plan = |message| Plan::new(protocol, args.target.clone(), args.settings(message));
    let mut message = args.message.clone().map(String::into_bytes);
    if message.is_none() && args.is_one_message() {
        // Nobody is asked for a message that could not be sent.
        plan(Some(b"x".to_vec()))?;
        message = Some(message::read()?);
    }
    let plan = plan(message)?;
    let stop = if args.is_one_message() { start::never() } else { stop_on_ctrl_c()? };
    Ok(rtt_client::run(&plan, report(&args.how, args.how.quiet).as_mut(), stop)?.all_answered())
}

/// The report that is asked for; a bar shows progress where there is a terminal, and `bar`.
fn report(how: &How, bar: bool) -> Box<dyn Report> {
    let out = start::stdout();
    let text = TextConfig { quiet: how.quiet, progress: bar && io::stderr().is_terminal() };
    match how.format {
        Format::Text => Box::new(Text::new(out, io::stderr(), text)),
        Format::Json => Box::new(Json::new(out, how.quiet)),
        Format::Csv => Box::new(Csv::new(out)),
    }
}
