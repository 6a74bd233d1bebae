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
