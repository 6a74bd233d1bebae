//! Standard output that can be closed by its reader (`rtt-client … | head -1`).

use crate::process::request_stop;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};

/// Standard output. When its reader closes it, the run stops as after Ctrl-C, and further output is dropped.
/// The command then ends without a message, with the exit status of what it has measured.
pub(crate) fn stdout() -> Box<dyn Write> {
    let out = io::stdout();
    let is_terminal = out.is_terminal();
    let out = StopWhenClosed { out: out.lock(), is_closed: false };
    // A terminal gets each line at once. A program gets larger pieces, which cost fewer system calls.
    if is_terminal { Box::new(out) } else { Box::new(BufWriter::new(out)) }
}

/// Replaces the error "broken pipe" by a stop request.
struct StopWhenClosed<Out> {
    out: Out,
    is_closed: bool,
}

impl<Out: Write> StopWhenClosed<Out> {
    /// The result of an operation on `out`; `dropped` if the reader has closed it.
    fn unless_closed<T>(&mut self, result: io::Result<T>, dropped: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                request_stop();
                Ok(dropped)
            }
            result => result,
        }
    }
}

impl<Out: Write> Write for StopWhenClosed<Out> {
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

    #[test]
    fn a_closed_reader_is_no_error_and_gets_nothing_more() {
        let out = Failing { kind: ErrorKind::BrokenPipe, calls: 0 };
        let mut out = StopWhenClosed { out, is_closed: false };
        out.write_all(b"first").unwrap();
        out.write_all(b"second").unwrap();
        out.flush().unwrap();
        assert_eq!(out.out.calls, 1);
    }

    #[test]
    fn other_errors_are_returned() {
        let out = Failing { kind: ErrorKind::StorageFull, calls: 0 };
        let mut out = StopWhenClosed { out, is_closed: false };
        assert_eq!(out.write_all(b"text").unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(out.flush().is_err());
    }
}
