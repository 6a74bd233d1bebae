//! Arguments of `compare`.

use super::{
    EXIT_STATUS, Format, MeasureArgs, RequestArgs, duration, number, request, whole_number,
};
use clap::Args;
use rtt_client::{
    ComparisonPlan, ComparisonSettings, Content, DEFAULT_HOST, DEFAULT_PAIRS,
    DEFAULT_PAIRS_DURATION, DEFAULT_REQUEST_LEN, PROTOCOLS, PlanError, Protocol, SWEEP_SIZES,
    Settings, Target, default_pair,
};
use std::time::Duration;

/// Compare two targets: which RTT is higher, by how much, how certain the result is, and why
///
/// Each pair has one exchange with A and one with B, in random order. So changes over time affect A and B equally.
/// Small experiments then explain the difference.
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct CompareArgs {
    #[arg(default_value = DEFAULT_HOST, help = help_of_a())]
    a: Target,

    #[arg(help = help_of_b())]
    b: Option<Target>,

    #[arg(short, long, value_name = "N", value_parser = whole_number::<u64>, help = format!(
        "Number of pairs of exchanges [default: {DEFAULT_PAIRS}, but stop after {}; with --interval: {DEFAULT_PAIRS} \
         without this limit; with --duration: as many as possible]",
        humantime::format_duration(DEFAULT_PAIRS_DURATION)
    ))]
    count: Option<u64>,

    /// Stop measuring pairs after this time
    #[arg(long, value_name = "DUR", value_parser = duration)]
    duration: Option<Duration>,

    /// Pause between pairs [default: none]
    #[arg(short, long, value_name = "DUR", value_parser = duration, default_value = "0",
        hide_default_value = true)]
    interval: Duration,

    #[arg(short, long, value_name = "BYTES", value_parser = whole_number::<usize>,
        conflicts_with_all = ["service", "send", "send_file", "connect_only"],
        help = format!("Size of each request in bytes [default: {DEFAULT_REQUEST_LEN}]"))]
    size: Option<usize>,

    #[arg(long, conflicts_with_all = ["service", "send", "send_file", "connect_only"], help = format!(
        "Compare other request sizes too, from {} bytes to the largest possible size", SWEEP_SIZES[0]
    ))]
    sweep: bool,

    /// Confidence level in percent, or as a fraction below 1
    #[arg(long, value_name = "PERCENT", value_parser = number, default_value_t = 95.0)]
    confidence: f64,

    /// Seed of the random order, to repeat a run [default: a new one for each run]
    #[arg(long, value_name = "N", value_parser = whole_number::<u64>)]
    seed: Option<u64>,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Do not print the individual pairs (JSON: no `pair` events; CSV: no effect, because a row is a pair)
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

impl CompareArgs {
    /// Creates the plan of the comparison.
    ///
    /// # Errors
    ///
    /// If an argument is out of range, or a protocol cannot carry the messages.
    pub(crate) fn plan(&self) -> Result<ComparisonPlan, PlanError> {
        let each = Settings {
            content: self.request.content().unwrap_or(Content::Sized(self.size)),
            interval: self.interval,
            ..self.measure.settings()
        };
        let settings = ComparisonSettings {
            each,
            pairs: self.count,
            duration: self.duration,
            seed: self.seed.unwrap_or_else(|| u64::from(fastrand::u16(..))),
            confidence: if self.confidence < 1.0 {
                self.confidence
            } else {
                self.confidence / 100.0
            },
            sweep: self.sweep,
        };
        ComparisonPlan::new(&self.a, self.b.as_ref(), &settings)
    }
}

fn help_of_a() -> String {
    format!(
        "First target: host, host:port, [IPv6]:port or a URL. If it is not a URL, its port selects the protocol ({})",
        protocols_by_port(default_pair()[0])
    )
}

fn help_of_b() -> String {
    let [first, second] = default_pair();
    format!(
        "Second target, written like A. If it is not a URL, its port selects the protocol ({}). Default: the host of A with \
         the other protocol ({} if A uses {}, otherwise {}) and the default port of this protocol. If A is host:port and \
         its port selects no protocol, B has the same port. If only one protocol has the selected service (or handshakes, \
         with --connect-only), it is the protocol of both targets, and the default of B is the host of A over {}",
        protocols_by_port(second),
        second.title,
        first.title,
        first.title,
        request::kernel_protocol().map_or("", |protocol| protocol.title)
    )
}

/// The protocol that each default port selects, and the one that any other port selects.
fn protocols_by_port(otherwise: &Protocol) -> String {
    let defaults: Vec<String> = PROTOCOLS
        .iter()
        .filter_map(|protocol| Some(format!("{}: {}", protocol.default_port?, protocol.title)))
        .collect();
    format!("{}, any other port or none: {}", defaults.join(", "), otherwise.title)
}
