//! The command line of `rtt-client`: what can be asked for, and how a mistake in it is told.
//!
//! The protocols' commands are made from their registry, so that a new one needs no line here.

mod compare;
mod diagnose;
mod exchange;
mod trace;

pub(crate) use compare::CompareArgs;
pub(crate) use diagnose::DiagnoseArgs;
pub(crate) use exchange::ExchangeArgs;
pub(crate) use trace::TraceArgs;

use clap::{ArgAction, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use rtt_client::{Family, PROTOCOLS, Protocol, Settings, local_address, protocol_named};
use std::net::SocketAddr;
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

/// What every command that measures can be asked for.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// Stay on this CPU
    #[arg(long, value_name = "CPU")]
    pin: Option<usize>,

    /// Ask again and again instead of sleeping until the reply is there
    #[arg(long)]
    spin: bool,

    /// How long to wait for a name, a connection, a reply: each at most that (seconds, or with a
    /// unit: 500ms)
    #[arg(short = 'W', long, value_name = "DUR", default_value = "2s", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    addresses: Addresses,

    /// Print no line for each exchange of a series; in JSON, none for each pair
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Log what is done, on stderr; twice for more
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl MeasureArgs {
    /// One exchange of nothing, as asked for here.
    fn settings(&self) -> Settings {
        Settings {
            family: self.addresses.family(),
            bind: self.addresses.bind,
            timeout: self.timeout,
            pin: self.pin,
            spin: self.spin,
            ..Settings::one("")
        }
    }
}

/// Which addresses may be used.
#[derive(Debug, Args)]
struct Addresses {
    /// Use IPv4 alone
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 alone
    #[arg(short = '6')]
    ipv6: bool,

    /// Send from this address
    #[arg(short = 'B', long, value_name = "ADDR", value_parser = local_address)]
    bind: Option<SocketAddr>,
}

impl Addresses {
    /// The version of IP that is asked for.
    fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }
}

/// The ways to write results.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Text,
    /// JSON Lines: one event a line
    Json,
    /// A header, then a row an exchange or a pair
    Csv,
}

/// What was asked for.
pub(crate) enum SelectedCommand {
    /// One exchange or a series over a protocol.
    Exchanges(&'static Protocol, ExchangeArgs),
    /// A comparison.
    Comparison(CompareArgs),
    /// A diagnosis.
    Diagnosis(DiagnoseArgs),
    /// A trace.
    Trace(TraceArgs),
}

impl SelectedCommand {
    /// Whether a table is asked for of what is none.
    fn has_no_table(&self) -> bool {
        let format = match self {
            Self::Diagnosis(args) => args.format,
            Self::Trace(args) => args.measure.format,
            Self::Exchanges(..) | Self::Comparison(_) => return false,
        };
        matches!(format, Format::Csv)
    }

    /// How much of it is to be logged.
    pub(crate) fn verbose(&self) -> u8 {
        match self {
            Self::Exchanges(_, args) => args.measure.verbose,
            Self::Comparison(args) => args.measure.verbose,
            Self::Diagnosis(args) => args.verbose,
            Self::Trace(args) => args.measure.verbose,
        }
    }
}

/// The command line. On `Err` all is said, and the status is left.
pub(crate) fn parse() -> Result<SelectedCommand, ExitCode> {
    let matches = command().try_get_matches().map_err(|error| tell(&error))?;
    let (name, matches) = matches.subcommand().expect("a command is required");
    let asked = match protocol_named(name) {
        Some(protocol) => ExchangeArgs::from_arg_matches(matches)
            .map(|args| SelectedCommand::Exchanges(protocol, args)),
        None if name == DIAGNOSE => {
            DiagnoseArgs::from_arg_matches(matches).map(SelectedCommand::Diagnosis)
        }
        None if name == TRACE => TraceArgs::from_arg_matches(matches).map(SelectedCommand::Trace),
        None => CompareArgs::from_arg_matches(matches).map(SelectedCommand::Comparison),
    };
    let asked = asked.map_err(|error| tell(&error))?;
    if asked.has_no_table() {
        eprintln!("rtt-client: --format csv is for exchanges and pairs; try json (see --help)");
        return Err(ExitCode::from(2));
    }
    Ok(asked)
}

/// The commands that are no protocol's.
const COMPARE: &str = "compare";
const DIAGNOSE: &str = "diagnose";
const TRACE: &str = "trace";

fn command() -> Command {
    let protocols = PROTOCOLS.iter().map(|protocol| {
        let about = format!("{} (port {} unless given)", protocol.about, protocol.default_port);
        ExchangeArgs::augment_args(Command::new(protocol.name)).about(about).max_term_width(80)
    });
    let compare = CompareArgs::augment_args(Command::new(COMPARE)).max_term_width(80);
    let diagnose = DiagnoseArgs::augment_args(Command::new(DIAGNOSE)).max_term_width(80);
    let trace = TraceArgs::augment_args(Command::new(TRACE)).max_term_width(80);
    Cli::command().subcommands(protocols).subcommands([compare, diagnose, trace])
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
