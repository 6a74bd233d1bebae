//! What a trace can be asked for.

use super::{MeasureArgs, duration};
use clap::Args;
use rtt_client::{PlanError, Settings, Target, TracePlan};
use std::path::PathBuf;
use std::time::Duration;

/// Capture the packets of exchanges and explain them, or explain a capture file
///
/// Capturing takes the capability `CAP_NET_RAW` (`sudo setcap cap_net_raw+ep PATH`), or --lab.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// With whom: host, host:port, [IPv6]:port over both protocols, or a URL [default: 127.0.0.1]
    targets: Vec<Target>,

    /// Make so many exchanges with each
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    count: u64,

    /// Send requests of so many bytes [default: a short message]
    #[arg(short, long, value_name = "BYTES")]
    size: Option<usize>,

    /// Rest so long between them
    #[arg(short, long, value_name = "DUR", value_parser = duration, default_value = "0")]
    interval: Duration,

    /// Write the packets to this file, as pcapng, each with a comment
    #[arg(short, long, value_name = "FILE", conflicts_with = "read")]
    pub(crate) write: Option<PathBuf>,

    /// Explain the packets in this file (pcapng or pcap) instead
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["targets", "lab", "size", "breakdown"])]
    pub(crate) read: Option<PathBuf>,

    /// Run servers and client in a network of their own, where an ordinary user may capture (Linux)
    #[arg(long, conflicts_with_all = ["targets", "ipv6", "bind"])]
    pub(crate) lab: bool,

    /// Split the RTT into its parts with the kernel's stamps (Linux)
    #[arg(long)]
    breakdown: bool,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

impl TraceArgs {
    /// What is to be traced; with `targets` those, instead of what was given.
    pub(crate) fn tracing(&self, targets: &[Target]) -> Result<TracePlan, PlanError> {
        let settings = Settings {
            interval: self.interval,
            breakdown: self.breakdown,
            ..self.measure.settings()
        };
        let targets = if targets.is_empty() { &self.targets } else { targets };
        TracePlan::new(targets, self.count, self.size, &settings)
    }
}
