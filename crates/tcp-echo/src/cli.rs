//! The command line of `tcp-echo`.

use clap::Parser;
use echo_service::{
    ServiceArgs, counters_help, parse_duration, parse_number, raise_descriptor_limit, service_help,
};
use std::num::NonZero;
use std::time::Duration;
use tcp_echo::{
    Config, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS_PER_SOURCE, DEFAULT_PORT, Totals,
};

/// Descriptors for everything except connections: listeners, pollers, signals, the log. A worker needs three.
const RESERVED_DESCRIPTORS: usize = 1024;

/// Answers each text on a TCP connection with the same text in upper case, as it arrives.
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

    /// Maximum number of open connections. The server closes further connections at once
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

    /// Close a connection if the peer sends nothing for this time. 0: never
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = parse_duration, help_heading = "Limits")]
    idle: Duration,

    /// Reset a connection if the peer does not read its replies, or does not complete a timed request, for this
    /// time. 0: never
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = parse_duration, help_heading = "Limits")]
    stall: Duration,
}

impl Cli {
    /// The configuration of the server. Raises the limit on open descriptors of the process.
    pub(crate) fn config(&self) -> Config {
        let service = &self.service;
        Config {
            show_messages: service.show_messages,
            busy_poll: service.busy_poll,
            allowed: service.allowed_networks(),
            rate: service.rate,
            max_connections: self.possible_connections(),
            max_connections_per_source: self.connections_per_source,
            idle_timeout: self.idle,
            stall_timeout: self.stall,
        }
    }

    /// The requested number of connections, limited by the number of descriptors: without a descriptor, the server
    /// could neither serve a connection nor refuse it.
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

fn parse_connections(text: &str) -> Result<usize, String> {
    let connections: NonZero<usize> =
        text.parse().map_err(|_| "expected a whole number of at least 1")?;
    Ok(connections.get())
}

fn after_help() -> String {
    service_help(DEFAULT_PORT, "--rate counts one read from a connection as one request.")
}

fn after_long_help() -> String {
    format!("{}\n\n{}", after_help(), counters_help(Totals::DESCRIPTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_options_are_the_defaults_of_the_library() {
        let cli = Cli::parse_from(["tcp-echo"]);
        let config = Config::default();
        assert_eq!(cli.connections, config.max_connections);
        assert_eq!(cli.connections_per_source, config.max_connections_per_source);
        assert_eq!((cli.idle, cli.stall), (config.idle_timeout, config.stall_timeout));
    }

    #[test]
    fn at_least_one_connection_must_be_permitted() {
        assert_eq!(parse_connections("1"), Ok(1));
        for invalid in ["0", "-1", "many"] {
            assert!(parse_connections(invalid).is_err(), "{invalid}");
        }
    }
}
