//! The command line of `rtt-client`: what can be asked for, and how a mistake in it is told.
//!
//! The protocols' commands are made from their registry, so that a new one needs no line here.

use clap::{ArgAction, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use rtt_client::{Family, PROTOCOLS, Protocol, Target, protocol_named};
use std::{process::ExitCode, time::Duration};

/// Measures the application-level round-trip time (RTT) to an echo server.
///
/// Exit status: 0 every exchange was answered, 1 measured, but not so, 2 could not run as asked.
#[derive(Debug, Parser)]
#[command(
    name = "rtt-client",
    version,
    max_term_width = 80,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {}

/// What one exchange can be asked for.
#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// Where the server is: host, host:port, [IPv6]:port, or a URL like udp://host:port
    #[arg(default_value = "127.0.0.1")]
    pub(crate) target: Target,

    /// What to send; without it a line of standard input
    pub(crate) message: Option<String>,

    /// How long to wait for a name, a connection, a reply: each at most that (seconds, or with a
    /// unit: 500ms)
    #[arg(short = 'W', long, value_name = "DUR", default_value = "2s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Use IPv4 alone
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 alone
    #[arg(short = '6')]
    ipv6: bool,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Log what is done, on stderr; twice for more
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The ways to write results.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Text,
    /// JSON Lines: one event a line
    Json,
}

impl ExchangeArgs {
    pub(crate) fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }
}

/// The command line: which protocol, and what of it. On `Err` all is said, and the status is left.
pub(crate) fn parse() -> Result<(&'static Protocol, ExchangeArgs), ExitCode> {
    let matches = command().try_get_matches().map_err(|error| tell(&error))?;
    let (name, matches) = matches.subcommand().expect("a command is required");
    let protocol = protocol_named(name).expect("every command is a protocol's");
    let args = ExchangeArgs::from_arg_matches(matches).map_err(|error| tell(&error))?;
    Ok((protocol, args))
}

fn command() -> Command {
    let protocols = PROTOCOLS.iter().map(|protocol| {
        let about = format!("{} (port {} unless given)", protocol.about, protocol.default_port);
        ExchangeArgs::augment_args(Command::new(protocol.name)).about(about).max_term_width(80)
    });
    Cli::command().subcommands(protocols)
}

/// Prints help where it was asked for; else what is wrong, in one line.
fn tell(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to tell when stdout is closed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    // Clap's first paragraph says what is wrong and where; the rest is a reminder of usage.
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let what: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    eprintln!("rtt-client: {} (see --help)", what.join(" "));
    ExitCode::from(2)
}

/// Seconds as a number, as `ping` takes them, or a number with a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let told = || "not a duration: try 2, 0.5, 2s, 500ms or 100us".to_owned();
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| told()),
        Err(_) => humantime::parse_duration(text).map_err(|_| told()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("100us"), Ok(Duration::from_micros(100)));
        for text in ["", "-1", "nan", "1e300", "soon", "5 parsecs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
