//! `rtt-client`: parse, log, plan, run, exit.

mod cli;
mod lab;
mod message;
mod start;

use cli::{Asked, ExchangeArgs};
use rtt_client::{Plan, Protocol, compare, diagnose};
use start::{log_to_stderr, report, stop_on_ctrl_c};
use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = match cli::parse() {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    log_to_stderr(asked.verbose());
    let done = match &asked {
        Asked::Exchanges(protocol, args) => exchanges(protocol, args),
        Asked::Comparison(args) => args.contest().map_err(Into::into).and_then(|contest| {
            let stop = stop_on_ctrl_c()?;
            let mut report = report(args.how.format, args.how.quiet, true);
            let verdict = compare(&contest, report.as_mut(), stop)?;
            start::complain_in(args.how.format, &verdict);
            Ok(verdict.all_answered)
        }),
        Asked::Diagnosis(args) => args.diagnosis().map_err(Into::into).and_then(|diagnosis| {
            Ok(diagnose(&diagnosis, report(args.format, false, false).as_mut())?)
        }),
        Asked::Trace(args) => lab::trace(args),
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
    Ok(rtt_client::run(
        &plan,
        report(args.how.format, args.how.quiet, args.how.quiet).as_mut(),
        stop,
    )?
    .all_answered())
}
