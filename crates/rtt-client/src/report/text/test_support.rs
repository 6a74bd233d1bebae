//! Helpers for the tests of text output.

use super::config::{Charset, Styling};
use super::printer::Printer;
use std::time::Duration;
use textwrap::core::display_width;

/// The widths that every layout must fit: the limits and the default.
pub(super) const WIDTHS: [usize; 3] = [60, 80, 120];

/// A printer into memory, with Unicode and without styling.
pub(super) fn printer(width: usize) -> Printer<Vec<u8>> {
    Printer { out: Vec::new(), width, charset: Charset::Utf8, styling: Styling::Plain }
}

/// The text that `printer` has written. Every line fits its width.
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
