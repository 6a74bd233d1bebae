//! [`NumberField`]: the number and the token of a request, and their position.

use super::token::{self, TOKEN_LEN, TokenKey};
use super::{NUMBER_LEN, Numbering, SPACE_LEN};
use echo_core::header;
use std::ops::Range;

/// The positions of the number and of the token in a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberField {
    /// The position of the number. A header, or bytes that replace it, precede the number.
    offset: usize,
    numbering: Numbering,
    token_key: TokenKey,
    token_len: usize,
}

impl NumberField {
    /// The fields of requests with a header of `offset` bytes. `space` is the maximum length of the token.
    pub(super) fn new(offset: usize, numbering: Numbering, space: usize) -> Self {
        let token_len = match numbering {
            Numbering::Numbered => space.min(TOKEN_LEN),
            Numbering::Unnumbered => 0,
        };
        Self { offset, numbering, token_key: TokenKey::random(), token_len }
    }

    /// Chooses a new key for the tokens.
    pub(super) fn choose_key(&mut self) {
        self.token_key = TokenKey::random();
    }

    /// Writes the number and the token of request `seq` into a request or a reply.
    pub(super) fn write(&self, bytes: &mut [u8], seq: u64) {
        if self.numbering == Numbering::Numbered {
            let (number, rest) = bytes[self.offset..].split_at_mut(NUMBER_LEN);
            header::write_digits(number, seq);
            self.token_key.write(seq, &mut rest[..self.token_len]);
        }
    }

    /// The number in a request or a reply. Returns `None` if there is none.
    pub(super) fn parse(&self, bytes: &[u8]) -> Option<u64> {
        let digits = bytes.get(self.offset..self.offset + NUMBER_LEN)?;
        (self.numbering == Numbering::Numbered).then(|| header::parse_digits(digits)).flatten()
    }

    /// The position of the number.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The position of the token.
    pub(super) fn token(&self) -> Range<usize> {
        self.end() - self.token_len..self.end()
    }

    /// The number of bits in a token. Absent without a number.
    pub(super) fn token_bits(&self) -> Option<u32> {
        (self.numbering == Numbering::Numbered).then(|| token::bits_of(self.token_len))
    }

    /// The position after the number and the token.
    pub(super) fn end(&self) -> usize {
        match self.numbering {
            Numbering::Numbered => self.offset + NUMBER_LEN + self.token_len,
            Numbering::Unnumbered => self.offset,
        }
    }

    /// The position of the user's text.
    pub(super) fn text_offset(&self) -> usize {
        match self.numbering {
            Numbering::Numbered => self.end() + SPACE_LEN,
            Numbering::Unnumbered => self.end(),
        }
    }
}
