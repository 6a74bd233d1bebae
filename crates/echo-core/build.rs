//! Makes the tables that `src/transform/table.rs` includes, from the standard library's own mapping,
//! so that the two can't be of different Unicode versions.
//!
//! What a table holds for a character is the exclusive-or of its UTF-8 bytes and its upper case's
//! (little-endian), if both are as long; all ones if not. No difference looks like that, because the
//! first bytes of two sequences of one length agree in their top bit at least.
//!
//! Characters of two bytes have a table of their own, indexed by code point. For longer ones a *page*
//! is the 64 characters that share all bytes but the last; pages without any change are all page 0.

use std::fmt::Write as _;
use std::{env, fs, ops::Range, path::Path};

type Page = [u32; 64];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");

    let two: Vec<u16> = (0..0x800)
        .map(|code_point| match difference(code_point) {
            _ if code_point < 0x80 => 0, // Overlong forms, which change nothing.
            u32::MAX => u16::MAX,
            difference => u16::try_from(difference).expect("two bytes differ"),
        })
        .collect();
    let mut pages: Vec<Page> = vec![[0; 64]];
    let three = index(&mut pages, 0x800..0x1_0000);
    // What begins with byte 0xF0.
    let four = index(&mut pages, 0x1_0000..0x4_0000);
    for beyond in 0x4_0000..=0x10_FFFF {
        assert_eq!(difference(beyond), 0, "U+{beyond:X} has an upper case, beyond the tables");
    }
    // As many as a byte can count, so that no look-up needs a test.
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
    .expect("a string takes all that is written");
    let directory = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&directory).join("table.rs"), source).expect("OUT_DIR can be written");
}

/// The page of each group of 64 characters up to the end of `range`. Groups before its beginning are
/// there because the bits of overlong forms name them; they are page 0.
fn index(pages: &mut Vec<Page>, range: Range<u32>) -> Vec<u8> {
    let mut index = vec![0; range.end as usize / 64];
    for first in range.step_by(64) {
        let mut page: Page = [0; 64];
        for (code_point, place) in (first..).zip(&mut page) {
            *place = difference(code_point);
        }
        let number = pages.iter().position(|known| *known == page).unwrap_or_else(|| {
            pages.push(page);
            pages.len() - 1
        });
        index[first as usize / 64] = u8::try_from(number).expect("fewer than 256 pages");
    }
    index
}

fn difference(code_point: u32) -> u32 {
    // Surrogates are no characters.
    let Some(character) = char::from_u32(code_point) else {
        return 0;
    };
    let upper: String = character.to_uppercase().collect();
    let mut plain = [0; 4];
    let length = character.encode_utf8(&mut plain).len();
    if upper.len() != length {
        return u32::MAX;
    }
    let mut mapped = [0; 4];
    mapped[..length].copy_from_slice(upper.as_bytes());
    u32::from_le_bytes(plain) ^ u32::from_le_bytes(mapped)
}
