//! The command line of `udp-echo`.

use clap::Parser;
use echo_service::{ServiceArgs, counters_help};
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
    format!(
        "Default addresses: 127.0.0.1:{DEFAULT_PORT} and [::1]:{DEFAULT_PORT}.\n\n\
         Signals: SIGINT (Ctrl-C) or SIGTERM ends the server after it has answered the requests already received, and \
         prints the totals. A second signal ends it at once. SIGUSR1 prints the totals, and the server continues.\n\n\
         The server does not answer some datagrams, because the answer could be part of an attack: datagrams from ports \
         of services (below {FIRST_CLIENT_PORT}, and known reflectors), and, on Linux, broadcast and multicast datagrams and replies \
         that circulate between servers. Before other hosts can reach the server, restrict it with --allow and --rate.\n\n\
         Exit status: 0 after a signal, 2 if the server cannot start."
    )
}

fn after_long_help() -> String {
    format!("{}\n\n{}", after_help(), counters_help(Totals::DESCRIPTIONS))
}
