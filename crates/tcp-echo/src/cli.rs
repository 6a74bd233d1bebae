//! The command line of `tcp-echo`.

use clap::Parser;
use echo_service::{
    ServiceArgs, counters_help, parse_duration, parse_number, raise_descriptor_limit, service_help,
};
use humantime::Duration;
use std::num::NonZero;
use tcp_echo::{
    Config, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS_PER_SOURCE,
    DEFAULT_PORT, DEFAULT_STALL_TIMEOUT, READ_SIZE, Totals,
};

/// File descriptors that are not available for connections. Listeners, pollers, signals and the log need them. A worker
/// needs three.
const RESERVED_DESCRIPTORS: usize = 1024;

/// Sends received text back in upper case as it arrives.
#[derive(Debug, Parser)]
#[command(
    name = "tcp-echo",
    version,
    max_term_width = 80,
    after_help = after_help(),
    after_long_help = after_long_help()
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,

    /// Maximum number of open connections. The server closes further connections immediately
    #[arg(
        long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS, value_parser = parse_connections,
        help_heading = "Limits"
    )]
    connections: usize,

    #[arg(
        long, value_name = "N", value_parser = parse_number::<u64>, help_heading = "Limits",
        help = format!(
            "Maximum number of open connections from one source (IPv4: an address, IPv6: a /64 network). 0: no limit. \
             Default: {DEFAULT_MAX_CONNECTIONS_PER_SOURCE}, and no limit for loopback addresses"
        )
    )]
    connections_per_source: Option<u64>,

    /// Close a connection if the peer does not send anything for this time (for example 30s or 5m). 0: never
    #[arg(
        long, value_name = "DUR", default_value_t = DEFAULT_IDLE_TIMEOUT.into(), value_parser = parse_timeout,
        help_heading = "Limits"
    )]
    idle: Duration,

    /// Reset a connection if the peer does not read its replies within this time (for example 500ms or 30s). The same
    /// time applies to an incomplete request with a timing header. 0: never
    #[arg(
        long, value_name = "DUR", default_value_t = DEFAULT_STALL_TIMEOUT.into(), value_parser = parse_timeout,
        help_heading = "Limits"
    )]
    stall: Duration,
}

impl Cli {
    /// Returns the configuration of the server. Also raises the process's limit on open descriptors.
    pub(crate) fn config(&self) -> Config {
        let service = &self.service;
        Config {
            show_messages: service.show_messages,
            busy_poll: service.busy_poll,
            allowed: service.allowed_networks(),
            rate: service.rate,
            max_connections: self.possible_connections(),
            max_connections_per_source: self.connections_per_source,
            idle_timeout: self.idle.into(),
            stall_timeout: self.stall.into(),
        }
    }

    /// The requested number of connections, limited by the number of descriptors. Without a free descriptor, the server
    /// can neither serve a connection nor refuse it.
    fn possible_connections(&self) -> usize {
        let Some(descriptors) = raise_descriptor_limit() else { return self.connections };
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let possible = descriptors - RESERVED_DESCRIPTORS.min(descriptors / 4);
        if possible < self.connections {
            tracing::warn!(
                requested = self.connections,
                possible,
                "the limit on open files (ulimit -n) reduces the number of connections"
            );
        }
        self.connections.min(possible)
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    parse_duration(text).map(Duration::from)
}

fn parse_connections(text: &str) -> Result<usize, String> {
    let connections: NonZero<usize> =
        text.parse().map_err(|_| "expected a whole number of at least 1")?;
    Ok(connections.get())
}

fn after_help() -> String {
    let notes = format!(
        "What --rate counts: each time the server reads text (at most {READ_SIZE} bytes), this counts as one request. \
         A request with a timing header also counts as one request."
    );
    service_help(DEFAULT_PORT, &notes)
}

fn after_long_help() -> String {
    format!("{}\n\n{}", after_help(), counters_help(Totals::DESCRIPTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_options_are_the_default_configuration() {
        let cli = Cli::parse_from(["tcp-echo"]);
        let config = Config::default();
        assert_eq!(cli.connections, config.max_connections);
        assert_eq!(cli.connections_per_source, config.max_connections_per_source);
        assert_eq!((*cli.idle, *cli.stall), (config.idle_timeout, config.stall_timeout));
    }

    #[test]
    fn connection_limit_is_at_least_one() {
        assert_eq!(parse_connections("1"), Ok(1));
        for invalid in ["0", "-1", "many"] {
            assert!(parse_connections(invalid).is_err(), "{invalid}");
        }
    }
}
