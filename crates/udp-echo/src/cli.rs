//! The command line of `udp-echo`.

use clap::Parser;
use echo_service::{ServiceArgs, counters_help, service_help};
use udp_echo::{Config, DEFAULT_PORT, FIRST_CLIENT_PORT, Totals};

/// Answers each UDP datagram with the same text in upper case.
#[derive(Debug, Parser)]
#[command(
    name = "udp-echo",
    version,
    max_term_width = 80,
    after_help = after_help(),
    after_long_help = after_long_help()
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

impl Cli {
    /// The configuration of the server.
    pub(crate) fn config(&self) -> Config {
        let service = &self.service;
        Config {
            show_messages: service.show_messages,
            busy_poll: service.busy_poll,
            allowed: service.allowed_networks(),
            rate: service.rate,
        }
    }
}

fn after_help() -> String {
    // clap does not indent the second line of a list item, so each item has one line of at most 80 columns.
    let notes = format!(
        "The server does not answer these datagrams, because the reply could be part of \
         an attack:\n\
         1. Datagrams from a port below {FIRST_CLIENT_PORT}. These are ports of services.\n\
         2. Datagrams from other ports of services that attackers use to flood a victim.\n\
         3. Datagrams from a port of this server, or from port {DEFAULT_PORT}.\n\
         4. Datagrams from a multicast, broadcast or unspecified address.\n\
         5. On Linux: datagrams to a multicast or broadcast address.\n\
         6. On Linux: replies that circulate between servers until the hop limit is used up."
    );
    service_help(DEFAULT_PORT, &notes)
}

fn after_long_help() -> String {
    format!("{}\n\n{}", after_help(), counters_help(Totals::DESCRIPTIONS))
}
