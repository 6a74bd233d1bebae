//! Makes text from the network, from files and from the command line safe to show on a terminal.
//!
//! | function | input | escapes |
//! |---|---|---|
//! | [`escape()`] | bytes from a peer | as in a Rust literal: `\n`, `\u{202e}`, `\xff` |
//! | [`escape_controls`] | a line of output that can contain such text | as in a Rust literal |
//! | [`escape_json`] | a line of JSON | as JSON defines them: `\u202e` |
//!
//! # Characters with an escape
//!
//! - Control characters (C0, DEL, C1): a terminal executes them.
//! - Format characters (general category Cf), for example those that change the direction of writing (Unicode Standard
//!   Annex 9), zero-width characters, and tags. They change the order or the meaning of visible text.
//! - Line separators and paragraph separators. They can divide a line of output into several lines.
//! - Other characters without a visible form (`Default_Ignorable_Code_Point`). They can hide text. The exceptions are
//!   the variation selectors U+FE00 to U+FE0F and U+180B to U+180F. They only select a form of the character before
//!   them.
//! - Private, unassigned and surrogate code points: their form and their width are unknown.
//!
//! Spaces and combining characters stay unchanged. [`escape()`] limits the number of combining characters.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Maximum number of combining characters after one character. Further ones become escapes, because a long stack of
/// marks covers the lines above and below it. Six are enough for Vietnamese (two), pointed Hebrew (four) and Tibetan
/// (five).
const MAX_COMBINING: usize = 6;

/// Converts `bytes` to text that cannot control the terminal that shows it.
///
/// A character of the list above becomes an escape as in a Rust literal (`\n`, `\u{1b}`). A byte that is not part of
/// valid UTF-8 becomes an escape such as `\xff`. All other characters stay unchanged. The backslash stays unchanged
/// too, so the conversion cannot be reversed.
///
/// ```
/// assert_eq!(echo_core::escape(b"\x1b[2JHI\xff\n"), "\\u{1b}[2JHI\\xff\\n");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    // At the start, there is no character to combine with.
    let mut combining = MAX_COMBINING;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match form(character) {
                Form::Visible => {
                    combining = 0;
                    escaped.push(character);
                }
                Form::Combining if combining < MAX_COMBINING => {
                    combining += 1;
                    escaped.push(character);
                }
                Form::Combining | Form::Control => escaped.extend(character.escape_default()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    escaped
}

/// Replaces each character of `text` for which [`is_terminal_control`] is true by an escape as in a Rust literal. The
/// characters for which `is_kept` is true stay unchanged, for example the line feed.
///
/// ```
/// let text = echo_core::escape_controls("a\u{202e}b\n", |character| character == '\n');
/// assert_eq!(text, "a\\u{202e}b\n");
/// ```
#[must_use]
pub fn escape_controls(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |character| is_terminal_control(character) && !is_kept(character);
    replace(text, is_escaped, |escaped, character| escaped.extend(character.escape_default()))
}

/// Replaces each character of a line of JSON for which [`is_terminal_control`] is true by an escape. Such characters
/// occur only inside strings, and `\uXXXX` has the same meaning there (RFC 8259, section 7).
///
/// ```
/// assert_eq!(echo_core::escape_json("\"\u{202e}\u{e0041}\""), "\"\\u202e\\udb40\\udc41\"");
/// ```
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    replace(json, is_terminal_control, |escaped, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

/// Whether `character` is in the list at the top of `escape.rs`: a terminal can interpret it as a command, or does not
/// show it.
///
/// ```
/// assert!(echo_core::is_terminal_control('\u{1b}'));
/// assert!(echo_core::is_terminal_control('\u{202e}'));
/// assert!(!echo_core::is_terminal_control('é'));
/// ```
#[must_use]
pub fn is_terminal_control(character: char) -> bool {
    form(character) == Form::Control
}

/// Calls `add_escape` for each character for which `is_escaped` is true, and copies the others.
fn replace(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    add_escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            add_escape(&mut escaped, character);
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// How a terminal shows a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Visible,
    /// The terminal shows it together with the character before it.
    Combining,
    /// The character is in the list at the top of this file.
    Control,
}

fn form(character: char) -> Form {
    match character {
        ' '..='~' => Form::Visible,
        // Space separators (general category Zs).
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Form::Visible
        }
        // Characters without a visible form that have a general category of visible characters.
        '\u{34f}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}' => Form::Control,
        _ if !is_printable(character) => Form::Control,
        // The iterator over a printable character has more than one element only for a combining character.
        _ if character.escape_debug().len() > 1 => Form::Combining,
        _ => Form::Visible,
    }
}

/// Whether the `Debug` format of a string contains the character itself. The standard library has a table of the
/// general categories for this format. It writes an escape for the categories Cc, Cf, Cs, Co, Cn, Zl, Zp and Zs
/// (`library/core/src/unicode/printable.py`). Only at the start of a string, it also writes an escape for a combining
/// character.
fn is_printable(character: char) -> bool {
    let mut buffer = [b'a', 0, 0, 0, 0];
    let length = character.encode_utf8(&mut buffer[1..]).len();
    // The buffer always contains valid UTF-8. An error would count as "not printable".
    str::from_utf8(&buffer[..=length]).is_ok_and(|text| !text.escape_debug().any(|c| c == '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The general category Cf in Unicode 16 (DerivedGeneralCategory.txt).
    const FORMAT: [(char, char); 21] = [
        ('\u{ad}', '\u{ad}'),
        ('\u{600}', '\u{605}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{6dd}', '\u{6dd}'),
        ('\u{70f}', '\u{70f}'),
        ('\u{890}', '\u{891}'),
        ('\u{8e2}', '\u{8e2}'),
        ('\u{180e}', '\u{180e}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{202a}', '\u{202e}'),
        ('\u{2060}', '\u{2064}'),
        ('\u{2066}', '\u{206f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{fff9}', '\u{fffb}'),
        ('\u{110bd}', '\u{110bd}'),
        ('\u{110cd}', '\u{110cd}'),
        ('\u{13430}', '\u{1343f}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0001}', '\u{e0001}'),
        ('\u{e0020}', '\u{e007f}'),
    ];

    #[test]
    fn terminal_controls_are_escaped_and_text_is_unchanged() {
        for (bytes, expected) in [
            ("GRÜSSE, 世界 🦀 C:\\X \"'".as_bytes(), "GRÜSSE, 世界 🦀 C:\\X \"'"),
            (b"\x07\x00\x7f\r\t", "\\u{7}\\u{0}\\u{7f}\\r\\t"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("\u{202e}txt.exe\u{2066}".as_bytes(), "\\u{202e}txt.exe\\u{2066}"),
            ("a\u{e0041}b\u{feff}".as_bytes(), "a\\u{e0041}b\\u{feff}"),
            (b"\xc3(\xe2\x82", "\\xc3(\\xe2\\x82"),
            (b"", ""),
        ] {
            assert_eq!(escape(bytes), expected);
        }
    }

    #[test]
    fn every_format_character_and_every_other_invisible_character_is_escaped() {
        let other = [('\u{0}', '\u{1f}'), ('\u{7f}', '\u{9f}'), ('\u{2028}', '\u{2029}')];
        let hidden = [('\u{34f}', '\u{34f}'), ('\u{3164}', '\u{3164}'), ('\u{e0100}', '\u{e01ef}')];
        let unknown =
            [('\u{e000}', '\u{f8ff}'), ('\u{ffff}', '\u{ffff}'), ('\u{f0000}', '\u{10ffff}')];
        let ranges = FORMAT.into_iter().chain(other).chain(hidden).chain(unknown);
        for character in ranges.flat_map(|(first, last)| first..=last) {
            assert!(is_terminal_control(character), "{character:?}");
            let escaped = escape(character.to_string().as_bytes());
            assert!(escaped.chars().all(|c| c.is_ascii_graphic()), "{character:?}: {escaped}");
        }
    }

    #[test]
    fn text_of_many_scripts_is_unchanged() {
        for text in [
            "Tie\u{302}\u{301}ng Vi\u{323}\u{302}t",
            "שָׁלוֹם עֲלֵיכֶם",
            "नमस्ते",
            "สวัสดีครับ",
            "བོད་སྐད་",
            "東京\u{3000}大阪\u{a0}10\u{202f}%",
            "👍🏽 1\u{fe0f}\u{20e3} 🇫🇷 ❤\u{fe0f}",
        ] {
            assert_eq!(escape(text.as_bytes()), text);
            assert_eq!(escape_controls(text, |_| false), text);
            assert_eq!(escape_json(text), text);
        }
    }

    #[test]
    fn number_of_combining_characters_is_limited() {
        let marks = "\u{300}".repeat(100);
        let escaped = escape(format!("a{marks}b").as_bytes());
        assert_eq!(escaped.matches('\u{300}').count(), MAX_COMBINING);
        assert_eq!(escaped.matches("\\u{300}").count(), 100 - MAX_COMBINING);
        assert!(escaped.ends_with("}b"), "{escaped}");
        assert_eq!(escape("\u{301}a".as_bytes()), "\\u{301}a");
    }

    #[test]
    fn kept_characters_stay_unchanged() {
        let is_kept = |character| character == '\n';
        assert_eq!(escape_controls("a\nb\u{200b}\n", is_kept), "a\nb\\u{200b}\n");
    }
}
