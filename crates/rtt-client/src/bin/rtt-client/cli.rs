//! The command line of `rtt-client`.
//!
//! Each protocol in the registry has a command. A new protocol needs no change in this file.

mod compare;
mod diagnose;
mod exchange;
mod improvements;
mod message;
mod protocols;
mod request;
mod services;
mod trace;

pub(crate) use compare::CompareArgs;
pub(crate) use diagnose::DiagnoseArgs;
pub(crate) use exchange::{ExchangeArgs, OneMessage};
pub(crate) use protocols::ProtocolsArgs;
pub(crate) use request::RequestArgs;
pub(crate) use trace::TraceArgs;

use clap::{
    ArgAction, ArgMatches, Args, Command, CommandFactory as _, FromArgMatches, Parser, Subcommand,
    ValueEnum,
};
use rtt_client::{
    DEFAULT_TIMEOUT, EchoForm, Family, PROTOCOLS, Protocol, Settings, local_address,
    protocol_named, protocols_with_servers,
};
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// Width of the help text, in columns.
const HELP_WIDTH: usize = 80;

/// The exit status of every command except `diagnose`.
const EXIT_STATUS: &str = "Exit status: 0 if every request had a correct reply, 1 if any request had no correct \
                           reply, 2 if the command could not run as requested";

/// The exit status of all commands.
const EXIT_STATUS_OF_ALL: &str = "Exit status: 0 if every request had a correct reply (diagnose: if the expected server \
                                  answers), 1 if not, 2 if the command could not run as requested";

/// The signals of all commands.
const SIGNALS: &str = "Signals: Ctrl-C (SIGINT) or SIGTERM ends a run with its summary, and a second one ends the \
                       process immediately. SIGQUIT (Ctrl-\\) or SIGUSR1 prints the figures so far, and the run \
                       continues";

/// Measure the application-level round-trip time (RTT) to a host, and explain it
#[derive(Debug, Parser)]
#[command(name = "rtt-client", version, arg_required_else_help = true, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: SelectedCommand,
}

/// The text after the list of all commands.
fn after_help() -> String {
    format!("{}\n\n{SIGNALS}\n\n{EXIT_STATUS_OF_ALL}", request::examples())
}

/// The selected command.
#[derive(Debug)]
pub(crate) enum SelectedCommand {
    /// One exchange or a series over a protocol.
    Exchanges(&'static Protocol, ExchangeArgs),
    /// A command that is not specific to one protocol.
    General(GeneralCommand),
}

/// The commands that are not specific to one protocol.
#[derive(Debug, Subcommand)]
pub(crate) enum GeneralCommand {
    Compare(CompareArgs),
    Diagnose(DiagnoseArgs),
    Trace(TraceArgs),
    Protocols(ProtocolsArgs),
}

impl SelectedCommand {
    /// The number of `-v` options.
    pub(crate) fn verbosity(&self) -> u8 {
        match self {
            Self::Exchanges(_, args) => args.measure.log.verbose,
            Self::General(GeneralCommand::Compare(args)) => args.measure.log.verbose,
            Self::General(GeneralCommand::Diagnose(args)) => args.log.verbose,
            Self::General(GeneralCommand::Trace(args)) => args.measure.log.verbose,
            Self::General(GeneralCommand::Protocols(_)) => 0,
        }
    }
}

impl Subcommand for SelectedCommand {
    fn augment_subcommands(command: Command) -> Command {
        let protocols = PROTOCOLS.iter().map(|protocol| {
            let command = exchange::command(protocol);
            match protocol.default_port {
                Some(port) => command.about(format!("{} (default port {port})", protocol.about)),
                None => command.about(protocol.about),
            }
        });
        GeneralCommand::augment_subcommands(command.subcommands(protocols))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        protocol_named(name).is_some() || GeneralCommand::has_subcommand(name)
    }
}

impl FromArgMatches for SelectedCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if let Some((name, matches)) = matches.subcommand()
            && let Some(protocol) = protocol_named(name)
        {
            return Ok(Self::Exchanges(protocol, ExchangeArgs::from_arg_matches(matches)?));
        }
        GeneralCommand::from_arg_matches(matches).map(Self::General)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Options of every command that measures.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// Run on this CPU only
    #[arg(long, value_name = "CPU", value_parser = whole_number::<usize>)]
    pin: Option<usize>,

    /// Busy-poll for the reply instead of sleeping (uses one full CPU)
    #[arg(long)]
    spin: bool,

    #[arg(short = 'W', long, value_name = "DUR", value_parser = duration, help = format!(
        "Timeout for each step: name look-up, connection, reply (seconds, or with a unit: 500ms) \
         [default: {}]",
        humantime::format_duration(DEFAULT_TIMEOUT)
    ))]
    timeout: Option<Duration>,

    #[command(flatten)]
    echo: EchoArgs,

    #[command(flatten)]
    addresses: AddressArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

impl MeasureArgs {
    /// Returns the settings of one exchange with an empty message.
    fn settings(&self) -> Settings {
        Settings {
            family: self.addresses.family(),
            bind: self.addresses.bind,
            ttl: self.addresses.ttl,
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
            echo: self.echo.form(),
            pin: self.pin,
            spin: self.spin,
            ..Settings::one("")
        }
    }
}

/// The option of the correct reply.
#[derive(Debug, Args)]
struct EchoArgs {
    /// Correct reply of an echo server: the request in upper case (upper), the unchanged request (same), or either
    /// of them (auto). With auto, the first reply selects the form for the whole run
    #[arg(long, value_enum, value_name = "FORM", default_value = "auto")]
    echo: EchoArg,
}

/// The correct reply of an echo server.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum EchoArg {
    /// Upper case or unchanged: the first reply selects the form
    Auto,
    /// The request in upper case
    Upper,
    /// The unchanged request (RFC 862)
    Same,
}

impl EchoArgs {
    fn form(&self) -> EchoForm {
        match self.echo {
            EchoArg::Auto => EchoForm::Auto,
            EchoArg::Upper => EchoForm::Upper,
            EchoArg::Same => EchoForm::Same,
        }
    }
}

/// Options of the addresses and the sockets.
#[derive(Debug, Args)]
struct AddressArgs {
    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6')]
    ipv6: bool,

    /// Local address to send from, optionally with a port
    #[arg(short = 'B', long, value_name = "ADDR", value_parser = local_address)]
    bind: Option<SocketAddr>,

    /// Hop limit (TTL) of sent packets, from 1 to 255 [default: the system's value]
    #[arg(long, value_name = "N", value_parser = hop_limit)]
    ttl: Option<NonZeroU8>,
}

impl AddressArgs {
    /// The selected version of IP, if any.
    fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }
}

/// The log option.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Log name look-ups, sockets and addresses to stderr; -vv also logs each exchange
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Output formats of commands whose result can be a table.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Text,
    /// JSON Lines: one event on each line
    Json,
    /// CSV: a header, then one row for each exchange or pair
    Csv,
}

/// Output formats of commands whose result is never a table.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EventFormat {
    /// Text for people
    Text,
    /// JSON Lines: one event on each line
    Json,
}

impl From<EventFormat> for Format {
    fn from(format: EventFormat) -> Self {
        match format {
            EventFormat::Text => Self::Text,
            EventFormat::Json => Self::Json,
        }
    }
}

/// Parses the command line. If there is nothing to run, prints clap's message or the help, and returns the exit
/// status as `Err`.
pub(crate) fn parse() -> Result<SelectedCommand, ExitCode> {
    let parsed = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(cli.command),
        Err(message) => Err(message::print(&improvements::improved(message))),
    }
}

fn command() -> Command {
    let width = |command: Command| command.max_term_width(HELP_WIDTH);
    width(Cli::command()).mut_subcommands(width)
}

/// The titles of the protocols with a server program, as a list: `A and B`.
fn titles_with_servers() -> String {
    let titles: Vec<&str> = protocols_with_servers().map(|protocol| protocol.title).collect();
    match &titles[..] {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        titles => titles.concat(),
    }
}

/// Parses a duration: a number of seconds, as for `ping`, or a number with a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let error = || "not a duration; valid examples: 2, 0.5, 2s, 500ms, 100us".to_owned();
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| error()),
        Err(_) => humantime::parse_duration(text).map_err(|_| error()),
    }
}

/// Parses a whole number.
fn whole_number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let error = if is_number { "the number is too large" } else { "expected a whole number" };
        error.to_owned()
    })
}

/// Parses a number with or without decimals.
fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number, for example 10 or 0.5".to_owned())
}

/// Parses a hop limit.
fn hop_limit(text: &str) -> Result<NonZeroU8, String> {
    text.parse().map_err(|_| format!("expected a whole number from 1 to {}", u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_of_the_command_line_is_valid() {
        command().debug_assert();
    }

    #[test]
    fn numbers_have_messages_for_people() {
        assert_eq!(whole_number::<u64>("7"), Ok(7));
        for text in ["abc", "", "1.5", "-1"] {
            assert_eq!(whole_number::<u64>(text), Err("expected a whole number".to_owned()));
        }
        let too_large = whole_number::<u64>("99999999999999999999").unwrap_err();
        assert_eq!(too_large, "the number is too large");
        assert_eq!(number("0.5"), Ok(0.5));
        assert!(number("fast").unwrap_err().starts_with("expected a number"));
        assert_eq!(hop_limit("255").map(NonZeroU8::get), Ok(255));
        for text in ["0", "256", "far"] {
            assert_eq!(hop_limit(text).unwrap_err(), "expected a whole number from 1 to 255");
        }
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
