//! [`escape`]: a stranger's bytes, made safe to show.

use std::fmt::Write as _;

/// `bytes` as text that does nothing to the terminal it is shown on.
///
/// Control characters, line separators and the marks that turn the direction of writing become
/// escapes as in a Rust literal (`\n`, `\u{1b}`), bytes that are not UTF-8 become `\xff`. All else,
/// the backslash too, stays as it is: this is for people to read, not for programs to undo.
///
/// ```
/// assert_eq!(echo_core::escape(b"\x1b[2JHI\xff\n"), "\\u{1b}[2JHI\\xff\\n");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_terminal_control(character) {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string can't fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Whether a terminal can take `character` for more than a sign to show.
///
/// Control characters (C0, DEL, C1), line and paragraph separators, and the characters that embed,
/// override or isolate a direction of writing (Unicode Standard Annex 9, table 1).
#[must_use]
pub fn is_terminal_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_what_acts_on_a_terminal_does_not() {
        for (bytes, shown) in [
            ("GRÜSSE, 世界 🦀 C:\\X".as_bytes(), "GRÜSSE, 世界 🦀 C:\\X"),
            (b"\x07\x00\x7f\r\t", "\\u{7}\\u{0}\\u{7f}\\r\\t"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("\u{202e}txt.exe\u{2066}".as_bytes(), "\\u{202e}txt.exe\\u{2066}"),
            (b"\xc3(\xe2\x82", "\\xc3(\\xe2\\x82"),
            (b"", ""),
        ] {
            assert_eq!(escape(bytes), shown);
        }
    }
}
