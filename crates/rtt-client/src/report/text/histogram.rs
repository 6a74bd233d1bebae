//! The histograms of the two sides of a comparison, with a common axis.

use super::printer::Printer;
use crate::analysis::evidence::Pair;
use crate::model::format::{CommonUnit, in_common_unit, signed_nanoseconds};
use std::io::{self, Write};
use std::time::Duration;
use textwrap::core::display_width;

/// The share of the times that are outside the axis, at each end. If the axis contained all times, one stall could
/// make the axis very long. Then all other times would be in one column.
const OUTSIDE_SHARE: f64 = 0.01;

/// Writes a histogram for each side, and the axis below them. Writes nothing if both ends of
/// the axis are equal.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    pairs: &[Pair],
    names: [&str; 2],
) -> io::Result<()> {
    let times_a: Vec<Duration> = pairs.iter().filter_map(|pair| pair.a).collect();
    let times_b: Vec<Duration> = pairs.iter().filter_map(|pair| pair.b).collect();
    let Some((low, high)) = axis(times_a.iter().chain(&times_b).copied().collect()) else {
        return Ok(());
    };
    let label_width = names.map(display_width).into_iter().max().unwrap_or_default();
    // Two spaces before the label and two after it.
    let lead_width = label_width + 4;
    let width = printer.width - lead_width;
    let sides = [times_a, times_b].map(|times| columns(&times, low, high, width));
    let fullest = sides.iter().flatten().copied().max().unwrap_or_default();
    let heights = printer.charset.column_heights();
    printer.blank()?;
    printer.strong(&format!(
        "Distribution of the RTTs (the middle {:.0} %)",
        100.0 * (1.0 - 2.0 * OUTSIDE_SHARE)
    ))?;
    for (name, counts) in names.into_iter().zip(sides) {
        let bars: String = counts.iter().map(|count| heights[height(*count, fullest)]).collect();
        let padding = " ".repeat(label_width - display_width(name));
        printer.line(&format!("  {name}{padding}  {bars}"))?;
    }
    let CommonUnit { numbers, unit } = in_common_unit(&[low, high].map(signed_nanoseconds));
    let (left, right) = (format!("{} {unit}", numbers[0]), format!("{} {unit}", numbers[1]));
    let gap = width.saturating_sub(display_width(&left) + display_width(&right));
    printer.line(&format!("{}{left}{}{right}", " ".repeat(lead_width), " ".repeat(gap)))
}

/// The ends of the axis. `None` if they are equal, or if there are no times.
fn axis(mut times: Vec<Duration>) -> Option<(Duration, Duration)> {
    times.sort_unstable();
    let low = *times.get(rank(OUTSIDE_SHARE, times.len()))?;
    let high = *times.get(rank(1.0 - OUTSIDE_SHARE, times.len()))?;
    (low < high).then_some((low, high))
}

fn rank(share: f64, count: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to the count"
    )]
    let rank = (share * count as f64) as usize;
    rank.min(count.saturating_sub(1))
}

/// Counts the times in each column. Times outside the axis are not counted.
fn columns(times: &[Duration], low: Duration, high: Duration, width: usize) -> Vec<usize> {
    let mut columns = vec![0; width];
    for time in times.iter().filter(|time| (low..=high).contains(*time)) {
        let share = time.saturating_sub(low).div_duration_f64(high.saturating_sub(low));
        columns[rank(share, width)] += 1;
    }
    columns
}

/// The height of a column, from 0 to 8. A column with at least one time has at least height 1.
fn height(count: usize, fullest: usize) -> usize {
    (count * 8).div_ceil(fullest.max(1)).min(8)
}

#[cfg(test)]
mod tests {
    use super::super::appearance::Charset;
    use super::super::test_support::{WIDTHS, microseconds, printer, written};
    use super::*;

    /// A takes about 100 µs, and B takes about 150 µs. B has one stall of 20 ms.
    fn pairs() -> Vec<Pair> {
        let pair = |number: u64| Pair {
            b_first: false,
            a: Some(microseconds(100 + number % 10)),
            b: Some(microseconds(if number == 7 { 20_000 } else { 150 + number % 10 })),
        };
        (0..200).map(pair).collect()
    }

    #[test]
    fn stall_does_not_compress_the_columns() {
        for width in WIDTHS {
            let mut printer = printer(width);
            write(&mut printer, &pairs(), ["UDP", "TCP"]).unwrap();
            let text = written(printer);
            let [_, _, a, b, axis] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
            assert!(a.chars().count() < 7 + (width - 7) / 3, "{text}");
            let empty = b.chars().skip(7).take_while(|column| *column == ' ').count();
            assert!(empty > (width - 7) / 2, "{text}");
            assert!(axis.contains("100.0 µs") && axis.ends_with("159.0 µs"), "{text}");
            assert_eq!(display_width(axis), width, "{text}");
        }
    }

    #[test]
    fn ends_of_the_axis_have_one_unit() {
        let pair = |number: u64| Pair {
            b_first: false,
            a: Some(microseconds(7 + number)),
            b: Some(microseconds(1_500)),
        };
        let mut printer = printer(80);
        write(&mut printer, &(0..200).map(pair).collect::<Vec<_>>(), ["A", "B"]).unwrap();
        let text = written(printer);
        assert!(text.contains("0.011 ms") && text.ends_with("1.500 ms\n"), "{text}");
    }

    #[test]
    fn ascii_columns_consist_of_ascii_characters() {
        let mut printer = Printer { charset: Charset::Ascii, ..printer(80) };
        write(&mut printer, &pairs(), ["A", "B"]).unwrap();
        assert!(written(printer).contains('@'));
    }

    #[test]
    fn equal_times_have_no_histogram() {
        let equal = Pair { b_first: false, a: Some(microseconds(5)), b: Some(microseconds(5)) };
        for pairs in [&[][..], &[equal]] {
            let mut printer = printer(80);
            write(&mut printer, pairs, ["A", "B"]).unwrap();
            assert_eq!(written(printer), "");
        }
    }
}
