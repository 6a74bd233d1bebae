//! The log: on stderr, through `tracing`, and never more of it than a flood should be able to cause.

use echo_core::escape;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// How much of a message is shown, in bytes: a few lines of a terminal. A datagram could fill 64 KiB
/// of log, a stream any amount.
const LONGEST_EXCERPT: usize = 240;

/// How many lines wait for whoever reads the log. What comes while they do is dropped: a reader that
/// stands still must not stop a server.
const WAITING_LINES: usize = 1024;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line: `timestamp`, `level`, `fields` with the `message`.
    Json,
}

/// Sends the log to stderr: from `info` on, `debug` if `verbose` is 1, all of it above. As text it is
/// coloured on a terminal unless `NO_COLOR` is set (<https://no-color.org>). When what is returned is dropped, the lines
/// that wait are written, for a second at most.
///
/// A thread of its own writes, and nobody is told when it can't: serving goes on without a log.
pub fn log_to_stderr(verbose: u8, format: LogFormat) -> WorkerGuard {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).finish(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colour && io::stderr().is_terminal())
        .with_target(false)
        .with_writer(writer)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    guard
}

/// Whether the `count`th event of a kind deserves a line in the log: the first, the second, the fourth,
/// and so on. Strangers can cause any number of events, but not fill a disk with them.
#[must_use]
pub fn is_milestone(count: u64) -> bool {
    count.is_power_of_two()
}

/// The beginning of a stranger's message, safe to show, and how much was left out.
#[must_use]
pub fn escaped_excerpt(message: &[u8]) -> String {
    let shown = &message[..message.len().min(LONGEST_EXCERPT)];
    let mut text = escape(shown);
    if shown.len() < message.len() {
        // Writing to a string can't fail.
        let _ = write!(text, "... ({} bytes more)", message.len() - shown.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_bounded_and_says_what_it_left_out() {
        assert_eq!(escaped_excerpt(b"a\x1bb"), "a\\u{1b}b");
        let long = escaped_excerpt(&[b'x'; 5000]);
        assert!(long.ends_with("... (4760 bytes more)"), "{long}");
        assert!(long.len() < 300);
    }

    #[test]
    fn a_million_events_make_twenty_lines() {
        assert_eq!((1..=1_000_000).filter(|count| is_milestone(*count)).count(), 20);
    }
}
