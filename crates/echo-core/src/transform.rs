//! Upper case of bytes: of a whole text ([`uppercase`]) and of a stream in pieces ([`UppercaseStream`]).
//!
//! What is valid UTF-8 gets its full Unicode upper case, as [`str::to_uppercase`] gives it (`ß`
//! becomes `SS`); every other byte passes unchanged, so no input is refused. Which bytes are a
//! character is told where it begins: a leading byte followed by all the continuation bytes that it
//! announces. Sequences that only look like one (overlong forms, surrogates, beyond U+10FFFF) have
//! no upper case and so pass unchanged too.
//!
//! The work is done in place, 64 bytes at a time, by [`kernel`]; only a character whose upper case
//! has another length makes the text move. The mapping itself is [`table`]'s.

mod kernel;
mod table;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use std::borrow::Cow;

/// How many bytes of upper case one byte of text can become, at most.
///
/// U+0390 (2 bytes) becomes three characters of 2 bytes each. That no character beats it is held by
/// a test over every one of them. RFC 9000, section 8.1, allows the same factor towards an address
/// that has not been validated.
pub const MAX_GROWTH: usize = 3;

/// How much text is copied ahead of the upper-casing at most, once the text has begun to move.
const LONGEST_RUN: usize = 4096;

/// How much is copied ahead just after a character that changed its length. What lies behind the
/// next such character was copied for nothing, so text that is full of them must not pay for 4 KiB
/// each time; the length doubles while none turns up.
const SHORTEST_RUN: usize = 64;

/// Turns `text` into its upper case, which may be up to [`MAX_GROWTH`] times as long.
///
/// Nothing is allocated unless a character's upper case has another length than itself.
pub fn uppercase(text: &mut BytesMut) {
    let done = kernel::uppercase_until_length_changes(text);
    if done < text.len() {
        let rest = text[done..].to_vec();
        text.truncate(done);
        append(&rest, text);
    }
}

/// The upper case of `text`, made in its place unless a character changes its length.
///
/// What a server needs that receives into the same memory again and again.
///
/// ```
/// let mut text = *b"in place";
/// assert_eq!(echo_core::uppercase_slice(&mut text), &b"IN PLACE"[..]);
/// let mut text = "stra\u{df}e".to_owned().into_bytes();
/// assert_eq!(echo_core::uppercase_slice(&mut text), &b"STRASSE"[..]);
/// ```
pub fn uppercase_slice(text: &mut [u8]) -> Cow<'_, [u8]> {
    let done = kernel::uppercase_until_length_changes(text);
    if done == text.len() {
        return Cow::Borrowed(text);
    }
    let mut upper = BytesMut::from(&text[..done]);
    append(&text[done..], &mut upper);
    Cow::Owned(upper.into())
}

/// Whether `text` can be what a server of upper case has answered: it has no small letter of ASCII.
///
/// True of more than such answers, as of numbers and of text that was in capitals from the start, but of
/// every one of them.
#[must_use]
pub fn could_be_a_reply(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_lowercase)
}

/// Upper case of a text that arrives in pieces: whatever the cuts, the pieces' answers put together
/// are the whole text's answer.
///
/// At most three bytes, the beginning of a character, wait here for the next piece.
///
/// ```
/// let mut stream = echo_core::UppercaseStream::default();
/// assert_eq!(stream.push(&mut b"caf\xc3".to_owned()), &b"CAF"[..]);
/// assert_eq!(stream.push(&mut b"\xa9!".to_owned()), "É!".as_bytes());
/// assert!(stream.finish().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct UppercaseStream {
    /// The beginning of a character whose end has not arrived.
    begun: [u8; 3],
    /// A byte, because servers have one of these for every connection.
    begun_len: u8,
}

impl UppercaseStream {
    /// The next piece of the answer, to the next piece of the text; made in its place where that can
    /// be. It can be empty while a character is incomplete, and up to [`MAX_GROWTH`] times as long as
    /// the piece and the bytes that waited.
    pub fn push<'a>(&mut self, piece: &'a mut [u8]) -> Cow<'a, [u8]> {
        if self.begun_len == 0 {
            let whole = self.keep_begun(piece);
            return uppercase_slice(&mut piece[..whole]);
        }
        let mut text = BytesMut::with_capacity(self.begun().len() + piece.len());
        text.extend_from_slice(self.begun());
        text.extend_from_slice(piece);
        let whole = self.keep_begun(&text);
        text.truncate(whole);
        uppercase(&mut text);
        Cow::Owned(text.into())
    }

    /// Keeps the character that `text` ends within for the next piece. Returns how long it is before that.
    #[expect(clippy::cast_possible_truncation, reason = "three at most")]
    fn keep_begun(&mut self, text: &[u8]) -> usize {
        let begun = begun_character(text);
        self.begun[..begun.len()].copy_from_slice(begun);
        self.begun_len = begun.len() as u8;
        text.len() - begun.len()
    }

    /// The text has ended: what still waited is no character, and passes unchanged.
    #[must_use]
    pub fn finish(self) -> Bytes {
        Bytes::copy_from_slice(self.begun())
    }

    fn begun(&self) -> &[u8] {
        &self.begun[..usize::from(self.begun_len)]
    }
}

/// Appends the upper case of `rest`, which begins with a character that changes its length.
fn append(mut rest: &[u8], upper: &mut BytesMut) {
    upper.reserve(rest.len() + rest.len() / 8);
    let mut run = SHORTEST_RUN;
    while !rest.is_empty() {
        let mut copy = &rest[..run.min(rest.len())];
        if copy.len() < rest.len() {
            copy = &copy[..copy.len() - begun_character(copy).len()];
        }
        let copied = upper.len();
        upper.extend_from_slice(copy);
        let done = kernel::uppercase_until_length_changes(&mut upper[copied..]);
        upper.truncate(copied + done);
        rest = &rest[done..];
        run = (run * 2).min(LONGEST_RUN);
        if let Some(character) = first_character(rest) {
            // Behind a run without such a character this takes one that needs no care; that is harmless.
            let mut bytes = [0; 4];
            for mapped in character.to_uppercase() {
                upper.extend_from_slice(mapped.encode_utf8(&mut bytes).as_bytes());
            }
            rest = &rest[character.len_utf8()..];
            if done < SHORTEST_RUN {
                run = SHORTEST_RUN;
            }
        }
    }
}

/// The character that `text` begins with, if its first bytes are one.
fn first_character(text: &[u8]) -> Option<char> {
    let first = &text[..text.len().min(4)];
    let chunk = first.utf8_chunks().next()?;
    chunk.valid().chars().next()
}

/// The end of `piece` that the next piece could complete to a character: three bytes at most.
fn begun_character(piece: &[u8]) -> &[u8] {
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
