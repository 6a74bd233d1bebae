//! Runs the selected command: creates a plan from the arguments, and passes the plan and a report to the library.

use crate::cli::{
    CompareArgs, DiagnoseArgs, ExchangeArgs, Format, GeneralCommand, OneMessage, ProtocolsArgs,
    SelectedCommand,
};
use crate::output::print_error;
use crate::process::{ReportOptions, report};
use crate::signals::{is_interrupted, print_figures_on_request, stop_on_interrupt};
use crate::{interim, lab, prompt};
use anyhow::{Context as _, Result};
use rtt_client::{Plan, Protocol, compare, diagnose, list_protocols};

/// Runs `command`. Returns whether every exchange had a correct reply (`diagnose`: whether a server answers).
pub(crate) fn run(command: &SelectedCommand) -> Result<bool> {
    match command {
        SelectedCommand::Exchanges(protocol, args) => exchanges(protocol, args),
        SelectedCommand::General(GeneralCommand::Compare(args)) => comparison(args),
        SelectedCommand::General(GeneralCommand::Diagnose(args)) => diagnosis(args),
        SelectedCommand::General(GeneralCommand::Trace(args)) => lab::trace(args),
        SelectedCommand::General(GeneralCommand::Protocols(args)) => protocols(args),
    }
}

/// One exchange or a series over one protocol.
fn exchanges(protocol: &'static Protocol, args: &ExchangeArgs) -> Result<bool> {
    let plan = |message| Plan::new(protocol, args.target.clone(), args.settings(message));
    let selected = args.one_message();
    // In a series, the lines of the exchanges show the progress. With `--quiet`, the bar replaces them.
    let progress_bar = args.quiet && matches!(selected, OneMessage::Series(_));
    print_figures_on_request()?;
    let message = match selected {
        OneMessage::Given(message) => Some(message),
        OneMessage::FromStdin => {
            // Check the other arguments before the user types a message.
            plan(Some(b"x".to_vec()))?;
            let message = prompt::read_message().context("cannot read the message")?;
            Some(message)
        }
        OneMessage::Series(message) => message,
    };
    let plan = plan(message)?;
    // While the client reads the message, Ctrl-C ends the process immediately.
    let stop = stop_on_interrupt()?;
    let options = ReportOptions { format: args.format, quiet: args.quiet, progress_bar };
    let summary = rtt_client::run(&plan, report(options).as_mut(), stop)?;
    Ok(summary.all_answered())
}

/// A comparison of two targets.
fn comparison(args: &CompareArgs) -> Result<bool> {
    let plan = args.plan()?;
    print_figures_on_request()?;
    let stop = stop_on_interrupt()?;
    let options = ReportOptions { format: args.format, quiet: args.quiet, progress_bar: true };
    let verdict = compare(&plan, report(options).as_mut(), stop)?;
    if matches!(args.format, Format::Csv) && verdict.difference.is_none() {
        // A CSV table without rows cannot contain the reason.
        print_error(&verdict.sentence);
    }
    Ok(verdict.all_answered)
}

/// A diagnosis of one target.
fn diagnosis(args: &DiagnoseArgs) -> Result<bool> {
    let plan = args.plan()?;
    interim::set_state("no probe has a result");
    print_figures_on_request()?;
    let stop = stop_on_interrupt()?;
    let options = ReportOptions { format: args.format.into(), quiet: false, progress_bar: false };
    let is_answering = diagnose(&plan, report(options).as_mut(), stop)?;
    if is_interrupted() {
        print_error("interrupted: probes without a result have no finding");
    }
    Ok(is_answering)
}

/// The facts about all protocols.
fn protocols(args: &ProtocolsArgs) -> Result<bool> {
    let options = ReportOptions { format: args.format.into(), quiet: false, progress_bar: false };
    list_protocols(report(options).as_mut())?;
    Ok(true)
}
