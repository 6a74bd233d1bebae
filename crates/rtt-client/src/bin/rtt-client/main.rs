//! `rtt-client`: parse, log, plan, run, exit.

mod cli;
mod lab;
mod process;
mod prompt;
mod terminal;

use cli::{ExchangeArgs, SelectedCommand};
use process::{log_to_stderr, report, stop_on_ctrl_c};
use rtt_client::{Plan, Protocol, compare, diagnose};
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = match cli::parse() {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    log_to_stderr(asked.verbose());
    let done = match &asked {
        SelectedCommand::Exchanges(protocol, args) => exchanges(protocol, args),
        SelectedCommand::Comparison(args) => {
            args.comparison().map_err(Into::into).and_then(|comparison| {
                let stop = stop_on_ctrl_c()?;
                let mut report = report(args.measure.format, args.measure.quiet, true);
                let verdict = compare(&comparison, report.as_mut(), stop)?;
                process::report_missing_table(args.measure.format, &verdict);
                Ok(verdict.all_answered)
            })
        }
        SelectedCommand::Diagnosis(args) => {
            args.diagnosis().map_err(Into::into).and_then(|diagnosis| {
                Ok(diagnose(&diagnosis, report(args.format, false, false).as_mut())?)
            })
        }
        SelectedCommand::Trace(args) => lab::trace(args),
    };
    process::status(done)
}

/// Measures; returns whether every exchange was answered.
fn exchanges(protocol: &'static Protocol, args: &ExchangeArgs) -> anyhow::Result<bool> {
    let plan = |message| Plan::new(protocol, args.target.clone(), args.settings(message));
    let mut message = args.message.clone().map(String::into_bytes);
    if message.is_none() && args.is_one_message() {
        // Nobody is asked for a message that could not be sent.
        plan(Some(b"x".to_vec()))?;
        message = Some(prompt::read()?);
    }
    let plan = plan(message)?;
    let stop = if args.is_one_message() { process::never() } else { stop_on_ctrl_c()? };
    Ok(rtt_client::run(
        &plan,
        report(args.measure.format, args.measure.quiet, args.measure.quiet).as_mut(),
        stop,
    )?
    .all_answered())
}
