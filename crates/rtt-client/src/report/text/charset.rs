//! Replaces characters that the output cannot show.

use super::config::Charset;
use std::borrow::Cow;

impl Charset {
    /// `text` in the characters of this set.
    ///
    /// ASCII has replacements for the characters that reports use. Any other character, for example of a
    /// reply, becomes an escape as in a Rust literal: `\u{e9}`.
    pub(super) fn encode(self, text: &str) -> Cow<'_, str> {
        if self == Self::Utf8 || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let mut encoded = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                // The micro sign, and the Greek letter that looks the same.
                '\u{b5}' | '\u{3bc}' => encoded.push('u'),
                '\u{a0}' => encoded.push(' '),
                '‐' | '‑' | '–' | '—' | '−' => encoded.push('-'),
                '±' => encoded.push_str("+/-"),
                '…' => encoded.push_str("..."),
                '→' => encoded.push_str("->"),
                '←' => encoded.push_str("<-"),
                '×' => encoded.push('x'),
                '≤' => encoded.push_str("<="),
                '≥' => encoded.push_str(">="),
                '“' | '”' => encoded.push('"'),
                '‘' | '’' => encoded.push('\''),
                character if character.is_ascii() => encoded.push(character),
                other => encoded.extend(other.escape_unicode()),
            }
        }
        Cow::Owned(encoded)
    }

    /// The characters of the segments of a stacked bar: neighbours differ also without colour.
    pub(super) fn bar_fills(self) -> [char; 4] {
        match self {
            Self::Utf8 => ['░', '▓', '▒', '█'],
            Self::Ascii => ['.', '#', '=', '@'],
        }
    }

    /// The characters of the columns of a histogram, from empty to full.
    pub(super) fn column_heights(self) -> [char; 9] {
        match self {
            Self::Utf8 => [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Self::Ascii => [' ', '.', ':', '-', '=', '+', '*', '#', '@'],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_replaces_the_characters_of_reports_and_escapes_all_others() {
        for (text, expected) in [
            ("12.3 µs ± 0.1 µs", "12.3 us +/- 0.1 us"),
            ("sent → received – late…", "sent -> received - late..."),
            ("GRÜSSE 世", "GR\\u{dc}SSE \\u{4e16}"),
            ("plain", "plain"),
        ] {
            assert_eq!(Charset::Ascii.encode(text), expected);
            assert_eq!(Charset::Utf8.encode(text), text);
        }
    }

    #[test]
    fn ascii_drawings_use_ascii_characters() {
        assert!(Charset::Ascii.bar_fills().iter().all(char::is_ascii));
        assert!(Charset::Ascii.column_heights().iter().all(char::is_ascii));
    }
}
