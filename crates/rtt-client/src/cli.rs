//! The command line of `rtt-client`: what can be asked for, and how a mistake in it is told.
//!
//! The protocols' commands are made from their registry, so that a new one needs no line here.

use clap::{ArgAction, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use rtt_client::{
    Content, Family, Lifetime, PROTOCOLS, Protocol, Settings, Target, protocol_named,
};
use std::net::IpAddr;
use std::{process::ExitCode, time::Duration};

/// How far requests of a series are apart where nothing is said, as with `ping`.
const USUAL_INTERVAL: Duration = Duration::from_secs(1);

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

/// What a protocol's command can be asked for.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "a switch of the command line is one")]
pub(crate) struct ExchangeArgs {
    /// Where the server is: host, host:port, [IPv6]:port, or a URL like udp://host:port
    #[arg(default_value = "127.0.0.1")]
    pub(crate) target: Target,

    /// What to send; without it, and with one exchange, a line of standard input
    pub(crate) message: Option<String>,

    /// Make so many exchanges
    #[arg(short, long, value_name = "N", help_heading = "Series")]
    count: Option<u64>,

    /// Send the next request so long after the last; 0: as soon as the reply is in [default: 1s]
    #[arg(short, long, value_name = "DUR", value_parser = duration, help_heading = "Series")]
    interval: Option<Duration>,

    /// Send so many requests a second, on a schedule that does not wait for replies
    #[arg(long, value_name = "HZ", conflicts_with = "interval", help_heading = "Series")]
    rate: Option<f64>,

    /// Go on for so long
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Series")]
    duration: Option<Duration>,

    /// Send requests of so many bytes
    #[arg(short, long, value_name = "BYTES", conflicts_with = "message", help_heading = "Series")]
    size: Option<usize>,

    /// How long a connection lasts, over TCP
    #[arg(long, value_enum, default_value = "keep", help_heading = "Series")]
    connection: Connections,

    /// Split the RTT into its parts with the kernel's stamps, and say what that costs (Linux)
    #[arg(long)]
    breakdown: bool,

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

    /// Use IPv4 alone
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 alone
    #[arg(short = '6')]
    ipv6: bool,

    /// Send from this address
    #[arg(short = 'B', long, value_name = "ADDR")]
    bind: Option<IpAddr>,

    /// Print no line for each exchange of a series
    #[arg(short, long)]
    pub(crate) quiet: bool,

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
    /// A header, then a row an exchange
    Csv,
}

/// How long a connection lasts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Connections {
    /// One for the run, opened anew where the server closes it
    Keep,
    /// One an exchange
    Each,
}

impl ExchangeArgs {
    /// Whether one message is to be exchanged, and not a series run.
    pub(crate) fn is_one_message(&self) -> bool {
        self.count.is_none_or(|count| count == 1)
            && self.interval.is_none()
            && self.rate.is_none()
            && self.duration.is_none()
            && self.size.is_none()
    }

    /// What is asked for, `message` being what was given here or elsewhere.
    pub(crate) fn settings(&self, message: Option<Vec<u8>>) -> Settings {
        let one = self.is_one_message();
        let content = match (message, one) {
            (Some(message), true) => Content::Message(message.into()),
            (Some(message), false) => Content::Numbered(message.into()),
            (None, _) => Content::Sized(self.size),
        };
        let endless = self.interval.is_some() || self.rate.is_some() || self.duration.is_some();
        Settings {
            family: match (self.ipv4, self.ipv6) {
                (true, _) => Some(Family::V4),
                (_, true) => Some(Family::V6),
                _ => None,
            },
            bind: self.bind,
            timeout: self.timeout,
            content,
            count: self.count.or((!endless).then_some(1)),
            duration: self.duration,
            interval: self.interval.unwrap_or(USUAL_INTERVAL),
            rate: self.rate,
            lifetime: match self.connection {
                Connections::Keep => Lifetime::Keep,
                Connections::Each => Lifetime::Each,
            },
            breakdown: self.breakdown,
            pin: self.pin,
            spin: self.spin,
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
