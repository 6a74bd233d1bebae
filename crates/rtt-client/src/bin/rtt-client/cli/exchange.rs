//! The command of each protocol, and its arguments.

use super::{EXIT_STATUS, Format, MeasureArgs, RequestArgs, duration, number, whole_number};
use clap::{Args, Command, ValueEnum};
use rtt_client::{
    Content, DEFAULT_HOST, DEFAULT_REQUEST_LEN, Lifetime, Protocol, Settings, Target,
};
use std::time::Duration;

/// The default interval of a series. `ping` has the same default.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The arguments that need a server program.
const SERVER_PROGRAM_ARGS: [&str; 7] =
    ["echo", "service", "send", "send_file", "expect_prefix", "reply_ends", "reply_bytes"];

/// Arguments of the command of a protocol.
#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// Server to measure. [`command`] replaces this help text
    #[arg(index = 1, default_value = DEFAULT_HOST)]
    pub(crate) target: Target,

    /// Message to send. Without a message and without series options, the client reads one line of standard
    /// input. On a terminal, it prompts for the line. In a series, each request contains its number and a token before the
    /// message
    #[arg(index = 2, conflicts_with_all = ["service", "send", "send_file", "connect_only"])]
    message: Option<String>,

    /// Number of exchanges [default: no limit with --interval, --rate or --duration; otherwise 1]
    #[arg(short, long, value_name = "N", value_parser = whole_number::<u64>, help_heading = "Series")]
    count: Option<u64>,

    #[arg(short, long, value_name = "DUR", value_parser = duration, help_heading = "Series",
        help = format!(
            "Time from one request to the next. With 0, each request is sent immediately after the reply to the \
             previous one [default: {}]",
            humantime::format_duration(DEFAULT_INTERVAL)
        ))]
    interval: Option<Duration>,

    /// Number of requests per second. The client sends them on a fixed schedule and does not wait for replies
    #[arg(long, value_name = "HZ", value_parser = number, conflicts_with = "interval", help_heading = "Series")]
    rate: Option<f64>,

    /// Stop sending requests after this time
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Series")]
    duration: Option<Duration>,

    #[arg(short, long, value_name = "BYTES", value_parser = whole_number::<usize>, help_heading = "Series",
        conflicts_with_all = ["message", "service", "send", "send_file", "connect_only"],
        help = format!("Size of each request in bytes, with its number and token [default: {DEFAULT_REQUEST_LEN}]"))]
    size: Option<usize>,

    /// Use one connection for the whole run (keep) or a new one for each exchange (each)
    #[arg(
        long,
        value_enum,
        default_value = "keep",
        help_heading = "Series",
        conflicts_with = "connect_only"
    )]
    connection: ConnectionArg,

    /// Continue if the server is absent or its name has no address: an error before the first reply does not end the series.
    /// The summary states when the outages started and ended
    #[arg(long, help_heading = "Series")]
    keep_going: bool,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// Use kernel timestamps to split each RTT into parts, and report the cost of the timestamps (Linux)
    #[arg(long)]
    breakdown: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Do not print the individual exchanges (JSON: no `exchange` events; CSV: no effect, because a row is an exchange)
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// Creates the command of a protocol, without its description.
pub(super) fn command(protocol: &Protocol) -> Command {
    let name = protocol.name;
    let target = if protocol.has_ports() {
        format!(
            "Server to measure: host, host:port, [IPv6]:port, or a URL such as {name}://host:port"
        )
    } else {
        format!("Host to measure: a name, an IP address, or a URL such as {name}://host")
    };
    ExchangeArgs::augment_args(Command::new(protocol.name))
        .mut_arg("target", |argument| argument.help(target))
        .mut_arg("bind", |argument| {
            if protocol.has_ports() {
                argument
            } else {
                argument.help("Local address to send from")
            }
        })
        .mut_arg("connection", |argument| argument.hide(!protocol.has_connections()))
        .mut_args(|argument| {
            let id = argument.get_id().as_str();
            let is_hidden = (SERVER_PROGRAM_ARGS.contains(&id) && !protocol.needs_server_program())
                || (id == "connect_only" && protocol.handshake.is_none());
            if is_hidden { argument.hide(true) } else { argument }
        })
        .after_help(EXIT_STATUS)
}

/// Lifetime of a connection.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ConnectionArg {
    /// One connection for the whole run, and a new one if the server closes it or it stops working
    Keep,
    /// A new connection for each exchange
    Each,
}

/// The choice between one exchange of one message and a series.
pub(crate) enum OneMessage {
    /// One exchange of this message.
    Given(Vec<u8>),
    /// One exchange of a message from standard input.
    FromStdin,
    /// A series. If there is a message, each request contains it.
    Series(Option<Vec<u8>>),
}

impl ExchangeArgs {
    /// Returns whether the arguments select one message or a series. A series never reads standard input.
    pub(crate) fn one_message(&self) -> OneMessage {
        let message = self.message.clone().map(String::into_bytes);
        match (message, self.count) {
            (Some(message), None | Some(1)) if !self.has_other_series_option() => {
                OneMessage::Given(message)
            }
            (None, None) if self.request.is_selected() => OneMessage::Series(None),
            (None, None) if !self.has_other_series_option() => OneMessage::FromStdin,
            (message, _) => OneMessage::Series(message),
        }
    }

    /// Returns the settings that the arguments select. `message` is the message of the user, from the command
    /// line or from standard input.
    pub(crate) fn settings(&self, message: Option<Vec<u8>>) -> Settings {
        let is_series = matches!(self.one_message(), OneMessage::Series(_));
        let content = match message {
            Some(message) if is_series => Content::Numbered(message.into()),
            Some(message) => Content::Message(message.into()),
            None => self.request.content().unwrap_or(Content::Sized(self.size)),
        };
        let is_endless = self.interval.is_some() || self.rate.is_some() || self.duration.is_some();
        Settings {
            content,
            count: self.count.or((!is_endless).then_some(1)),
            duration: self.duration,
            interval: self.interval.unwrap_or(DEFAULT_INTERVAL),
            rate: self.rate,
            lifetime: match self.connection {
                ConnectionArg::Keep => Lifetime::Keep,
                ConnectionArg::Each => Lifetime::Each,
            },
            keep_going: self.keep_going,
            breakdown: self.breakdown,
            locate_losses: true,
            ..self.measure.settings()
        }
    }

    /// Whether an option other than `--count` selects a series.
    fn has_other_series_option(&self) -> bool {
        self.interval.is_some()
            || self.rate.is_some()
            || self.duration.is_some()
            || self.size.is_some()
    }
}
