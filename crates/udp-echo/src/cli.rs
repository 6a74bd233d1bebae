//! The command line of `udp-echo`.

use clap::Parser;
use echo_service::ServiceArgs;

/// Answers every UDP datagram with its text in upper case.
#[derive(Debug, Parser)]
#[command(
    name = "udp-echo",
    version,
    max_term_width = 80,
    after_help = "Without --listen: 127.0.0.1:25000 and [::1]:25000. Ctrl-C or SIGTERM ends the \
                  server and prints what it did; a second one ends it at once."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}
