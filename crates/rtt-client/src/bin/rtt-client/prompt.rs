//! Reads the message from standard input. On a terminal, the client prompts for it.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

/// The maximum number of bytes that are read. It is larger than the longest message of any protocol, so that the
/// plan detects a message that is too long. Without a limit, endless input could fill the memory.
const MAX_LINE_LEN: u64 = 64 * 1024 * 1024;

/// Reads one line of standard input, without its line ending. On a terminal, first prints the prompt of the
/// textbook's client.
///
/// # Errors
///
/// If standard input is at its end, or cannot be read.
pub(crate) fn read_message() -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        // The prompt goes to stderr, so that the user can redirect the results. If stderr is closed, the line
        // is read without a prompt.
        let _ = io::stderr().write_all(b"Input lowercase sentence: ");
    }
    read_line(stdin.lock())
}

fn read_line(input: impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    if input.take(MAX_LINE_LEN).read_until(b'\n', &mut line)? == 0 {
        let reason = "standard input is empty; pass a MESSAGE argument, a line of input, or -c N for a series";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
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
    fn line_is_read_without_its_line_ending() {
        for (input, line) in [
            (&b"hello\n"[..], &b"hello"[..]),
            (b"hello\r\nmore\n", b"hello"),
            (b"hello", b"hello"),
            (b"\n", b""),
            (b" a \xff\r", b" a \xff\r"),
        ] {
            assert_eq!(read_line(input).unwrap(), line);
        }
        assert!(read_line(&b""[..]).is_err());
    }

    #[test]
    fn endless_line_is_read_up_to_the_limit() {
        let endless = io::BufReader::new(io::repeat(b'a'));
        assert_eq!(read_line(endless).unwrap().len() as u64, MAX_LINE_LEN);
    }
}
