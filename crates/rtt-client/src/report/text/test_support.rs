//! Functions for the tests of text output.

use super::appearance::{Charset, Styling};
use super::printer::Printer;
use std::time::Duration;
use textwrap::core::display_width;

/// The widths that the tests use: the limits and the default.
pub(super) const WIDTHS: [usize; 3] = [60, 80, 120];

/// A printer that writes Unicode without styling into memory.
pub(super) fn printer(width: usize) -> Printer<Vec<u8>> {
    Printer { out: Vec::new(), width, charset: Charset::Utf8, styling: Styling::Plain }
}

/// Returns the text that `printer` has written. Checks the width of its lines and its characters.
pub(super) fn written(printer: Printer<Vec<u8>>) -> String {
    let text = String::from_utf8(printer.out).unwrap();
    for line in text.lines() {
        assert!(display_width(line) <= printer.width, "{} columns: {line}", printer.width);
    }
    if printer.charset == Charset::Ascii {
        assert!(text.is_ascii(), "{text}");
    }
    if printer.styling == Styling::Plain {
        assert!(!text.contains('\x1b'), "{text}");
    }
    text
}

pub(super) fn microseconds(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

/// Returns the text that `write` writes at 80 columns, in Unicode and without styling. Checks that all other
/// layouts fit their width and contain the same words.
pub(super) fn in_all_layouts(
    write: impl Fn(&mut Printer<Vec<u8>>) -> std::io::Result<()>,
) -> String {
    let text = |printer: Printer<Vec<u8>>| {
        let mut printer = printer;
        write(&mut printer).unwrap();
        written(printer)
    };
    let expected = text(printer(80));
    for width in WIDTHS {
        let ascii = text(Printer { charset: Charset::Ascii, ..printer(width) });
        assert_eq!(words(&ascii), Charset::Ascii.encode(&words(&expected)), "{width} columns");
        assert_eq!(words(&text(printer(width))), words(&expected), "{width} columns");
        let styled = text(Printer { styling: Styling::BoldAndColour, ..printer(width) });
        assert!(styled.contains("\x1b[1m"), "{styled}");
        assert_eq!(words(&without_styling(&styled)), words(&expected), "{width} columns");
    }
    expected
}

/// `text` with one space between its words.
pub(super) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` without escape codes.
fn without_styling(text: &str) -> String {
    let mut pieces = text.split('\x1b');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| plain + piece.split_once('m').unwrap().1)
}
