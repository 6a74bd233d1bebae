//! Where the message comes from: the command line, a prompt, or a line of standard input.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

/// The longest line that is read: more than any protocol carries, so that it is the plan that says
/// what is too long, and little enough to be held.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// One line of standard input, without its end; on a terminal the textbook's prompt asks for it.
///
/// # Errors
///
/// If there is none.
pub(crate) fn read() -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // On stderr, so that results can be sent elsewhere.
        eprint!("Input lowercase sentence: ");
        io::stderr().flush()?;
    }
    line_of(stdin.lock())
}

fn line_of(input: impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    if input.take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
        let why = "standard input has no line: give a message on the command line or there";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_end_alone() {
        for (input, line) in [
            (&b"hello\n"[..], &b"hello"[..]),
            (b"hello\r\nmore\n", b"hello"),
            (b"hello", b"hello"),
            (b"\n", b""),
            (b" a \xff\r", b" a \xff\r"),
        ] {
            assert_eq!(line_of(input).unwrap(), line);
        }
        assert!(line_of(&b""[..]).is_err());
    }
}
