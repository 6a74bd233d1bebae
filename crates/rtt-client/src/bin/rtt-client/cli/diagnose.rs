//! Arguments of `diagnose`.

use super::{
    AddressArgs, EchoArgs, EventFormat, LogArgs, RequestArgs, duration, titles_with_servers,
};
use clap::Args;
use rtt_client::{Content, DiagnosisPlan, PlanError, Settings, Target};
use std::time::Duration;

/// The exit status of this command.
const EXIT_STATUS: &str = "Exit status: 0 if the expected server answers, 1 if it does not, 2 if the command could \
                           not run as requested";

/// Find out why a server does not answer: the result for each protocol, and the host that reported the error
#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct DiagnoseArgs {
    #[arg(help = format!(
        "Server to diagnose: host, host:port or [IPv6]:port for {}, or a URL for one protocol. In addition, the command \
         checks whether the host is up", titles_with_servers()
    ))]
    target: Target,

    /// Maximum duration of the whole diagnosis (seconds, or with a unit: 500ms)
    #[arg(short = 'W', long, value_name = "DUR", default_value = "5s", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    echo: EchoArgs,

    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    addresses: AddressArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t = EventFormat::Text)]
    pub(crate) format: EventFormat,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

impl DiagnoseArgs {
    /// Creates the plan of the diagnosis.
    ///
    /// # Errors
    ///
    /// If an argument is out of range.
    pub(crate) fn plan(&self) -> Result<DiagnosisPlan, PlanError> {
        let settings = Settings {
            family: self.addresses.family(),
            bind: self.addresses.bind,
            ttl: self.addresses.ttl,
            timeout: self.timeout,
            echo: self.echo.form(),
            content: self.request.content().unwrap_or(Content::Message("x".into())),
            ..Settings::one("")
        };
        DiagnosisPlan::new(&self.target, &settings)
    }
}
