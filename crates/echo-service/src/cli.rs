//! The part of the command line that every server has, and how a mistake in it is told.

use clap::{Args, Parser};
use std::{net::SocketAddr, process::ExitCode};

/// What every server can be asked for.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Where to listen; repeat it for several addresses. An IPv6 wildcard takes IPv6 alone. Without
    /// it: both loopback addresses, which no other host can reach
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<SocketAddr>,

    /// Log each message as it is answered, with control characters escaped
    #[arg(long)]
    pub show_messages: bool,

    /// Log more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The command line, parsed.
///
/// # Errors
///
/// The status to exit with, when there is nothing left to do: help was asked for and printed, or a
/// mistake was told in one line on stderr.
pub fn parse<Cli: Parser>() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        if error.use_stderr() {
            // Clap's first paragraph says what is wrong and where; the rest is a reminder of usage.
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let what: Vec<_> =
                text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            eprintln!("{}: {} (see --help)", Cli::command().get_name(), what.join(" "));
            ExitCode::from(2)
        } else {
            // Nobody is left to tell when stdout is closed.
            let _ = error.print();
            ExitCode::SUCCESS
        }
    })
}
