//! Bold text and colours, as escape codes of the terminal.

use super::config::Styling;
use anstyle::{AnsiColor, Effects, Style as AnsiStyle};

/// The emphasis of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A heading, or the verdict of a comparison.
    Strong,
    /// The segment with this index, from 0, of a stacked bar.
    Segment(usize),
}

/// The colours of neighbouring segments of a bar.
const SEGMENT_COLOURS: [AnsiColor; 4] =
    [AnsiColor::Blue, AnsiColor::Green, AnsiColor::Yellow, AnsiColor::Magenta];

impl Styling {
    /// `text` between the escape codes of `style`, as far as this styling allows them.
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
    fn escape_codes_appear_only_where_the_styling_allows_them() {
        for style in [Style::Strong, Style::Segment(5)] {
            assert_eq!(Styling::Plain.apply(style, "text"), "text");
        }
        assert_eq!(Styling::Bold.apply(Style::Strong, "text"), "\x1b[1mtext\x1b[0m");
        assert_eq!(Styling::Bold.apply(Style::Segment(0), "text"), "text");
        let coloured = Styling::BoldAndColour.apply(Style::Segment(0), "text");
        assert_eq!(coloured, "\x1b[34mtext\x1b[0m");
    }
}
