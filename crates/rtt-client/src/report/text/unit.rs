//! Durations in a fixed unit, so that all figures of a table have the same unit and decimals.

use crate::model::format::count;
use std::time::Duration;

/// A unit of time and the number of decimals of figures in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    per_second: f64,
    decimals: usize,
}

/// Three decimals: a microsecond.
pub(super) const MILLISECONDS: Unit = Unit { name: "ms", per_second: 1e3, decimals: 3 };

/// Two decimals: the resolution of kernel timestamps is of this order.
pub(super) const MICROSECONDS: Unit = Unit { name: "µs", per_second: 1e6, decimals: 2 };

/// One decimal: for times of up to a few milliseconds.
pub(super) const TENTHS_OF_A_MICROSECOND: Unit = Unit { name: "µs", per_second: 1e6, decimals: 1 };

/// The longest time that packets have in microseconds.
const MAX_IN_MICROSECONDS: Duration = Duration::from_millis(10);

impl Unit {
    /// The unit for times of packets, of which `longest` is the longest.
    pub(super) fn for_packets(longest: Duration) -> Self {
        if longest > MAX_IN_MICROSECONDS { MILLISECONDS } else { TENTHS_OF_A_MICROSECOND }
    }

    /// The number, without the unit: `1,234.567`.
    pub(super) fn number(self, duration: Duration) -> String {
        let decimals = self.decimals;
        let text = format!("{:.decimals$}", duration.as_secs_f64() * self.per_second);
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        match whole.parse() {
            Ok(whole) => format!("{}.{fraction}", count(whole)),
            Err(_) => text,
        }
    }

    /// The number with the unit: `1,234.567 ms`.
    pub(super) fn quantity(self, duration: Duration) -> String {
        format!("{} {}", self.number(duration), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_separators_and_fixed_decimals() {
        let quantity = |nanoseconds| MILLISECONDS.quantity(Duration::from_nanos(nanoseconds));
        assert_eq!(quantity(367_401_000), "367.401 ms");
        assert_eq!(quantity(1_180_700_000), "1,180.700 ms");
        assert_eq!(quantity(1_999_999), "2.000 ms");
        assert_eq!(MICROSECONDS.quantity(Duration::from_nanos(2_170)), "2.17 µs");
        assert_eq!(MICROSECONDS.number(Duration::from_hours(1)), "3,600,000,000.00");
    }
}
