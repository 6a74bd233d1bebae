//! Generates the tables that `src/transform/table.rs` includes. The source is the mapping of the standard
//! library, so the tables always have its Unicode version.
//!
//! Each character of two or three bytes has an entry. A character of four bytes has one if it begins with 0xF0.
//! If the upper case has the same length, the entry is the exclusive-or of the UTF-8 bytes of the character
//! and of its upper case (little-endian). Otherwise, all bits of the entry are set. No exclusive-or has this
//! value, because the first bytes of two sequences of the same length have the same top bit.
//!
//! Characters of two bytes have one table with the code point as its index. Characters of three and four
//! bytes use pages. A page contains the entries of 64 characters that differ only in their last byte. All
//! sets of 64 characters without a change share page 0.

use std::fmt::Write as _;
use std::{env, fs, ops::Range, path::Path};

type Page = [u32; 64];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");

    let two: Vec<u16> = (0..0x800)
        .map(|code_point| match difference(code_point) {
            _ if code_point < 0x80 => 0, // Overlong forms do not change.
            u32::MAX => u16::MAX,
            difference => u16::try_from(difference).expect("the difference of two bytes"),
        })
        .collect();
    let mut pages: Vec<Page> = vec![[0; 64]];
    let three = index(&mut pages, 0x800..0x1_0000);
    // Characters with the first byte 0xF0.
    let four = index(&mut pages, 0x1_0000..0x4_0000);
    for code_point in 0x4_0000..=0x10_FFFF {
        assert_eq!(
            difference(code_point),
            0,
            "U+{code_point:X} is not in the tables but has an upper case"
        );
    }
    // With 256 pages, each page number of one byte is a valid index, so a look-up needs no check.
    assert!(pages.len() <= 256, "{} pages", pages.len());
    pages.resize(256, [0; 64]);

    let mut source = String::new();
    write!(
        source,
        "static OF_TWO: [u16; {}] = {two:?};\n\
         static PAGES_OF_THREE: [u8; {}] = {three:?};\n\
         static PAGES_OF_FOUR: [u8; {}] = {four:?};\n\
         static DIFFERENCES: [[u32; 64]; {}] = {pages:?};\n",
        two.len(),
        three.len(),
        four.len(),
        pages.len(),
    )
    .expect("writing to a string cannot fail");
    let directory = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&directory).join("table.rs"), source).expect("OUT_DIR is writable");
}

/// The page number of each set of 64 characters up to the end of `range`. The sets before the start of `range`
/// have page 0. The index includes these sets, because the bits of overlong forms can select them.
fn index(pages: &mut Vec<Page>, range: Range<u32>) -> Vec<u8> {
    let mut index = vec![0; range.end as usize / 64];
    for first in range.step_by(64) {
        let mut page: Page = [0; 64];
        for (code_point, entry) in (first..).zip(&mut page) {
            *entry = difference(code_point);
        }
        let number = pages.iter().position(|known| *known == page).unwrap_or_else(|| {
            pages.push(page);
            pages.len() - 1
        });
        index[first as usize / 64] = u8::try_from(number).expect("fewer than 256 pages");
    }
    index
}

/// The entry of a character, as the top of this file defines it.
fn difference(code_point: u32) -> u32 {
    // Surrogates are not characters.
    let Some(character) = char::from_u32(code_point) else {
        return 0;
    };
    let upper: String = character.to_uppercase().collect();
    let mut original = [0; 4];
    let length = character.encode_utf8(&mut original).len();
    if upper.len() != length {
        return u32::MAX;
    }
    let mut mapped = [0; 4];
    mapped[..length].copy_from_slice(upper.as_bytes());
    u32::from_le_bytes(original) ^ u32::from_le_bytes(mapped)
}
