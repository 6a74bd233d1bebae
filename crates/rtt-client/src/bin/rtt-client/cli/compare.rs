//! What a comparison can be asked for.

use super::{MeasureArgs, duration};
use clap::Args;
use rtt_client::{ComparisonPlan, ComparisonSettings, Content, PlanError, Settings, Target};
use std::time::Duration;

/// Compare two targets: which RTT is higher, by how much, how sure, and why
///
/// Exchanges with A and B follow each other in random order, so that what changes in time changes both.
/// Then small experiments say what the difference consists of. Nothing needs privileges.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// One target: host, host:port, [IPv6]:port or a URL; over UDP unless it says otherwise
    #[arg(default_value = "127.0.0.1")]
    a: Target,

    /// The other, over TCP unless it says otherwise [default: A's host over the other protocol, on
    /// the same port if A names one and no protocol]
    b: Option<Target>,

    /// Make so many pairs of exchanges [default: 2000, in 4s at most]
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,

    /// Make pairs for so long
    #[arg(long, value_name = "DUR", value_parser = duration)]
    duration: Option<Duration>,

    /// Rest so long between pairs [default: not at all]
    #[arg(short, long, value_name = "DUR", value_parser = duration, default_value = "0",
        hide_default_value = true)]
    interval: Duration,

    /// Send requests of so many bytes [default: 64]
    #[arg(short, long, value_name = "BYTES")]
    size: Option<usize>,

    /// Try other sizes as well, from 16 bytes to the longest
    #[arg(long)]
    sweep: bool,

    /// How sure the interval is to be, in per cent (or below 1, as a share)
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0)]
    confidence: f64,

    /// Repeat the random order of a run [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

impl CompareArgs {
    /// The comparison that is asked for.
    pub(crate) fn comparison(&self) -> Result<ComparisonPlan, PlanError> {
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
            // A share is taken as well as per cent.
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
