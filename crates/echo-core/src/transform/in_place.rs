//! The inner loop of the conversion: upper case in place, up to the first character that changes its length.
//!
//! The loop converts one block of bytes at a time. ASCII letters are converted with arithmetic that the
//! compiler turns into vector instructions. This arithmetic does not change the bytes of other characters.
//!
//! Then a bit mask marks the first byte of each character that can change. For each set bit, the loop
//! converts the character: an exclusive-or of its bytes and a value from [`table`]. The position of a
//! character comes from the mask, so the processor does not wait for the length of the previous character.

use super::block::{ASCII_RUN, BLOCK, leading_bytes, uppercase_ascii};
use super::table::{self, Change};

/// A block and three more bytes, because a character that begins in the last byte can have four bytes.
const WINDOW: usize = BLOCK + 3;

/// Converts `text` to upper case in place, up to the first character that changes its length. Returns the
/// position of this character. If there is no such character, returns the length of `text`.
///
/// Some bytes after this position may be in upper case already. A second conversion does not change them.
pub(super) fn uppercase_until_length_changes(text: &mut [u8]) -> usize {
    let mut position = 0;
    while position < text.len() {
        if let Some(run) = text[position..].first_chunk_mut::<ASCII_RUN>()
            && uppercase_ascii(run)
        {
            position += ASCII_RUN;
            continue;
        }
        let end = text.len().min(position + ASCII_RUN);
        while position < end {
            let length_change = if let Some(window) = text[position..].first_chunk_mut::<WINDOW>() {
                uppercase_block(window)
            } else {
                // The last bytes, followed by zeros. A zero is not a continuation byte, so an incomplete
                // character stays unchanged.
                let rest = &mut text[position..];
                let mut window = [0; WINDOW];
                window[..rest.len()].copy_from_slice(rest);
                let length_change = uppercase_block(&mut window);
                rest.copy_from_slice(&window[..rest.len()]);
                length_change
            };
            match length_change {
                Some(offset) => return position + offset,
                None => position += BLOCK,
            }
        }
    }
    text.len()
}

/// Converts the characters that begin in the first [`BLOCK`] bytes. Returns the position of the first
/// character that changes its length, or `None`.
#[inline]
fn uppercase_block(window: &mut [u8; WINDOW]) -> Option<usize> {
    uppercase_ascii(&mut window[..BLOCK]);
    let mut mask = window.first_chunk().map_or(0, leading_bytes);
    while mask != 0 {
        let position = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        // A character of two bytes is loaded and stored as two bytes. With four bytes, the load of the next
        // character would overlap this store. The load would then wait until the store has left the store
        // buffer of the processor.
        let two = window[position..].first_chunk_mut()?;
        let bytes = u16::from_le_bytes(*two);
        if bytes & 0xFF < 0xE0 {
            match table::change_of_two(bytes) {
                Change::Bytes(difference) => *two = (bytes ^ difference).to_le_bytes(),
                Change::Length => return Some(position),
            }
        } else {
            let four = window[position..].first_chunk_mut()?;
            let bytes = u32::from_le_bytes(*four);
            match table::change_of_more(bytes) {
                Change::Bytes(0) => {}
                Change::Bytes(difference) => *four = (bytes ^ difference).to_le_bytes(),
                Change::Length => return Some(position),
            }
        }
    }
    None
}
