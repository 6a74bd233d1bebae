//! [`Table`]: rows with a label and right-aligned cells. [`Unit`]: one unit for all durations of a table.

use crate::model::format::{count, decimal};
use std::time::Duration;
use textwrap::core::display_width;

/// The number of spaces between two columns.
const GAP: usize = 2;

/// A header and rows. Labels are aligned to the left, cells to the right.
#[derive(Debug)]
pub(super) struct Table {
    indent: usize,
    header: Row,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    label: String,
    cells: Vec<String>,
}

/// A unit of time and the number of decimals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    per_second: f64,
    decimals: usize,
}

/// Milliseconds, with a resolution of 1 µs.
pub(super) const MILLISECONDS: Unit = Unit { name: "ms", per_second: 1e3, decimals: 3 };

/// Microseconds, with a resolution of 10 ns.
pub(super) const MICROSECONDS: Unit = Unit { name: "µs", per_second: 1e6, decimals: 2 };

/// Microseconds, with a resolution of 100 ns.
pub(super) const TENTHS_OF_A_MICROSECOND: Unit = Unit { name: "µs", per_second: 1e6, decimals: 1 };

/// If the time of a packet is longer, the times of all packets are in milliseconds.
const MAX_IN_MICROSECONDS: Duration = Duration::from_millis(10);

impl Table {
    /// Creates a table without rows. `label` is the header of the first column, for example the unit.
    pub(super) fn new<C: Into<String>>(
        indent: usize,
        label: impl Into<String>,
        header: impl IntoIterator<Item = C>,
    ) -> Self {
        Self { indent, header: row(label, header), rows: Vec::new() }
    }

    pub(super) fn row<C: Into<String>>(
        &mut self,
        label: impl Into<String>,
        cells: impl IntoIterator<Item = C>,
    ) {
        self.rows.push(row(label, cells));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, the header first. A table that is wider than `width` becomes several blocks.
    /// Each block contains the labels and some of the columns.
    pub(super) fn blocks(&self, width: usize) -> Vec<Vec<String>> {
        let all = || std::iter::once(&self.header).chain(&self.rows);
        let label_width =
            self.indent + all().map(|row| display_width(&row.label)).max().unwrap_or_default();
        let column_width = |column: usize| {
            let cells = all().filter_map(|row| row.cells.get(column));
            GAP + cells.map(|cell| display_width(cell)).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.header.cells.len()).map(column_width).collect();
        let mut blocks = Vec::new();
        let mut first = 0;
        while first < widths.len() {
            let mut line_width = label_width + widths[first];
            let mut end = first + 1;
            while end < widths.len() && line_width + widths[end] <= width {
                line_width += widths[end];
                end += 1;
            }
            let line = |row: &Row| {
                let mut line = " ".repeat(self.indent) + &row.label;
                pad(&mut line, label_width);
                for (cell, width) in row.cells[first..end].iter().zip(&widths[first..end]) {
                    let position = display_width(&line) + width;
                    pad(&mut line, position - display_width(cell));
                    line.push_str(cell);
                }
                line
            };
            blocks.push(all().map(line).collect());
            first = end;
        }
        blocks
    }
}

fn row<C: Into<String>>(label: impl Into<String>, cells: impl IntoIterator<Item = C>) -> Row {
    Row { label: label.into(), cells: cells.into_iter().map(Into::into).collect() }
}

/// Appends spaces until the line has `width` columns.
fn pad(line: &mut String, width: usize) {
    let missing = width.saturating_sub(display_width(line));
    line.extend(std::iter::repeat_n(' ', missing));
}

impl Unit {
    /// The unit for the times of packets. `longest` is the longest of these times.
    pub(super) fn for_packets(longest: Duration) -> Self {
        if longest > MAX_IN_MICROSECONDS { MILLISECONDS } else { TENTHS_OF_A_MICROSECOND }
    }

    /// The number, without the unit: `1,234.567`.
    pub(super) fn number(self, duration: Duration) -> String {
        let decimals = self.decimals;
        with_separators(&format!("{:.decimals$}", duration.as_secs_f64() * self.per_second))
    }

    /// The number with the unit: `1,234.567 ms`.
    pub(super) fn quantity(self, duration: Duration) -> String {
        format!("{} {}", self.number(duration), self.name)
    }
}

/// A rate with separators and at most three decimals: `1,234.5`.
pub(super) fn rate(per_second: f64) -> String {
    with_separators(&decimal(per_second))
}

/// Inserts separators into a positive decimal number.
fn with_separators(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    match whole.parse() {
        Ok(whole) => count(whole) + fraction,
        Err(_) => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_below_their_headings() {
        let mut table = Table::new(2, "µs", ["min", "max"]);
        table.row("RTT", ["1.00", "1,000.00"]);
        let lines = &table.blocks(80)[0];
        assert_eq!(lines[0], "  µs    min       max");
        assert_eq!(lines[1], "  RTT  1.00  1,000.00");
    }

    #[test]
    fn wide_table_continues_in_a_second_block() {
        let mut table = Table::new(0, "", ["first", "second", "third"]);
        table.row("label", ["1", "2", "3"]);
        let blocks = table.blocks(20);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0], ["       first  second", "label      1       2"]);
        assert_eq!(blocks[1], ["       third", "label      3"]);
    }

    #[test]
    fn numbers_have_separators_and_fixed_decimals() {
        let quantity = |nanoseconds| MILLISECONDS.quantity(Duration::from_nanos(nanoseconds));
        assert_eq!(quantity(367_401_000), "367.401 ms");
        assert_eq!(quantity(1_180_700_000), "1,180.700 ms");
        assert_eq!(quantity(1_999_999), "2.000 ms");
        assert_eq!(MICROSECONDS.quantity(Duration::from_nanos(2_170)), "2.17 µs");
        assert_eq!(MICROSECONDS.number(Duration::from_hours(1)), "3,600,000,000.00");
        assert_eq!((rate(0.5).as_str(), rate(10_000.0).as_str()), ("0.5", "10,000"));
    }
}
