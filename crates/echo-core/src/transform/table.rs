//! The mapping from the bytes of one character to their change in upper case.
//!
//! `build.rs` generates the tables from the mapping of the standard library. The index is computed from the
//! bytes of the character. Overlong forms, surrogates and code points beyond U+10FFFF need no separate check:
//! their entries mean "no change", or [`can_change`] is false for their first byte.

#![expect(clippy::unreadable_literal, reason = "the included file is generated")]

use std::hint::select_unpredictable;

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The end of the pages without a change. They are the first five pages.
const UNCHANGED: u16 = 5 * 64;

/// The entry of [`UPPERS`] for bytes that are not a character: one byte is read, and one byte is written.
const NO_CHARACTER: u64 = 1 << 48 | 1 << 56;

/// The change of a character's bytes.
pub(super) enum Change<Bytes> {
    /// The upper case has the same length. It is the exclusive-or of the character's bytes and these bytes
    /// (little-endian).
    Bytes(Bytes),
    /// The upper case has another number of bytes.
    Length,
}

/// Whether `byte` can be the first byte of a character that changes and is not ASCII. The function also returns
/// true for some other bytes. So it needs only a few ranges, and few comparisons.
#[inline]
pub(super) fn can_change(byte: u8) -> bool {
    // Comparisons instead of a table, because the compiler can turn them into vector instructions.
    matches!(byte, 0xC0..=0xE2 | 0xEA | 0xEF..=0xF0)
}

/// The change of a sequence of two bytes. The first byte is 0xC0 to 0xDF.
#[inline]
pub(super) fn change_of_two(bytes: u16) -> Change<u16> {
    let code_point = usize::from(bytes & 0x1F) << 6 | usize::from(bytes >> 8 & 0x3F);
    match CHANGES_OF_TWO[code_point] {
        _ if bytes & 0xC000 != 0x8000 => Change::Bytes(0),
        u16::MAX => Change::Length,
        difference => Change::Bytes(difference),
    }
}

/// The change of a character of three or four bytes. `text` contains four bytes, and the first one is 0xE0 to
/// 0xF0. If they do not begin with a complete character, there is no change.
#[inline]
pub(super) fn change_of_more(text: u32) -> Change<u32> {
    let [first, second, third, fourth] = text.to_le_bytes();
    let (page, last) = if first < 0xF0 {
        (page_of_two_or_three(text.swap_bytes()), third)
    } else {
        (page_of_four(second, third), fourth)
    };
    if page < UNCHANGED || !is_continuation(last) {
        return Change::Bytes(0);
    }
    match CHANGES[entry_index(page, last) % CHANGES.len()] {
        u32::MAX => Change::Length,
        difference => Change::Bytes(difference),
    }
}

/// The upper case of a sequence of bytes.
pub(super) struct Upper {
    /// Number of bytes of the sequence.
    pub(super) read: usize,
    /// The upper case (little-endian). Other bytes follow it.
    pub(super) bytes: u64,
    /// Number of bytes of the upper case, at most six.
    pub(super) written: usize,
}

/// The upper case of the character at the beginning of `text`. [`can_change`] is true for the first byte. If
/// `text` does not begin with a complete character, the result is the first byte.
///
/// For characters of two and three bytes, the function selects values instead of branches. In a text with
/// unpredictable characters, branches would take more time than all other instructions together.
#[inline]
pub(super) fn upper(text: u32) -> Upper {
    let [first, second, third, fourth] = text.to_le_bytes();
    let (page, last, character) = if first < 0xF0 {
        let is_two = first < 0xE0;
        let text_be = text.swap_bytes();
        // The last byte of the character is now the second byte from the right.
        let aligned = select_unpredictable(is_two, text_be >> 8, text_be);
        let [.., last, _] = aligned.to_be_bytes();
        let mask = select_unpredictable(is_two, 0xFFFF, 0xFF_FFFF);
        (page_of_two_or_three(aligned), last, text & mask)
    } else {
        (page_of_four(second, third), fourth, text)
    };
    let entry = UPPERS[entry_index(page, last) % UPPERS.len()];
    let entry = select_unpredictable(is_continuation(last), entry, NO_CHARACTER);
    let [.., read, written] = entry.to_le_bytes();
    Upper { read: read.into(), bytes: u64::from(character) ^ entry, written: written.into() }
}

/// The page of a character of two or three bytes. The last byte of the character is the second byte of `aligned`
/// from the right (big-endian).
#[inline]
fn page_of_two_or_three(aligned: u32) -> u16 {
    // The mask removes two bits of the first byte of a character of three bytes.
    PAGES_OF_TWO_AND_THREE[aligned as usize >> 16 & 0x2FFF]
}

/// The page of a character of four bytes with the first byte 0xF0.
#[inline]
fn page_of_four(second: u8, third: u8) -> u16 {
    if is_continuation(second) && is_continuation(third) {
        PAGES_OF_FOUR[usize::from(second & 0x3F) << 6 | usize::from(third & 0x3F)]
    } else {
        0
    }
}

/// The index of the entry for a character with the last byte `last`.
#[inline]
fn entry_index(page: u16, last: u8) -> usize {
    usize::from(page) | usize::from(last & 0x3F)
}

#[inline]
fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}
