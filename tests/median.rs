//! Medians of measured times, for tests that compare the times of two programs.

/// A median, and an interval for it. All values are in nanoseconds. On a loaded machine, the times vary, so the interval is
/// wide. On an idle machine, it is much narrower than the differences that the tests allow.
#[derive(Debug)]
pub struct Median {
    pub low: f64,
    pub value: f64,
    pub high: f64,
}

impl Median {
    /// The median of `values`. `None` without values.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        // Three standard deviations of the number of values below the median: 3 * sqrt(n) / 2.
        let ranks = 3 * values.len().isqrt() / 2;
        let last = values.len().checked_sub(1)?;
        Some(Self {
            low: values[middle.saturating_sub(ranks)],
            value: values[middle],
            high: values[(middle + ranks).min(last)],
        })
    }

    /// The distance between the intervals of two medians. Negative if they overlap.
    pub fn distance(&self, other: &Self) -> f64 {
        (self.low - other.high).max(other.low - self.high)
    }
}
