//! Generates the tables that `src/transform/table.rs` includes. The source is the mapping of the standard
//! library, so the tables always have its Unicode version.
//!
//! Each character of two or three bytes has an entry. A character of four bytes has one if it begins with 0xF0.
//! An entry is the exclusive-or of the UTF-8 bytes of the character and of its upper case (little-endian). The two
//! highest bytes are the lengths of both. There are two kinds of tables:
//!
//! - The tables of changes (`CHANGES_OF_TWO`, `CHANGES`) are small, for the conversion in place. If the upper
//!   case has another length, all bits are set. No exclusive-or has this value, because the first bytes of two
//!   sequences of the same length have the same top bit.
//! - The table `UPPERS` contains the complete entries, for the conversion to another buffer.
//!
//! A page contains the entries of 64 characters that differ only in their last byte. The first pages contain no
//! changes: page 0 is for bytes that are not a character, and page n is for characters of n bytes, from 2 to 4.

use std::fmt::Write as _;
use std::{env, fs, path::Path};

type Page = [u64; 64];

/// An entry for bytes that are not a character. They are converted byte by byte.
const NO_CHARACTER: u64 = entry_of_lengths(1, 1);

/// Number of pages in the tables: more than necessary, and a power of two. So the remainder of an index is a valid
/// index, and needs one instruction.
const PAGES: usize = 128;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");

    let changes_of_two: Vec<u16> = (0..0x800)
        .map(|code_point| match change(entry(code_point, 2)) {
            u32::MAX => u16::MAX,
            difference => u16::try_from(difference).expect("the difference of two bytes"),
        })
        .collect();
    let mut pages: Vec<Page> = vec![[NO_CHARACTER; 64]];
    pages.extend((1..=4).map(|length| [entry_of_lengths(length, length); 64]));
    // The index of characters of two bytes is the first byte. The index of characters of three bytes is the first
    // and the second byte, without two bits that all first bytes have. All bits of the second byte are part of
    // the index. So no other check of this byte is necessary.
    let two_and_three: Vec<u16> = (0..0x3000)
        .map(|index: u32| match (index >> 8, index & 0xFF) {
            (0, lead @ 0xC0..0xE0) => page(&mut pages, (lead & 0x1F) << 6, 2),
            (0x20.., second @ 0x80..0xC0) => {
                page(&mut pages, (index >> 8 & 0x0F) << 12 | (second & 0x3F) << 6, 3)
            }
            _ => 0,
        })
        .collect();
    // The index is the bits of the code point from the second and the third byte. The first byte is 0xF0.
    let four: Vec<u16> = (0..64 << 6).map(|bits| page(&mut pages, bits << 6, 4)).collect();
    for code_point in 0x4_0000..=0x10_FFFF {
        assert_eq!(
            change(entry(code_point, 4)),
            0,
            "U+{code_point:X} is not in the tables but has an upper case"
        );
    }
    assert!(pages.len() <= PAGES, "{} pages", pages.len());
    pages.resize(PAGES, [NO_CHARACTER; 64]);
    let uppers = pages.as_flattened();
    let changes: Vec<u32> = uppers.iter().map(|entry| change(*entry)).collect();

    let mut source = String::new();
    write!(
        source,
        "static CHANGES_OF_TWO: [u16; {}] = {changes_of_two:?};\n\
         static PAGES_OF_TWO_AND_THREE: [u16; {}] = {two_and_three:?};\n\
         static PAGES_OF_FOUR: [u16; {}] = {four:?};\n\
         static CHANGES: [u32; {}] = {changes:?};\n\
         static UPPERS: [u64; {}] = {uppers:?};\n",
        changes_of_two.len(),
        two_and_three.len(),
        four.len(),
        changes.len(),
        uppers.len(),
    )
    .expect("writing to a string cannot fail");
    let directory = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&directory).join("table.rs"), source).expect("OUT_DIR is writable");
}

/// The position of the page with the 64 characters of `length` bytes from the code point `first` on: the position of
/// its first entry among the entries of all pages.
fn page(pages: &mut Vec<Page>, first: u32, length: usize) -> u16 {
    let mut page = [NO_CHARACTER; 64];
    for (code_point, slot) in (first..).zip(&mut page) {
        *slot = entry(code_point, length);
    }
    let number = pages.iter().position(|known| *known == page).unwrap_or_else(|| {
        pages.push(page);
        pages.len() - 1
    });
    u16::try_from(number * page.len()).expect("few pages")
}

/// The entry of a character of `length` bytes, as the top of this file defines it.
fn entry(code_point: u32, length: usize) -> u64 {
    // Surrogates and overlong forms are not characters.
    let Some(character) = char::from_u32(code_point).filter(|char| char.len_utf8() == length)
    else {
        return NO_CHARACTER;
    };
    let upper: String = character.to_uppercase().collect();
    assert!(upper.len() <= 6, "the upper case {upper} is too long for an entry");
    let mut original = [0; 8];
    character.encode_utf8(&mut original);
    let mut mapped = [0; 8];
    mapped[..upper.len()].copy_from_slice(upper.as_bytes());
    u64::from_le_bytes(original) ^ u64::from_le_bytes(mapped)
        | entry_of_lengths(length, upper.len())
}

/// The part of an entry that contains the lengths of a character and of its upper case.
const fn entry_of_lengths(length: usize, upper: usize) -> u64 {
    (length as u64) << 48 | (upper as u64) << 56
}

/// The change of an entry, for the tables of changes.
fn change(entry: u64) -> u32 {
    let [bytes @ .., _, _, length, upper] = entry.to_le_bytes();
    if length == upper { u32::from_le_bytes(bytes) } else { u32::MAX }
}
