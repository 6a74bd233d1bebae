//! Arguments of the commands that measure over one protocol.

use super::{Format, MeasureArgs, duration};
use clap::{Args, ValueEnum};
use rtt_client::{Content, DEFAULT_REQUEST_LEN, Lifetime, Settings, Target};
use std::time::Duration;

/// The interval of a series if none is given. It is that of `ping`.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Arguments of a protocol's command.
#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// Server to measure: host, host:port, [IPv6]:port, or a URL such as udp://host:port
    #[arg(default_value = "127.0.0.1")]
    pub(crate) target: Target,

    /// Message to send. Without a message and without series options, the client reads one line of standard
    /// input; on a terminal, it prompts for the line
    message: Option<String>,

    /// Number of exchanges
    #[arg(short, long, value_name = "N", help_heading = "Series")]
    count: Option<u64>,

    #[arg(short, long, value_name = "DUR", value_parser = duration, help_heading = "Series",
        help = format!(
            "Time from one send to the next; 0 sends as soon as the reply arrives [default: {}]",
            humantime::format_duration(DEFAULT_INTERVAL)
        ))]
    interval: Option<Duration>,

    /// Requests per second, sent on a fixed schedule that does not wait for replies
    #[arg(long, value_name = "HZ", conflicts_with = "interval", help_heading = "Series")]
    rate: Option<f64>,

    /// Stop after this time
    #[arg(long, value_name = "DUR", value_parser = duration, help_heading = "Series")]
    duration: Option<Duration>,

    #[arg(short, long, value_name = "BYTES", conflicts_with = "message", help_heading = "Series",
        help = format!("Size of each request in bytes [default: {DEFAULT_REQUEST_LEN}]"))]
    size: Option<usize>,

    /// Lifetime of a connection, for protocols with connections
    #[arg(long, value_enum, default_value = "keep", help_heading = "Series")]
    connection: ConnectionArg,

    /// Split each RTT into its parts with kernel timestamps, and report the cost of the timestamps (Linux)
    #[arg(long)]
    breakdown: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// Lifetime of a connection.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ConnectionArg {
    /// One connection for the whole run; a new one if the server closes it
    Keep,
    /// One connection for each exchange
    Each,
}

/// Whether the arguments select one exchange of one message, and the source of the message.
pub(crate) enum OneMessage {
    /// One exchange of this message.
    Given(Vec<u8>),
    /// One exchange of a message that standard input provides.
    FromStdin,
    /// A series, perhaps with a message in each request.
    Series(Option<Vec<u8>>),
}

impl ExchangeArgs {
    /// Decides between one message and a series. A series never reads standard input.
    pub(crate) fn one_message(&self) -> OneMessage {
        let message = self.message.clone().map(String::into_bytes);
        match (message, self.count) {
            (Some(message), None | Some(1)) if !self.has_other_series_option() => {
                OneMessage::Given(message)
            }
            (None, None) if !self.has_other_series_option() => OneMessage::FromStdin,
            (message, _) => OneMessage::Series(message),
        }
    }

    /// The settings that the arguments select. `message` is the user's message, from any source.
    pub(crate) fn settings(&self, message: Option<Vec<u8>>) -> Settings {
        let is_series = matches!(self.one_message(), OneMessage::Series(_));
        let content = match message {
            Some(message) if is_series => Content::Numbered(message.into()),
            Some(message) => Content::Message(message.into()),
            None => Content::Sized(self.size),
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
            breakdown: self.breakdown,
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
