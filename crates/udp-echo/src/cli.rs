//! The command line of `udp-echo`.

use clap::Parser;
use echo_service::ServiceArgs;
use udp_echo::Config;

/// Answers each UDP datagram with its text in upper case.
#[derive(Debug, Parser)]
#[command(
    name = "udp-echo",
    version,
    max_term_width = 80,
    after_help = "Without --listen: 127.0.0.1:25000 and [::1]:25000. Ctrl-C or SIGTERM ends the \
                  server and prints what it did; a second one ends it at once, without that. SIGUSR1 prints what it \
                  did so far.\n\nNever answered, as an answer would hurt somebody: source ports of services \
                  (below 1024, and known reflectors), and, on Linux, broadcast and multicast, and text that \
                  goes round between servers. See docs/security.md before others can reach it.\n\nExit status: 0 at its end, 2 if it \
                  could not run as asked."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

impl Cli {
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
