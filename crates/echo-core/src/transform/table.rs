//! The mapping from the bytes of one character to their change in upper case.
//!
//! `build.rs` generates the tables from the mapping of the standard library. The index is computed from the
//! bytes of the character. Overlong forms, surrogates and code points beyond U+10FFFF need no separate check:
//! their entries mean "no change", or [`can_change`] is false for their first byte.

#![expect(clippy::unreadable_literal, reason = "the included file is generated")]

include!(concat!(env!("OUT_DIR"), "/table.rs"));

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
    match OF_TWO[code_point] {
        _ if bytes & 0xC000 != 0x8000 => Change::Bytes(0),
        u16::MAX => Change::Length,
        difference => Change::Bytes(difference),
    }
}

/// The change of a character of three or four bytes. `text` contains four bytes, and the first one is 0xE0 to
/// 0xF0. If they do not begin with a complete character, there is no change.
#[inline]
pub(super) fn change_of_more(text: u32) -> Change<u32> {
    let [lead, second, third, fourth] = text.to_le_bytes().map(|byte| usize::from(byte & 0x3F));
    let (page, last, is_complete) = if text & 0xFF < 0xF0 {
        let page = PAGES_OF_THREE[(lead & 0x0F) << 6 | second];
        (page, third, text & 0xC0_C000 == 0x80_8000)
    } else {
        (PAGES_OF_FOUR[second << 6 | third], fourth, text & 0xC0C0_C000 == 0x8080_8000)
    };
    if page == 0 || !is_complete {
        return Change::Bytes(0);
    }
    match DIFFERENCES[usize::from(page)][last] {
        u32::MAX => Change::Length,
        difference => Change::Bytes(difference),
    }
}
