//! Converts bytes to upper case: a complete text ([`uppercase`], [`uppercase_slice`]), or a stream that arrives
//! in pieces ([`UppercaseStream`]).
//!
//! Valid UTF-8 is converted as [`str::to_uppercase`] does it (`ß` becomes `SS`). All other bytes stay
//! unchanged, so no input is rejected. A character is a leading byte and the number of continuation bytes that
//! it requires. Invalid sequences can have this form too: overlong forms, surrogates, and code points beyond
//! U+10FFFF. They have no upper case, so they stay unchanged.
//!
//! [`in_place`] converts the text in place, up to the first character that changes its length in upper case.
//! [`append`] converts the text from this character on, into another buffer. Both process blocks of 64 bytes
//! ([`block`]). [`table`] contains the mapping.
//!
//! The work for a byte has a bound for every text, so no text takes much more time than another text of its length.
//! The benchmark `transform` measures the speed.

mod append;
mod block;
mod in_place;
mod table;
#[cfg(test)]
mod tests;

use append::append;
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// Maximum number of upper-case bytes for one byte of text.
///
/// U+0390 has this factor: its 2 bytes become three characters of 2 bytes each. RFC 9000, section 8.1, permits
/// the same factor for replies to an address that is not validated.
pub const MAX_GROWTH: usize = 3;

/// Converts `text` to upper case. The result is up to [`MAX_GROWTH`] times as long.
///
/// The function allocates memory only if a character changes its length in upper case.
pub fn uppercase(text: &mut BytesMut) {
    let converted = in_place::uppercase_until_length_changes(text);
    if converted < text.len() {
        let upper = append(&[], &text[converted..]);
        text.truncate(converted);
        text.extend_from_slice(&upper);
    }
}

/// Converts `text` to upper case in place. If a character changes its length, returns a new buffer.
///
/// ```
/// let mut text = *b"in place";
/// assert_eq!(echo_core::uppercase_slice(&mut text), &b"IN PLACE"[..]);
/// let mut text = "stra\u{df}e".to_owned().into_bytes();
/// assert_eq!(echo_core::uppercase_slice(&mut text), &b"STRASSE"[..]);
/// ```
pub fn uppercase_slice(text: &mut [u8]) -> Cow<'_, [u8]> {
    let converted = in_place::uppercase_until_length_changes(text);
    if converted == text.len() {
        return Cow::Borrowed(text);
    }
    let (converted, rest) = text.split_at(converted);
    Cow::Owned(append(converted, rest))
}

/// Whether `text` can be the reply of a server that converts to upper case.
///
/// This is true if `text` contains no lower-case ASCII letter. Numbers and requests in upper case fulfil this
/// condition too.
///
/// ```
/// assert!(echo_core::could_be_a_reply(b"HELLO, 123"));
/// assert!(!echo_core::could_be_a_reply(b"Hello"));
/// ```
#[must_use]
pub fn could_be_a_reply(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_lowercase)
}

/// Converts a text that arrives in pieces. The concatenated results are the upper case of the complete text.
/// The text can be cut at any byte.
///
/// The stream stores at most three bytes between two pieces: the first bytes of an incomplete character.
///
/// ```
/// let mut stream = echo_core::UppercaseStream::default();
/// assert_eq!(stream.push(&mut b"caf\xc3".to_owned()), &b"CAF"[..]);
/// assert_eq!(stream.push(&mut b"\xa9!".to_owned()), "É!".as_bytes());
/// assert!(stream.finish().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct UppercaseStream {
    /// The first bytes of a character. Its other bytes have not arrived.
    incomplete: [u8; 3],
    /// A `u8` saves memory: a server has one stream for each connection.
    incomplete_len: u8,
}

impl UppercaseStream {
    /// Converts the next piece of the text, in place where possible. The result is empty if no character is
    /// complete. It is at most [`MAX_GROWTH`] times as long as the stored bytes and the piece together.
    pub fn push<'a>(&mut self, piece: &'a mut [u8]) -> Cow<'a, [u8]> {
        if self.incomplete_len == 0 {
            let complete = self.keep_incomplete(piece);
            return uppercase_slice(&mut piece[..complete]);
        }
        let mut text = BytesMut::with_capacity(self.incomplete().len() + piece.len());
        text.extend_from_slice(self.incomplete());
        text.extend_from_slice(piece);
        let complete = self.keep_incomplete(&text);
        text.truncate(complete);
        uppercase(&mut text);
        Cow::Owned(text.into())
    }

    /// Stores the incomplete character at the end of `text` for the next piece. Returns the length of the text
    /// before this character.
    #[expect(clippy::cast_possible_truncation, reason = "the length is at most three")]
    fn keep_incomplete(&mut self, text: &[u8]) -> usize {
        let incomplete = incomplete_character(text);
        self.incomplete[..incomplete.len()].copy_from_slice(incomplete);
        self.incomplete_len = incomplete.len() as u8;
        text.len() - incomplete.len()
    }

    /// Ends the text. Returns the stored bytes unchanged, because they are not a complete character.
    #[must_use]
    pub fn finish(self) -> Bytes {
        Bytes::copy_from_slice(self.incomplete())
    }

    fn incomplete(&self) -> &[u8] {
        &self.incomplete[..usize::from(self.incomplete_len)]
    }
}

/// The incomplete character at the end of `piece`: at most three bytes.
fn incomplete_character(piece: &[u8]) -> &[u8] {
    let end = piece.len();
    if piece.last().is_none_or(u8::is_ascii) {
        return &[];
    }
    for length in 1..=end.min(3) {
        let tail = &piece[end - length..];
        if let Err(error) = std::str::from_utf8(tail)
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return tail;
        }
    }
    &[]
}
