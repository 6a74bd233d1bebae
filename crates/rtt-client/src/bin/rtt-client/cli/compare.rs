//! Arguments of `compare`.

use super::{Format, MeasureArgs, duration};
use clap::Args;
use rtt_client::{
    ComparisonPlan, ComparisonSettings, Content, DEFAULT_PAIRS, DEFAULT_PAIRS_DURATION,
    DEFAULT_REQUEST_LEN, PlanError, Settings, Target,
};
use std::time::Duration;

/// Compare two targets: which RTT is higher, by how much, how certain the result is, and why
///
/// The client alternates between A and B in random order, so that changes over time affect both in the same way.
/// Small experiments then explain the difference. The command needs no privileges.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// First target: host, host:port, [IPv6]:port or a URL. Without a protocol, a default port selects its
    /// protocol; any other port selects UDP
    #[arg(default_value = "127.0.0.1")]
    a: Target,

    /// Second target [default: the host of A over the other protocol, on the other protocol's default port or
    /// on the port of A if that is not a default port]
    b: Option<Target>,

    #[arg(short, long, value_name = "N", help = format!(
        "Number of pairs of exchanges [default: {DEFAULT_PAIRS}, for at most {}]",
        humantime::format_duration(DEFAULT_PAIRS_DURATION)
    ))]
    count: Option<u64>,

    /// Stop the pairs after this time
    #[arg(long, value_name = "DUR", value_parser = duration)]
    duration: Option<Duration>,

    /// Pause between pairs [default: none]
    #[arg(short, long, value_name = "DUR", value_parser = duration, default_value = "0",
        hide_default_value = true)]
    interval: Duration,

    #[arg(short, long, value_name = "BYTES",
        help = format!("Size of each request in bytes [default: {DEFAULT_REQUEST_LEN}]"))]
    size: Option<usize>,

    /// Compare other request sizes too, from 16 bytes to the longest
    #[arg(long)]
    sweep: bool,

    /// Confidence level in percent, or as a fraction below 1
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0)]
    confidence: f64,

    /// Seed of the random order, to repeat a run [default: a new one for each run]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

impl CompareArgs {
    /// The comparison that the arguments select.
    ///
    /// # Errors
    ///
    /// If it cannot be carried out.
    pub(crate) fn plan(&self) -> Result<ComparisonPlan, PlanError> {
        let each = Settings {
            content: Content::Sized(self.size),
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
