//! A queue of log lines. A separate thread writes them, so a slow or blocked reader of the log does not delay the
//! server.

use echo_core::{escape_controls, escape_json};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Maximum number of lines in the queue. When the queue is full, new lines are dropped. If the server waited instead, a
/// process that does not read the log could block the server.
const MAX_QUEUED_LINES: usize = 1024;

/// Maximum time to write the queued lines at the end of the process.
const MAX_CLOSING_TIME: Duration = Duration::from_secs(1);

/// How the queue writes characters that could control a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// Escapes as in a Rust literal.
    Text,
    /// As [`Self::Text`], but ESC stays unchanged, because it begins the colours of the log. The log itself escapes ESC
    /// in values.
    ColouredText,
    /// Escapes of JSON.
    Json,
}

/// Adds lines to the queue. Each call of `write` must contain a complete line.
#[derive(Debug, Clone)]
pub(super) struct QueueWriter {
    queue: Arc<Queue>,
    format: LineFormat,
}

/// A drop of this guard waits until the thread has written the queued lines, but at most for [`MAX_CLOSING_TIME`].
#[derive(Debug)]
pub(super) struct QueueGuard(Arc<Queue>);

/// Starts a thread that writes the lines to `out`. It ignores write errors, because the server must work without a log.
///
/// # Errors
///
/// The error of the system if it does not start the thread.
pub(super) fn start(
    mut out: impl Write + Send + 'static,
    format: LineFormat,
) -> io::Result<(QueueWriter, QueueGuard)> {
    let queue = Arc::new(Queue::default());
    let of_thread = Arc::clone(&queue);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        while let Some(line) = of_thread.next_line() {
            let _ = out.write_all(&line);
        }
        of_thread.state().is_finished = true;
        of_thread.has_changed.notify_all();
    })?;
    Ok((QueueWriter { queue: Arc::clone(&queue), format }, QueueGuard(queue)))
}

impl Write for QueueWriter {
    /// Never fails. A line that does not fit into the queue is dropped and counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.add(self.format.escape(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineFormat {
    /// Returns a line in which only the last character is a line feed.
    fn escape(self, line: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\n');
        let escaped = match self {
            Self::Text => escape_controls(text, |_| false),
            Self::ColouredText => escape_controls(text, |character| character == '\u{1b}'),
            Self::Json => escape_json(text),
        };
        let mut line = escaped.into_owned().into_bytes();
        line.push(b'\n');
        line
    }
}

impl QueueGuard {
    /// The number of lines that were dropped because the queue was full.
    pub(super) fn dropped_lines(&self) -> u64 {
        self.0.state().dropped
    }
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closing = true;
        self.0.has_changed.notify_all();
        let wait = self
            .0
            .has_changed
            .wait_timeout_while(state, MAX_CLOSING_TIME, |state| !state.is_finished);
        drop(wait);
    }
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    has_changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    dropped: u64,
    is_closing: bool,
    is_finished: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: Vec<u8>) {
        let mut state = self.state();
        if state.lines.len() < MAX_QUEUED_LINES {
            state.lines.push_back(line);
            self.has_changed.notify_all();
        } else {
            state.dropped += 1;
        }
    }

    /// Waits for a line. Returns `None` if the queue is empty and closing.
    fn next_line(&self) -> Option<Vec<u8>> {
        let is_waiting = |state: &mut State| state.lines.is_empty() && !state.is_closing;
        let state = self.has_changed.wait_while(self.state(), is_waiting);
        state.unwrap_or_else(PoisonError::into_inner).lines.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Sends each line to a channel. Waits first for a message of another channel.
    struct Out {
        written: mpsc::Sender<String>,
        may_write: mpsc::Receiver<()>,
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.may_write.recv();
            self.written.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn queued_lines_are_written_at_the_end_although_each_write_fails() {
        let (written, lines) = mpsc::channel();
        let (_, may_write) = mpsc::channel();
        let (mut writer, guard) = start(Out { written, may_write }, LineFormat::Text).unwrap();
        for number in 0..3 {
            writer.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(guard);
        assert_eq!(lines.try_iter().collect::<String>(), "0\n1\n2\n");
    }

    #[test]
    fn lines_are_dropped_and_counted_while_the_queue_is_full() {
        let (written, lines) = mpsc::channel();
        let (allow, may_write) = mpsc::channel();
        let (mut writer, guard) = start(Out { written, may_write }, LineFormat::Text).unwrap();
        for number in 0..2 * MAX_QUEUED_LINES {
            writer.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        // The thread can hold one more line.
        let dropped = guard.dropped_lines();
        assert!(dropped.abs_diff(MAX_QUEUED_LINES as u64) <= 1, "{dropped}");
        drop(allow);
        drop(guard);
        assert_eq!(lines.try_iter().count() as u64 + dropped, 2 * MAX_QUEUED_LINES as u64);
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped_in_each_format() {
        let line = "a\u{202e}b\nc\u{1b}[1md\u{e0041}\n";
        for (format, expected) in [
            (LineFormat::Text, "a\\u{202e}b\\nc\\u{1b}[1md\\u{e0041}\n"),
            (LineFormat::ColouredText, "a\\u{202e}b\\nc\u{1b}[1md\\u{e0041}\n"),
            (LineFormat::Json, "a\\u202eb\\u000ac\\u001b[1md\\udb40\\udc41\n"),
        ] {
            assert_eq!(String::from_utf8(format.escape(line.as_bytes())).unwrap(), expected);
        }
    }
}
