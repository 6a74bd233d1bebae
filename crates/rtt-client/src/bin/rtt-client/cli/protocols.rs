//! Arguments of `protocols`.

use super::EventFormat;
use clap::Args;

/// List the protocols and their properties
#[derive(Debug, Args)]
pub(crate) struct ProtocolsArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = EventFormat::Text)]
    pub(crate) format: EventFormat,
}
