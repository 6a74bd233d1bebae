//! [`Table`]: rows with a label and right-aligned cells.

use textwrap::core::display_width;

/// The distance between two columns.
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

impl Table {
    /// A table without rows. `label` stands above the labels, for example with the unit of the cells.
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

    /// The lines of the table, the header first. If the table is wider than `width`, several blocks
    /// hold some of the columns each, and every block repeats the labels.
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

/// Appends spaces up to the column `width`.
fn pad(line: &mut String, width: usize) {
    let missing = width.saturating_sub(display_width(line));
    line.extend(std::iter::repeat_n(' ', missing));
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
    fn a_table_that_is_too_wide_continues_in_a_second_block() {
        let mut table = Table::new(0, "", ["first", "second", "third"]);
        table.row("label", ["1", "2", "3"]);
        let blocks = table.blocks(20);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0], ["       first  second", "label      1       2"]);
        assert_eq!(blocks[1], ["       third", "label      3"]);
    }
}
