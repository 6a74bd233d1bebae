//! [`Columns`]: the columns of a table of distributions.

use super::printer::Printer;
use super::table::Unit;
use crate::analysis::statistics::{Distribution, Quantile};
use crate::model::format::count;
use std::io::{self, Write};

/// The cell of a quantile if there are too few values for it.
const UNSUPPORTED: &str = "-";

/// The columns of a table of distributions: minimum, mean, quantiles, maximum. A quantile has a column if at
/// least one distribution has enough values for it.
pub(super) struct Columns<'a> {
    distributions: Vec<&'a Distribution>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(distributions: impl IntoIterator<Item = &'a Distribution>) -> Self {
        Self { distributions: distributions.into_iter().collect() }
    }

    pub(super) fn headings(&self) -> Vec<&'static str> {
        let mut headings = vec!["min", "mean"];
        headings.extend(self.quantiles().map(Quantile::label));
        headings.push("max");
        headings
    }

    /// The cells of a distribution. It has at least one value.
    pub(super) fn cells(&self, distribution: &Distribution, unit: Unit) -> Vec<String> {
        let cell =
            |value: Option<_>| value.map_or_else(|| UNSUPPORTED.to_owned(), |it| unit.number(it));
        let (min, max) = (distribution.min(), distribution.max());
        let mut cells = vec![cell(min), cell(distribution.mean())];
        let quantiles = self.quantiles();
        cells.extend(quantiles.map(|quantile| cell(distribution.supported_quantile(quantile))));
        cells.push(cell(max));
        cells
    }

    /// Explains the cells without a value, if there are any.
    pub(super) fn write_missing(&self, printer: &mut Printer<impl Write>) -> io::Result<()> {
        let smallest = self.distributions.iter().map(|one| one.count()).min().unwrap_or_default();
        let missing: Vec<String> = self
            .quantiles()
            .filter(|quantile| quantile.min_count() > smallest)
            .map(|quantile| format!("{} needs {}", quantile.label(), count(quantile.min_count())))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        printer.paragraph(&format!(
            "{UNSUPPORTED}: this row has too few values ({})",
            missing.join(", ")
        ))
    }

    fn quantiles(&self) -> impl Iterator<Item = Quantile> {
        let largest = self.distributions.iter().map(|one| one.count()).max().unwrap_or_default();
        Quantile::ALL.into_iter().filter(move |quantile| quantile.min_count() <= largest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::MILLISECONDS;
    use super::super::test_support::{microseconds, printer, written};
    use super::*;

    fn distribution(count: u64) -> Distribution {
        let mut distribution = Distribution::default();
        (1..=count).for_each(|number| distribution.add(microseconds(number)));
        distribution
    }

    #[test]
    fn quantile_has_a_column_only_with_enough_values() {
        for (count, expected) in [
            (2, &["min", "mean", "p50", "max"][..]),
            (10, &["min", "mean", "p50", "p90", "max"]),
            (999, &["min", "mean", "p50", "p90", "p99", "max"]),
            (1000, &["min", "mean", "p50", "p90", "p99", "p99.9", "max"]),
        ] {
            let distribution = distribution(count);
            let columns = Columns::new([&distribution]);
            assert_eq!(columns.headings(), expected);
            assert_eq!(columns.cells(&distribution, MILLISECONDS).len(), expected.len());
        }
    }

    #[test]
    fn row_with_too_few_values_has_dashes_and_an_explanation() {
        let (many, few) = (distribution(100), distribution(9));
        let columns = Columns::new([&many, &few]);
        let cells = columns.cells(&few, MILLISECONDS);
        assert_eq!(cells, ["0.001", "0.005", "0.005", "-", "-", "0.009"]);
        let mut explained = printer(80);
        columns.write_missing(&mut explained).unwrap();
        assert_eq!(
            written(explained),
            "-: this row has too few values (p90 needs 10, p99 needs 100)\n"
        );
        let mut complete = printer(80);
        Columns::new([&many]).write_missing(&mut complete).unwrap();
        assert_eq!(written(complete), "");
    }
}
