//! Standard output and standard error. The program at the other end of a pipe can close the pipe (`rtt-client … |
//! head -1`).

use crate::signals::request_stop;
use crate::terminal::wrapped_for_stderr;
use echo_core::{escape, escape_controls};
use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};

/// The first byte of the codes for colours and of other commands of a terminal (ECMA-48).
pub(crate) const ESC: u8 = 0x1b;

/// Returns standard output. When its reader closes the pipe, the run stops as after Ctrl-C. The rest of the output is
/// dropped. The command ends without a message. The exit status describes the exchanges until this moment.
pub(crate) fn stdout() -> Box<dyn Write> {
    let out = io::stdout();
    let is_terminal = out.is_terminal();
    let out = Closable { out: out.lock(), is_closed: false, on_close: request_stop };
    // A terminal gets each line immediately. A program gets larger pieces, which need fewer system calls.
    if is_terminal { Box::new(out) } else { Box::new(BufWriter::new(out)) }
}

/// Returns standard error. When its reader closes the pipe, messages are dropped, and the run continues.
pub(crate) fn stderr() -> impl Write {
    Closable { out: io::stderr(), is_closed: false, on_close: || {} }
}

/// Writes a message of this program to standard error: in one line, or wrapped on a terminal. The message can contain a name
/// or a path, so control characters become escapes.
pub(crate) fn print_error(message: impl Display) {
    let message = escape(message.to_string().as_bytes());
    // If standard error is closed or full, there is no place for the message.
    let _ = writeln!(io::stderr(), "{}", wrapped_for_stderr(&format!("rtt-client: {message}")));
}

/// A writer for the lines of the log. Each call of `write` must contain a complete line. Control characters become escapes,
/// because a line can contain names and texts of the system.
pub(crate) struct LogLine {
    pub(crate) has_colour: bool,
}

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The log escapes ESC in values, so each ESC is part of a colour.
        let is_kept = |character| self.has_colour && character == char::from(ESC);
        let text = String::from_utf8_lossy(line);
        let text = escape_controls(text.trim_end_matches('\n'), is_kept);
        io::stderr().write_all(format!("{text}\n").as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that never returns the error "broken pipe". After this error, it drops all output.
struct Closable<Out> {
    out: Out,
    is_closed: bool,
    /// Runs when the reader has closed the pipe.
    on_close: fn(),
}

impl<Out: Write> Closable<Out> {
    /// Returns `result`, or `dropped` if the reader has closed the pipe.
    fn unless_closed<T>(&mut self, result: io::Result<T>, dropped: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                (self.on_close)();
                Ok(dropped)
            }
            result => result,
        }
    }
}

impl<Out: Write> Write for Closable<Out> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let result = self.out.write(bytes);
        self.unless_closed(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let result = self.out.flush();
        self.unless_closed(result, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails with one kind of error and counts the calls.
    struct Failing {
        kind: ErrorKind,
        calls: usize,
    }

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            Err(self.kind.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.kind.into())
        }
    }

    fn failing(kind: ErrorKind) -> Closable<Failing> {
        Closable { out: Failing { kind, calls: 0 }, is_closed: false, on_close: || {} }
    }

    #[test]
    fn output_after_a_broken_pipe_is_dropped() {
        let mut out = failing(ErrorKind::BrokenPipe);
        out.write_all(b"first").unwrap();
        out.write_all(b"second").unwrap();
        out.flush().unwrap();
        assert_eq!(out.out.calls, 1);
    }

    #[test]
    fn errors_except_broken_pipe_are_returned() {
        let mut out = failing(ErrorKind::StorageFull);
        assert_eq!(out.write_all(b"text").unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(out.flush().is_err());
    }
}
