//! [`escape()`]: makes bytes from the network safe to show on a terminal.

use std::fmt::Write as _;

/// Converts `bytes` to text that cannot control the terminal that shows it.
///
/// Control characters, line separators and characters that change the direction of writing become escapes as
/// in a Rust literal (`\n`, `\u{1b}`). A byte that is not part of valid UTF-8 becomes an escape such as
/// `\xff`. All other characters stay unchanged. The backslash stays unchanged too, so the conversion cannot
/// be reversed.
///
/// ```
/// assert_eq!(echo_core::escape(b"\x1b[2JHI\xff\n"), "\\u{1b}[2JHI\\xff\\n");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_terminal_control(character) {
                escaped.extend(character.escape_default());
            } else {
                escaped.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    escaped
}

/// Whether a terminal can interpret `character` as a command instead of showing it.
///
/// This is true for control characters (C0, DEL, C1), for line and paragraph separators, and for characters
/// that change the direction of writing (Unicode Standard Annex 9, section 2).
///
/// ```
/// assert!(echo_core::is_terminal_control('\u{1b}'));
/// assert!(!echo_core::is_terminal_control('é'));
/// ```
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
    fn terminal_controls_are_escaped_and_text_is_unchanged() {
        for (bytes, expected) in [
            ("GRÜSSE, 世界 🦀 C:\\X".as_bytes(), "GRÜSSE, 世界 🦀 C:\\X"),
            (b"\x07\x00\x7f\r\t", "\\u{7}\\u{0}\\u{7f}\\r\\t"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("\u{202e}txt.exe\u{2066}".as_bytes(), "\\u{202e}txt.exe\\u{2066}"),
            (b"\xc3(\xe2\x82", "\\xc3(\\xe2\\x82"),
            (b"", ""),
        ] {
            assert_eq!(escape(bytes), expected);
        }
    }
}
