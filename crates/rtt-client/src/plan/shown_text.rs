//! [`ShownText`]: the part of a reply that reports show.

use bytes::Bytes;

/// The part of a reply that reports show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownText {
    /// The user's message. It begins at this position.
    After(usize),
    /// The first line of the reply of a service, at most [`MAX_SHOWN_LINE`] bytes.
    FirstLine,
}

/// See [`ShownText::FirstLine`].
const MAX_SHOWN_LINE: usize = 200;

impl ShownText {
    /// The shown part of `reply`.
    pub(crate) fn of(self, reply: &Bytes) -> Bytes {
        match self {
            Self::After(offset) => reply.slice(offset.min(reply.len())..),
            Self::FirstLine => {
                let end = reply.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                reply.slice(..end.unwrap_or(reply.len()).min(MAX_SHOWN_LINE))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_of_a_service_is_shown_until_the_end_of_its_first_line() {
        let shown = |reply: &'static [u8]| ShownText::FirstLine.of(&Bytes::from_static(reply));
        assert_eq!(shown(b"HTTP/1.1 200 OK\r\nServer: x\r\n"), "HTTP/1.1 200 OK");
        assert_eq!(shown(b"one\ntwo"), "one");
        assert_eq!(shown(b"one"), "one");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn shown_line_has_at_most_200_bytes() {
        for (len, end, shown_len) in
            [(199, "\n", 199), (200, "\r\n", 200), (201, "\n", 200), (100_000, "", 200)]
        {
            let line = "x".repeat(len);
            let shown = ShownText::FirstLine.of(&Bytes::from(line.clone() + end));
            assert_eq!(shown, line[..shown_len], "{len}");
        }
    }
}
