//! Two distributions drawn one above the other on one axis.

use crate::analysis::evidence::Pair;
use crate::model::format;
use std::time::Duration;

/// How many columns a distribution has.
const WIDTH: usize = 64;

/// What share of the times at each end may lie beyond the axis: what stalls would leave everything else
/// in one column.
const BEYOND: f64 = 0.01;

/// From nothing to the fullest column.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lines of the drawing: a line of columns a side, and the axis under them. Nothing, if there are no
/// two different times.
pub(super) fn draw(pairs: &[Pair], names: [&str; 2]) -> Option<Vec<String>> {
    let of_a: Vec<Duration> = pairs.iter().filter_map(|pair| pair.a).collect();
    let of_b: Vec<Duration> = pairs.iter().filter_map(|pair| pair.b).collect();
    let mut all: Vec<Duration> = of_a.iter().chain(&of_b).copied().collect();
    all.sort_unstable();
    let low = *all.get(rank(BEYOND, all.len()))?;
    let high = *all.get(rank(1.0 - BEYOND, all.len()))?;
    if low == high {
        return None;
    }
    let [of_a, of_b] = [of_a, of_b].map(|times| columns(&times, low, high));
    let fullest = of_a.iter().chain(&of_b).copied().max()?;
    let mut lines: Vec<String> = names
        .into_iter()
        .zip([of_a, of_b])
        .map(|(name, columns)| {
            let bars: String = columns.iter().map(|count| height(*count, fullest)).collect();
            format!("  {name:<5} {}", bars.trim_end())
        })
        .collect();
    let (left, right) = (format::duration(low), format::duration(high));
    let gap = (WIDTH + 8).saturating_sub(8 + left.chars().count() + right.chars().count());
    lines.push(format!("        {left}{}{right}", " ".repeat(gap)));
    Some(lines)
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

/// How many times fall into each column; what lies beyond the axis is left out.
fn columns(times: &[Duration], low: Duration, high: Duration) -> [usize; WIDTH] {
    let mut columns = [0; WIDTH];
    for time in times.iter().filter(|time| (low..=high).contains(*time)) {
        let share = time.saturating_sub(low).div_duration_f64(high.saturating_sub(low));
        columns[rank(share, WIDTH)] += 1;
    }
    columns
}

/// No column that has anything in it looks empty.
fn height(count: usize, fullest: usize) -> char {
    HEIGHTS[(count * 8).div_ceil(fullest.max(1)).min(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_one_lies_to_the_right_and_a_stall_does_not_squeeze_it() {
        let pairs: Vec<Pair> = (0..200)
            .map(|number| Pair {
                b_first: false,
                a: Some(Duration::from_micros(100 + number % 10)),
                b: Some(match number {
                    7 => Duration::from_millis(20),
                    _ => Duration::from_micros(150 + number % 10),
                }),
            })
            .collect();
        let lines = draw(&pairs, ["UDP", "TCP"]).unwrap();
        let [a, b, axis] = &lines[..] else { panic!("{lines:?}") };
        assert!(a.trim_end().chars().count() < 30, "{a}");
        let empty = b.chars().skip(8).take_while(|column| *column == ' ').count();
        assert!(empty > 40, "{b}");
        assert!(axis.contains("100.0 µs") && axis.contains("159.0 µs"), "{axis}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        assert!(draw(&pairs[..1], ["A", "B"]).is_some());
        assert!(draw(&[], ["A", "B"]).is_none());
    }
}
