//! The command line of `tcp-echo`.

use clap::Parser;
use echo_service::{
    ServiceArgs, UNIT_BYTES, available_descriptors, counters_help, parse_duration, parse_number,
    service_help,
};
use humantime::Duration;
use tcp_echo::{
    Config, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS_PER_SOURCE,
    DEFAULT_PORT, DEFAULT_STALL_TIMEOUT, MAX_CONNECTIONS, MAX_PENDING_CLOSES, MIN_TRANSFER_RATE,
    READ_SIZE, RESERVE_DIVISOR, Totals,
};

/// File descriptors that each worker needs in addition to its listeners: two for the poller and its waker, and one for
/// a connection that the worker accepts and refuses.
const DESCRIPTORS_PER_WORKER: usize = 3;

/// File descriptors that remain free for other parts of the process, for example for a message to the supervisor
/// (`sd_notify(3)`).
const RESERVED_DESCRIPTORS: usize = 2;

/// A longer timeout is probably a mistake. Also, `--stall` must be less than 12 days: the server sets twice this time as
/// the option `TCP_USER_TIMEOUT`, and Linux permits at most 2³¹ milliseconds.
const MAX_TIMEOUT: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// The process has no file descriptor for a connection.
#[derive(Debug, thiserror::Error)]
#[error(
    "the limit on open files (ulimit -n) permits no connection: the process can open {available} more files, but the \
     server needs {needed}, and one more for each connection"
)]
pub(crate) struct NoDescriptors {
    available: usize,
    needed: usize,
}

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

    #[arg(
        long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS, value_parser = parse_connections,
        help_heading = "Limits",
        help = format!(
            "Maximum number of open connections. 1/{RESERVE_DIVISOR} of them is reserved for sources without a connection. \
             If all are in use, a new connection replaces the connection that has been idle longest, of the source or \
             network with the most connections"
        )
    )]
    connections: usize,

    #[arg(
        long, value_name = "N", value_parser = parse_number::<u64>, help_heading = "Limits",
        help = format!(
            "Maximum number of open connections from one source (IPv4: an address, IPv6: a /64 network). An IPv6 /56 \
             network can have one quarter of all connections, and an IPv4 /24 or IPv6 /48 network one half, but at least \
             N. 0: no limit for sources and networks. Default: {DEFAULT_MAX_CONNECTIONS_PER_SOURCE}, and no limit for \
             loopback addresses"
        )
    )]
    connections_per_source: Option<u64>,

    /// Close a connection if the peer does not send anything for this time (seconds, or with a unit: 5m). 0: never
    #[arg(
        long, value_name = "DUR", default_value_t = DEFAULT_IDLE_TIMEOUT.into(), value_parser = parse_timeout,
        help_heading = "Limits"
    )]
    idle: Duration,

    #[arg(
        long, value_name = "DUR", default_value_t = DEFAULT_STALL_TIMEOUT.into(), value_parser = parse_timeout,
        help_heading = "Limits",
        help = format!(
            "Reset a connection if the peer takes less than {MIN_TRANSFER_RATE} bytes of its waiting replies per second, \
             on average over this time (seconds, or with a unit: 500ms). The same rate applies to the arrival of an incomplete \
             request with a timing header. 0: never; a peer that neither sends nor takes anything is then idle (--idle)"
        )
    )]
    stall: Duration,
}

impl Cli {
    /// Returns the configuration of the server. Also raises the process's limit on open descriptors. The caller has
    /// already opened the log, the listeners and the signals, because the function counts the open descriptors.
    ///
    /// # Errors
    ///
    /// [`NoDescriptors`] if the process has no descriptor for a connection.
    pub(crate) fn config(&self) -> Result<Config, NoDescriptors> {
        let service = &self.service;
        Ok(Config {
            show_messages: service.show_messages,
            busy_poll: service.busy_poll,
            allowed: service.allowed_networks(),
            rate: service.rate,
            max_connections: self.possible_connections()?,
            max_connections_per_source: self.connections_per_source,
            idle_timeout: self.idle.into(),
            stall_timeout: self.stall.into(),
        })
    }

    /// The requested number of connections, limited by the number of free descriptors. Without a free descriptor, the
    /// server can neither serve a connection nor refuse it.
    fn possible_connections(&self) -> Result<usize, NoDescriptors> {
        let Some(available) = available_descriptors() else { return Ok(self.connections) };
        let needed = needed_descriptors(self.service.workers.get());
        let possible = available.saturating_sub(needed);
        if possible == 0 {
            return Err(NoDescriptors { available, needed });
        }
        if possible < self.connections {
            tracing::warn!(
                requested = self.connections,
                possible,
                "the limit on open files (ulimit -n) reduces the number of connections"
            );
        }
        Ok(self.connections.min(possible))
    }
}

/// The number of descriptors that the server still needs for everything except its open connections.
fn needed_descriptors(workers: usize) -> usize {
    // A worker closes its own connections immediately.
    let pending_closes = if workers > 1 { MAX_PENDING_CLOSES } else { 0 };
    workers * DESCRIPTORS_PER_WORKER + pending_closes + RESERVED_DESCRIPTORS
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    if timeout > MAX_TIMEOUT {
        return Err(format!("the maximum is {}; 0 means never", Duration::from(MAX_TIMEOUT)));
    }
    Ok(timeout.into())
}

fn parse_connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_CONNECTIONS).contains(number));
    number.ok_or_else(|| format!("expected a whole number from 1 to {MAX_CONNECTIONS}"))
}

fn after_help() -> String {
    let notes = format!(
        "What --rate counts: each time the server reads text (at most {READ_SIZE} bytes), this counts as one request for \
         each {UNIT_BYTES} bytes that it has read. A request with a timing header counts in the same way."
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
    fn timeouts_have_a_maximum() {
        for option in ["--idle", "--stall"] {
            let parse = |value| Cli::try_parse_from(["tcp-echo", option, value]);
            assert!(parse("7days").is_ok() && parse("0").is_ok(), "{option}");
            for too_long in ["7days 1ns", "500000000000years"] {
                let error = parse(too_long).unwrap_err();
                assert_eq!(error.exit_code(), 2);
                assert!(error.to_string().contains("the maximum is 7days"), "{error}");
            }
        }
    }

    #[test]
    fn number_of_connections_has_a_minimum_and_a_maximum() {
        assert_eq!(parse_connections("1"), Ok(1));
        for invalid in ["0", "-1", "many", "1048577"] {
            assert!(parse_connections(invalid).is_err(), "{invalid}");
        }
    }
}
