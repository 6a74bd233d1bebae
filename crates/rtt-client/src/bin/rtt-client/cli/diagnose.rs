//! What a diagnosis can be asked for.

use super::{Addresses, Format, duration};
use clap::{ArgAction, Args};
use rtt_client::{Content, DiagnosisPlan, PlanError, Settings, Target};
use std::time::Duration;

/// Look what a client sees at a target, over UDP and over TCP, and who said so
///
/// Exit status: 0 there is an echo server, 1 there is none, 2 could not run as asked.
#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// Where to look: host, host:port, [IPv6]:port over both, or a URL over one protocol
    target: Target,

    /// How long it may take, all together (seconds, or with a unit: 500ms)
    #[arg(short = 'W', long, value_name = "DUR", default_value = "5s", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    addresses: Addresses,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Log what is done, on stderr; twice for more
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl DiagnoseArgs {
    /// The diagnosis that is asked for.
    pub(crate) fn diagnosis(&self) -> Result<DiagnosisPlan, PlanError> {
        let settings = Settings {
            family: self.addresses.family(),
            bind: self.addresses.bind,
            timeout: self.timeout,
            content: Content::Message("x".into()),
            ..Settings::one("")
        };
        DiagnosisPlan::new(&self.target, &settings)
    }
}
