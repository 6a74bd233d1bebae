//! The command line of `tcp-echo`.

use clap::Parser;
use echo_service::ServiceArgs;

/// Answers what arrives on a TCP connection with its text in upper case at once.
#[derive(Debug, Parser)]
#[command(
    name = "tcp-echo",
    version,
    max_term_width = 80,
    after_help = "Without --listen: 127.0.0.1:12000 and [::1]:12000. Ctrl-C or SIGTERM ends the \
                  server and prints what it did; a second one ends it at once."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}
