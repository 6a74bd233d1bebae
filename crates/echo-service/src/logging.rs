//! Writes the log to stderr. Limits how many warnings a flood of requests can cause, and the length of a
//! logged message.

mod queue;

use echo_core::escape;
use queue::{LineFormat, QueueGuard};
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use tracing::Level;

/// Maximum number of bytes of a peer's message that the log shows: a few lines of a terminal. Without this
/// limit, a datagram could write 64 KiB to the log. A TCP stream could write even more.
const MAX_EXCERPT_LEN: usize = 240;

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line per event
    Text,
    /// One JSON object per line, with the fields `timestamp`, `level` and `fields` (contains `message`)
    Json,
}

/// Starts the log on stderr. `verbose` selects the levels: 0 is `info` and above, 1 adds `debug`, and 2 adds
/// `trace`. Text on a terminal has colours. Two environment variables can disable the colours: `NO_COLOR`
/// (<https://no-color.org>), or `TERM` with the value `dumb`.
///
/// A separate thread writes the log. It ignores write errors, because the server must work without a log. When
/// the returned guard is dropped, it writes the queued lines. This takes about one second at most.
///
/// # Errors
///
/// [`StartLogError`] if the system does not start the thread.
pub fn log_to_stderr(verbose: u8, format: LogFormat) -> Result<LogGuard, StartLogError> {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let has_colour = has_colour() && format == LogFormat::Text;
    let line_format = match format {
        LogFormat::Json => LineFormat::Json,
        LogFormat::Text if has_colour => LineFormat::ColouredText,
        LogFormat::Text => LineFormat::Text,
    };
    let (writer, queue) = queue::start(io::stderr(), line_format).map_err(StartLogError)?;
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(has_colour)
        .with_target(false)
        .with_writer(move || writer.clone())
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(LogGuard(queue))
}

/// The system did not start the thread that writes the log.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread that writes the log")]
pub struct StartLogError(#[source] io::Error);

/// Whether text on stderr has colours.
pub(crate) fn has_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !no_color && !is_dumb && io::stderr().is_terminal()
}

/// Keeps the log open. The drop of this guard writes the queued lines. If lines were dropped, it also logs
/// their number.
#[derive(Debug)]
pub struct LogGuard(QueueGuard);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let lines = self.0.dropped_lines();
        if lines > 0 {
            tracing::warn!(
                lines,
                "log lines were dropped, because stderr was not read fast enough"
            );
        }
    }
}

/// Whether to log event number `count` of a kind: the first, second, fourth, eighth event, and so on. Peers can
/// cause any number of events. With this rule, they cannot fill the disk with log lines.
#[must_use]
pub fn should_log(count: u64) -> bool {
    count.is_power_of_two()
}

/// Whether [`should_log`] selects one of the last `added` events. `count` is the number of events so far.
#[must_use]
pub fn should_log_batch(count: u64, added: u64) -> bool {
    count.checked_ilog2() != count.saturating_sub(added).checked_ilog2()
}

/// The beginning of a peer's message, with control characters escaped. If bytes are omitted, their number
/// follows.
#[must_use]
pub fn escaped_excerpt(message: &[u8]) -> String {
    let shown = &message[..message.len().min(MAX_EXCERPT_LEN)];
    let mut text = escape(shown);
    if shown.len() < message.len() {
        // Writing to a string cannot fail.
        let _ = write!(text, "... ({} more bytes)", message.len() - shown.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_has_a_maximum_length_and_states_the_omitted_bytes() {
        assert_eq!(escaped_excerpt(b"a\x1bb"), "a\\u{1b}b");
        let excerpt = escaped_excerpt(&[b'x'; 5000]);
        assert!(excerpt.ends_with("... (4760 more bytes)"), "{excerpt}");
        assert!(excerpt.len() < 300);
    }

    #[test]
    fn one_million_events_write_twenty_lines() {
        assert_eq!((1..=1_000_000).filter(|count| should_log(*count)).count(), 20);
        assert_eq!((1..=1_000_000).filter(|count| should_log_batch(*count, 1)).count(), 20);
        assert!(should_log_batch(7, 4) && !should_log_batch(7, 3) && should_log_batch(3, 3));
    }
}
