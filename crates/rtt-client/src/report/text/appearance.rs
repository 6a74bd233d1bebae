//! The appearance of a text report: width, characters, bold text and colours.

use anstyle::{AnsiColor, Effects, Style as AnsiStyle};
use echo_core::{escape_controls, is_terminal_control};
use std::borrow::Cow;

/// The appearance of a text report. The report itself reads neither the environment nor the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextConfig {
    /// The number of columns of a line. The report limits it to the range from [`Self::MIN_WIDTH`] to
    /// [`Self::MAX_WIDTH`].
    pub width: usize,
    /// The number of columns of an error message. `None`: each message is one line.
    pub error_width: Option<usize>,
    /// The characters that the report may use.
    pub charset: Charset,
    /// The escape codes that the report may use.
    pub styling: Styling,
    /// Whether the report omits the line for each exchange of a series.
    pub quiet: bool,
}

/// The characters that a report may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode, as UTF-8.
    Utf8,
    /// ASCII only. The report replaces other characters, for example `µs` by `us`.
    Ascii,
}

/// The escape codes that a report may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Styling {
    /// No escape codes.
    Plain,
    /// Bold headings.
    Bold,
    /// Bold headings and coloured bars.
    BoldAndColour,
}

/// The emphasis of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A heading, or the verdict of a comparison.
    Strong,
    /// The segment with this index, from 0, of a stacked bar.
    Segment(usize),
}

/// The colours of the segments of a bar. Neighbours have different colours.
const SEGMENT_COLOURS: [AnsiColor; 4] =
    [AnsiColor::Blue, AnsiColor::Green, AnsiColor::Yellow, AnsiColor::Magenta];

impl TextConfig {
    /// The narrowest layout. Tables and diagrams need this width.
    pub const MIN_WIDTH: usize = 60;
    /// The widest layout. Longer lines of prose are hard to read.
    pub const MAX_WIDTH: usize = 120;
    /// The width of output that does not go to a terminal.
    pub const DEFAULT_WIDTH: usize = 80;
}

impl Default for TextConfig {
    /// The appearance of output that does not go to a terminal.
    fn default() -> Self {
        Self {
            width: Self::DEFAULT_WIDTH,
            error_width: None,
            charset: Charset::Utf8,
            styling: Styling::Plain,
            quiet: false,
        }
    }
}

impl Charset {
    /// Returns `text` in the characters of this set.
    ///
    /// A character that could control the terminal becomes an escape as in a Rust literal: `\u{1b}`. The text can contain a
    /// name, a path or an error of the system, so this is the last place where such a character is detected.
    ///
    /// [`Charset::Ascii`] replaces the characters that reports use by similar ones. Any other character, for
    /// example one from a reply, becomes an escape as in a Rust literal: `\u{e9}`.
    pub(super) fn encode(self, text: &str) -> Cow<'_, str> {
        if self == Self::Utf8 || text.is_ascii() {
            return escape_controls(text, |_| false);
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
                character if is_terminal_control(character) => {
                    encoded.extend(character.escape_default());
                }
                character if character.is_ascii() => encoded.push(character),
                other => encoded.extend(other.escape_unicode()),
            }
        }
        Cow::Owned(encoded)
    }

    /// The fill characters of the segments of a stacked bar. Neighbours differ even without colours.
    pub(super) fn bar_fills(self) -> [char; 4] {
        match self {
            Self::Utf8 => ['░', '▓', '▒', '█'],
            Self::Ascii => ['.', '#', '=', '@'],
        }
    }

    /// The characters of a histogram's columns, from empty to full.
    pub(super) fn column_heights(self) -> [char; 9] {
        match self {
            Self::Utf8 => [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Self::Ascii => [' ', '.', ':', '-', '=', '+', '*', '#', '@'],
        }
    }
}

impl Styling {
    /// Returns `text` between the escape codes of `style`. Codes that this styling does not allow are
    /// omitted.
    pub(super) fn apply(self, style: Style, text: &str) -> String {
        let style = match (self, style) {
            (Self::Bold | Self::BoldAndColour, Style::Strong) => {
                AnsiStyle::new().effects(Effects::BOLD)
            }
            (Self::BoldAndColour, Style::Segment(index)) => {
                let colour = SEGMENT_COLOURS[index % SEGMENT_COLOURS.len()];
                AnsiStyle::new().fg_color(Some(colour.into()))
            }
            _ => AnsiStyle::new(),
        };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_replaces_known_characters_and_escapes_others() {
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
    fn terminal_controls_are_escaped_in_every_charset() {
        for (text, expected) in [
            ("\x1b[31mred\n", "\\u{1b}[31mred\\n"),
            ("\u{202e}é", "\\u{202e}é"),
            ("\u{9b}2J", "\\u{9b}2J"),
        ] {
            assert_eq!(Charset::Utf8.encode(text), expected);
            assert_eq!(Charset::Ascii.encode(text), expected.replace('é', "\\u{e9}"));
        }
    }

    #[test]
    fn ascii_drawings_use_ascii_characters() {
        assert!(Charset::Ascii.bar_fills().iter().all(char::is_ascii));
        assert!(Charset::Ascii.column_heights().iter().all(char::is_ascii));
    }

    #[test]
    fn escape_codes_appear_only_if_the_styling_allows_them() {
        for style in [Style::Strong, Style::Segment(5)] {
            assert_eq!(Styling::Plain.apply(style, "text"), "text");
        }
        assert_eq!(Styling::Bold.apply(Style::Strong, "text"), "\x1b[1mtext\x1b[0m");
        assert_eq!(Styling::Bold.apply(Style::Segment(0), "text"), "text");
        let coloured = Styling::BoldAndColour.apply(Style::Segment(0), "text");
        assert_eq!(coloured, "\x1b[34mtext\x1b[0m");
    }
}
