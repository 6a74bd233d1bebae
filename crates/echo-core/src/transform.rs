//! Conversion of bytes to upper case: of a complete text ([`uppercase`], [`uppercase_slice`]) and of a stream
//! in pieces ([`UppercaseStream`]).
//!
//! Valid UTF-8 gets its full Unicode upper case, as [`str::to_uppercase`] defines it (`ß` becomes `SS`). All
//! other bytes stay unchanged, so no input is rejected. A character is a leading byte that is followed by all
//! continuation bytes that it announces. Invalid sequences of this form (overlong forms, surrogates, code
//! points beyond U+10FFFF) have no upper case, so they stay unchanged too.
//!
//! [`in_place`] converts 64 bytes at a time without moving them. Only a character whose upper case has
//! another length moves the text behind it. [`table`] contains the mapping.

mod in_place;
mod table;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// Maximum number of upper-case bytes for one byte of text.
///
/// U+0390 (2 bytes) becomes three characters of 2 bytes each. A test checks that no character exceeds this
/// factor. RFC 9000, section 8.1, permits the same factor for an address that is not validated.
pub const MAX_GROWTH: usize = 3;

/// Maximum number of bytes that are copied before they are converted, after the text has begun to move.
const MAX_RUN: usize = 4096;

/// Number of bytes that are copied after a character that changed its length. The copy of the text behind the
/// next such character is discarded, so a large copy would be slow for a text with many such characters. The
/// number doubles while there is no such character.
const MIN_RUN: usize = 64;

/// Converts `text` to upper case. The result is up to [`MAX_GROWTH`] times as long.
///
/// The function allocates only if the upper case of a character has another length than the character.
pub fn uppercase(text: &mut BytesMut) {
    let converted = in_place::uppercase_until_length_changes(text);
    if converted < text.len() {
        let rest = text[converted..].to_vec();
        text.truncate(converted);
        append(&rest, text);
    }
}

/// Converts `text` to upper case in place, or returns a new buffer if a character changes its length.
///
/// This is for a server that receives into the same buffer repeatedly.
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
    let mut upper = BytesMut::from(&text[..converted]);
    append(&text[converted..], &mut upper);
    Cow::Owned(upper.into())
}

/// Whether `text` can be the reply of a server that converts to upper case: it contains no lower-case ASCII
/// letter.
///
/// This is true for each such reply. It is also true for other texts, for example numbers and text in
/// capitals.
///
/// ```
/// assert!(echo_core::could_be_a_reply(b"HELLO, 123"));
/// assert!(!echo_core::could_be_a_reply(b"Hello"));
/// ```
#[must_use]
pub fn could_be_a_reply(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_lowercase)
}

/// Converts a text that arrives in pieces. The concatenated results are the upper case of the complete text,
/// wherever the text is cut.
///
/// The stream keeps at most three bytes between two pieces: the first bytes of an incomplete character.
///
/// ```
/// let mut stream = echo_core::UppercaseStream::default();
/// assert_eq!(stream.push(&mut b"caf\xc3".to_owned()), &b"CAF"[..]);
/// assert_eq!(stream.push(&mut b"\xa9!".to_owned()), "É!".as_bytes());
/// assert!(stream.finish().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct UppercaseStream {
    /// The first bytes of a character whose other bytes have not arrived.
    incomplete: [u8; 3],
    /// A `u8`, because a server has one stream for each connection.
    incomplete_len: u8,
}

impl UppercaseStream {
    /// Converts the next piece of the text, in place where possible. The result can be empty while a
    /// character is incomplete. It is up to [`MAX_GROWTH`] times as long as the piece and the kept bytes.
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

    /// Keeps the incomplete character at the end of `text` for the next piece. Returns the length of the text
    /// before it.
    #[expect(clippy::cast_possible_truncation, reason = "the length is at most three")]
    fn keep_incomplete(&mut self, text: &[u8]) -> usize {
        let incomplete = incomplete_character(text);
        self.incomplete[..incomplete.len()].copy_from_slice(incomplete);
        self.incomplete_len = incomplete.len() as u8;
        text.len() - incomplete.len()
    }

    /// Ends the text. Returns the kept bytes unchanged, because they are not a character.
    #[must_use]
    pub fn finish(self) -> Bytes {
        Bytes::copy_from_slice(self.incomplete())
    }

    fn incomplete(&self) -> &[u8] {
        &self.incomplete[..usize::from(self.incomplete_len)]
    }
}

/// Appends the upper case of `rest`, which begins with a character that changes its length.
fn append(mut rest: &[u8], upper: &mut BytesMut) {
    upper.reserve(rest.len() + rest.len() / 8);
    let mut run = MIN_RUN;
    while !rest.is_empty() {
        let mut copy = &rest[..run.min(rest.len())];
        if copy.len() < rest.len() {
            copy = &copy[..copy.len() - incomplete_character(copy).len()];
        }
        let start = upper.len();
        upper.extend_from_slice(copy);
        let converted = in_place::uppercase_until_length_changes(&mut upper[start..]);
        upper.truncate(start + converted);
        rest = &rest[converted..];
        run = (run * 2).min(MAX_RUN);
        if let Some(character) = first_character(rest) {
            // If the run contained no character that changes its length, this is an ordinary character.
            // Converting it here gives the same result.
            let mut bytes = [0; 4];
            for mapped in character.to_uppercase() {
                upper.extend_from_slice(mapped.encode_utf8(&mut bytes).as_bytes());
            }
            rest = &rest[character.len_utf8()..];
            if converted < MIN_RUN {
                run = MIN_RUN;
            }
        }
    }
}

/// The first character of `text`, if its first bytes are a character.
fn first_character(text: &[u8]) -> Option<char> {
    let first = &text[..text.len().min(4)];
    let chunk = first.utf8_chunks().next()?;
    chunk.valid().chars().next()
}

/// The bytes at the end of `piece` that the next piece could complete to a character: at most three.
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
