//! Runs the selected command: arguments become a plan, the plan goes to the library, and the library's events
//! go to a report.

use crate::cli::{
    CompareArgs, DiagnoseArgs, ExchangeArgs, Format, GeneralCommand, OneMessage, SelectedCommand,
};
use crate::process::{ReportOptions, interrupt_flag, report, stop_on_interrupt};
use crate::{lab, prompt};
use anyhow::Result;
use rtt_client::{Plan, Protocol, compare, diagnose};

/// Runs `command`. Returns whether every exchange had a correct reply (`diagnose`: whether a server answers).
pub(crate) fn run(command: &SelectedCommand) -> Result<bool> {
    match command {
        SelectedCommand::Exchanges(protocol, args) => exchanges(protocol, args),
        SelectedCommand::General(GeneralCommand::Compare(args)) => comparison(args),
        SelectedCommand::General(GeneralCommand::Diagnose(args)) => diagnosis(args),
        SelectedCommand::General(GeneralCommand::Trace(args)) => lab::trace(args),
    }
}

/// One exchange or a series over one protocol.
fn exchanges(protocol: &'static Protocol, args: &ExchangeArgs) -> Result<bool> {
    let plan = |message| Plan::new(protocol, args.target.clone(), args.settings(message));
    let (message, stop) = match args.one_message() {
        OneMessage::Given(message) => (Some(message), interrupt_flag()),
        OneMessage::FromStdin => {
            // Check the other arguments first: the user must not type a message that cannot be sent.
            plan(Some(b"x".to_vec()))?;
            (Some(prompt::read_message()?), interrupt_flag())
        }
        OneMessage::Series(message) => (message, stop_on_interrupt()?),
    };
    let plan = plan(message)?;
    let options = ReportOptions {
        format: args.format,
        quiet: args.measure.quiet,
        // The lines of the exchanges show the progress, unless they are not printed.
        progress_bar: args.measure.quiet,
    };
    let summary = rtt_client::run(&plan, report(options).as_mut(), stop)?;
    Ok(summary.all_answered())
}

/// A comparison of two targets.
fn comparison(args: &CompareArgs) -> Result<bool> {
    let plan = args.plan()?;
    let stop = stop_on_interrupt()?;
    let options =
        ReportOptions { format: args.format, quiet: args.measure.quiet, progress_bar: true };
    let verdict = compare(&plan, report(options).as_mut(), stop)?;
    if matches!(args.format, Format::Csv) && verdict.difference.is_none() {
        // CSV has no field for the reason why the table is empty.
        eprintln!("rtt-client: {}", verdict.sentence);
    }
    Ok(verdict.all_answered)
}

/// A diagnosis of one target.
fn diagnosis(args: &DiagnoseArgs) -> Result<bool> {
    let plan = args.plan()?;
    let options = ReportOptions { format: args.format.into(), quiet: false, progress_bar: false };
    Ok(diagnose(&plan, report(options).as_mut())?)
}
