//! The command line of `tcp-echo`.

use clap::Parser;
use echo_service::{ServiceArgs, parse_duration, parse_number, raise_descriptor_limit};
use std::time::Duration;
use tcp_echo::Config;

/// Descriptors that are no connections: listeners, pollers, signals, the log. A worker has three.
const OTHER_DESCRIPTORS: usize = 1024;

/// Answers what arrives on a TCP connection with its text in upper case at once.
#[derive(Debug, Parser)]
#[command(
    name = "tcp-echo",
    version,
    max_term_width = 80,
    after_help = "Without --listen: 127.0.0.1:12000 and [::1]:12000. Ctrl-C or SIGTERM ends the \
                  server and prints what it did; a second one ends it at once, without that. SIGUSR1 prints what it \
                  did so far. See docs/security.md before others can reach it.\n\nExit status: 0 at its end, 2 if it \
                  could not run as asked."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,

    /// Connections at most, in all; one more is closed at once
    #[arg(long, value_name = "N", default_value = "16384", value_parser = at_least_one, help_heading = "Limits")]
    connections: usize,

    /// Connections of one source at most (IPv4: an address, IPv6: a /64); 0: no limit. Without it: 256, and
    /// no limit for loopback addresses
    #[arg(long, value_name = "N", value_parser = parse_number::<usize>, help_heading = "Limits")]
    connections_per_source: Option<usize>,

    /// Close a connection that has said nothing for this long; 0: never
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = parse_duration, help_heading = "Limits")]
    idle: Duration,

    /// Cut a connection that has not taken its replies, or not finished a timed message, for this long;
    /// 0: never
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = parse_duration, help_heading = "Limits")]
    stall: Duration,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match parse_number(text)? {
        0 => Err("without a connection there is nothing to answer".into()),
        connections => Ok(connections),
    }
}

impl Cli {
    pub(crate) fn config(&self) -> Config {
        let service = &self.service;
        Config {
            show_messages: service.show_messages,
            busy_poll: service.busy_poll,
            allowed: service.allowed_networks(),
            rate: service.rate,
            connections: self.connections_possible(),
            connections_per_source: self.connections_per_source,
            idle: self.idle,
            stall: self.stall,
        }
    }

    /// As many connections as were asked for, or as there are descriptors for: beyond these they would
    /// neither be answered nor refused.
    fn connections_possible(&self) -> usize {
        let Some(descriptors) = raise_descriptor_limit() else { return self.connections };
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let possible = descriptors - OTHER_DESCRIPTORS.min(descriptors / 4);
        if possible < self.connections {
            let asked = self.connections;
            tracing::warn!(
                asked,
                possible,
                "fewer connections: the limit on open files (ulimit -n)"
            );
        }
        self.connections.min(possible)
    }
}
