//! Arguments of `trace`.

use super::{EXIT_STATUS, EventFormat, MeasureArgs, duration, titles_with_servers, whole_number};
use clap::Args;
use rtt_client::{DEFAULT_HOST, PlanError, Settings, Target, TracePlan, TraceSettings};
use std::path::PathBuf;
use std::time::Duration;

/// Capture the packets of exchanges and explain them, or explain a capture file
///
/// To capture, the program needs the capability `CAP_NET_RAW` (`sudo setcap cap_net_raw+ep PATH`) or the option
/// --lab.
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct TraceArgs {
    #[arg(help = format!(
        "Servers to measure: host, host:port or [IPv6]:port for {}, or a URL for one protocol \
         [default: {DEFAULT_HOST}]",
        titles_with_servers()
    ))]
    targets: Vec<Target>,

    /// Number of exchanges with each server
    #[arg(short, long, value_name = "N", value_parser = whole_number::<u64>, default_value_t = 1)]
    count: u64,

    /// Size of each request in bytes [default: a short message]
    #[arg(short, long, value_name = "BYTES", value_parser = whole_number::<usize>)]
    size: Option<usize>,

    /// Pause between exchanges [default: none]
    #[arg(short, long, value_name = "DUR", value_parser = duration, default_value = "0",
        hide_default_value = true)]
    interval: Duration,

    /// Write the packets to this pcapng file, each with a comment. An existing file is unchanged until the new one is
    /// complete
    #[arg(short, long, value_name = "FILE", conflicts_with = "read")]
    pub(crate) write: Option<PathBuf>,

    /// Do not capture; explain the packets in this file (pcapng or pcap). Not possible with targets, -w, -s, --lab or
    /// --breakdown
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["targets", "lab", "size", "breakdown"])]
    pub(crate) read: Option<PathBuf>,

    /// Run servers and the client in an isolated network. An ordinary user can capture there (Linux). Not possible with
    /// targets, -r, -6 or -B
    #[arg(long, conflicts_with_all = ["targets", "ipv6", "bind"])]
    pub(crate) lab: bool,

    /// Use kernel timestamps to split each RTT into parts (Linux)
    #[arg(long)]
    breakdown: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = EventFormat::Text)]
    pub(crate) format: EventFormat,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

impl TraceArgs {
    /// Creates the plan of the trace. If `servers` is not empty, it replaces the targets of the command line.
    ///
    /// # Errors
    ///
    /// If an argument is out of range, or a protocol cannot carry the messages.
    pub(crate) fn plan(&self, servers: &[Target]) -> Result<TracePlan, PlanError> {
        let each = Settings {
            interval: self.interval,
            breakdown: self.breakdown,
            ..self.measure.settings()
        };
        let settings = TraceSettings { each, count: self.count, size: self.size };
        let targets = if servers.is_empty() { &self.targets } else { servers };
        TracePlan::new(targets, &settings)
    }
}
