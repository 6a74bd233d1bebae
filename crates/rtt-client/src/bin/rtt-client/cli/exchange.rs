//! What a protocol's own command can be asked for.

use super::{MeasureArgs, duration};
use clap::{Args, ValueEnum};
use rtt_client::{Content, Lifetime, Settings, Target};
use std::time::Duration;

/// How far requests of a series are apart where nothing is said, as with `ping`.
const USUAL_INTERVAL: Duration = Duration::from_secs(1);

/// What a protocol's command can be asked for.
#[derive(Debug, Args)]
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

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
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
            ..self.measure.settings()
        }
    }
}
