//! The log: on stderr, through `tracing`, and never more of it than a flood should be able to cause.

use echo_core::escape;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};

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
#[must_use]
pub fn log_to_stderr(verbose: u8, format: LogFormat) -> LogGuard {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let colour = wanted && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb");
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).finish(io::stderr());
    let dropped = writer.error_counter();
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
    LogGuard { dropped, _guard: guard }
}

/// The log, for as long as this is kept. At its end it says how many lines it had to drop.
#[derive(Debug)]
pub struct LogGuard {
    dropped: ErrorCounter,
    _guard: WorkerGuard,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            tracing::warn!(lines, "the log lost lines, because nobody read it fast enough");
        }
    }
}

/// Whether the `count`th event of a kind deserves a line in the log: the first, the second, the fourth,
/// and so on. Strangers can cause any number of events, but not fill a disk with them.
#[must_use]
pub fn should_log(count: u64) -> bool {
    count.is_power_of_two()
}

/// Whether the last `added` of `count` events were among those that deserve a line.
#[must_use]
pub fn should_log_batch(count: u64, added: u64) -> bool {
    count.checked_ilog2() != count.saturating_sub(added).checked_ilog2()
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
        assert_eq!((1..=1_000_000).filter(|count| should_log(*count)).count(), 20);
        assert_eq!((1..=1_000_000).filter(|count| should_log_batch(*count, 1)).count(), 20);
        assert!(should_log_batch(7, 4) && !should_log_batch(7, 3) && should_log_batch(3, 3));
    }
}
