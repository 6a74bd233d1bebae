//! [`Printer`]: writes lines that fit the width, in the charset and styling of the output.

use super::appearance::{Charset, Style, Styling};
use super::table::Table;
use std::io::{self, Write};
use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// A line break never separates a number from one of these units.
const UNITS: [&str; 6] = ["µs", "us", "ms", "s", "%", "bytes"];

/// Writes lines to `out`. No line is wider than `width`.
#[derive(Debug)]
pub(super) struct Printer<Out> {
    pub(super) out: Out,
    pub(super) width: usize,
    pub(super) charset: Charset,
    pub(super) styling: Styling,
}

impl<Out: Write> Printer<Out> {
    /// Writes a line without wrapping. The caller limits its width.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", self.charset.encode(text).trim_end())
    }

    /// Writes an empty line.
    pub(super) fn blank(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// Writes `text`, wrapped, without indentation.
    pub(super) fn paragraph(&mut self, text: &str) -> io::Result<()> {
        self.wrapped("", 0, text, None)
    }

    /// Writes a heading or a verdict, wrapped and bold.
    pub(super) fn strong(&mut self, text: &str) -> io::Result<()> {
        self.wrapped("", 0, text, Some(Style::Strong))
    }

    /// Writes `label` and then `text`, wrapped in the columns after the label.
    pub(super) fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        let label = self.charset.encode(label);
        self.wrapped(&label, display_width(&label), text, None)
    }

    /// Like [`Self::labelled`], for a label that contains escape codes of [`Styling`]. The label must not contain text
    /// from outside of this program.
    pub(super) fn with_styled_label(&mut self, label: &str, text: &str) -> io::Result<()> {
        self.wrapped(label, display_width(label), text, None)
    }

    /// Writes `lead` and `text`, wrapped. All lines except the first one start with `indent` spaces.
    pub(super) fn indented(&mut self, lead: &str, indent: usize, text: &str) -> io::Result<()> {
        let lead = self.charset.encode(lead);
        self.wrapped(&lead, indent, text, None)
    }

    /// Writes a table. The header is bold.
    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        for block in table.blocks(self.width) {
            for (place, line) in block.iter().enumerate() {
                let line = self.charset.encode(line);
                let line = line.trim_end();
                match place {
                    0 => writeln!(self.out, "{}", self.styling.apply(Style::Strong, line))?,
                    _ => writeln!(self.out, "{line}")?,
                }
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes `lead`, which has only characters of the charset, and `text`.
    fn wrapped(
        &mut self,
        lead: &str,
        indent: usize,
        text: &str,
        style: Option<Style>,
    ) -> io::Result<()> {
        let text = self.charset.encode(text);
        let styled = |line: &str| match style {
            Some(style) => self.styling.apply(style, line.trim_end()),
            None => line.trim_end().to_owned(),
        };
        // A short line needs no search for words. This saves time in a fast series.
        if display_width(lead) + display_width(&text) <= self.width {
            return writeln!(self.out, "{}", styled(&format!("{lead}{text}")));
        }
        let indent = " ".repeat(indent);
        let options = Options::new(self.width)
            .initial_indent(lead)
            .subsequent_indent(&indent)
            .word_separator(WordSeparator::Custom(words))
            .word_splitter(WordSplitter::NoHyphenation)
            .wrap_algorithm(WrapAlgorithm::FirstFit)
            // Text from a peer can contain a word that is longer than a line.
            .break_words(true);
        for line in textwrap::wrap(&text, options) {
            let line = styled(&line);
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }
}

/// Divides a line into words. A number and its unit are one word.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut words = Vec::new();
    let mut start = 0;
    for (place, _) in line.match_indices(' ') {
        let (word, after) = (&line[start..place], &line[place + 1..]);
        let next = after.split(' ').next().unwrap_or_default();
        let ends_with_digit = word.ends_with(|end: char| end.is_ascii_digit());
        let unit = next.trim_end_matches([',', '.', ';', ':', ')']);
        let is_joined = ends_with_digit && UNITS.contains(&unit);
        // Repeated spaces belong to the word before them.
        if !is_joined && !after.starts_with(' ') {
            words.push(Word::from(&line[start..=place]));
            start = place + 1;
        }
    }
    if start < line.len() || words.is_empty() {
        words.push(Word::from(&line[start..]));
    }
    Box::new(words.into_iter())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{printer, written};
    use super::*;

    fn wrapped(width: usize, text: &str) -> String {
        let mut printer = printer(width);
        printer.indented("  label  ", 9, text).unwrap();
        written(printer)
    }

    #[test]
    fn lines_never_exceed_the_width() {
        for width in [60, 80, 120] {
            for text in [
                "A".repeat(500),
                "漢".repeat(200),
                "many words ".repeat(40),
                "x".repeat(width + 1),
                String::new(),
            ] {
                let lines = wrapped(width, &text);
                assert!(lines.lines().all(|line| display_width(line) <= width), "{lines}");
                let letters = |text: &str| text.split_whitespace().collect::<String>();
                assert_eq!(letters(&lines), format!("label{}", letters(&text)));
            }
        }
    }

    #[test]
    fn words_with_hyphens_are_not_broken() {
        let text = "host-unreachable no-such-host.example.net/path and --interval ".repeat(9);
        for width in [60, 80, 120] {
            let lines = wrapped(width, &text);
            let expected = format!("label {text}");
            assert!(lines.split_whitespace().eq(expected.split_whitespace()), "{lines}");
        }
    }

    #[test]
    fn number_and_unit_are_on_one_line() {
        let text = "the RTT is 12.34 µs, (95 % confidence) 7 ms. 5 apples ".repeat(20);
        for width in 60..=120 {
            let lines = wrapped(width, &text);
            for line in lines.lines() {
                let last = line.split(' ').next_back().unwrap();
                assert!(!["12.34", "(95", "7"].contains(&last), "{lines}");
            }
        }
    }
}
