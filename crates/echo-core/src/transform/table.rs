//! What upper-casing does to the bytes of one character, looked up by those bytes.
//!
//! The tables themselves are made by `build.rs` from the standard library's mapping. Overlong forms,
//! surrogates and what lies beyond U+10FFFF need no test here: their places hold "no change".

#![expect(clippy::unreadable_literal, reason = "the included file is written by a program")]

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// What happens to the bytes of a character.
pub(super) enum Change<Bytes> {
    /// The upper case is as long: exclusive-or these bytes (little-endian) onto the character's.
    Bytes(Bytes),
    /// The upper case takes another number of bytes.
    Length,
}

/// Whether some character that begins with `byte` changes, and is not ASCII. (0xC0, 0xC1 and 0xE0
/// begin none that does; they are in so that the test is short.)
#[inline]
pub(super) fn can_change(byte: u8) -> bool {
    // Comparisons, and no table, so that the compiler makes vector instructions of them.
    matches!(byte, 0xC0..=0xE2 | 0xEA | 0xEF..=0xF0)
}

/// What happens to a sequence of two bytes that begins with 0xC0 to 0xDF.
#[inline]
pub(super) fn change_of_two(bytes: u16) -> Change<u16> {
    let code_point = usize::from(bytes & 0x1F) << 6 | usize::from(bytes >> 8 & 0x3F);
    match OF_TWO[code_point] {
        _ if bytes & 0xC000 != 0x8000 => Change::Bytes(0),
        u16::MAX => Change::Length,
        difference => Change::Bytes(difference),
    }
}

/// What happens to the three or four bytes of a character of which these are the first four bytes of
/// text, its first byte 0xE0 to 0xF0. Where they do not begin with a whole character, nothing.
#[inline]
pub(super) fn change_of_more(text: u32) -> Change<u32> {
    let [lead, second, third, fourth] = text.to_le_bytes().map(|byte| usize::from(byte & 0x3F));
    let (page, last, whole) = if text & 0xFF < 0xF0 {
        let page = PAGES_OF_THREE[(lead & 0x0F) << 6 | second];
        (page, third, text & 0xC0_C000 == 0x80_8000)
    } else {
        (PAGES_OF_FOUR[second << 6 | third], fourth, text & 0xC0C0_C000 == 0x8080_8000)
    };
    if page == 0 || !whole {
        return Change::Bytes(0);
    }
    match DIFFERENCES[usize::from(page)][last] {
        u32::MAX => Change::Length,
        difference => Change::Bytes(difference),
    }
}
