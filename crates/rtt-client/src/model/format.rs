//! Formats durations with a unit, counts and shares.

use std::time::Duration;

/// Several durations in one unit. The largest one determines the unit and the number of decimals.
pub(crate) struct CommonUnit {
    pub(crate) numbers: Vec<String>,
    pub(crate) unit: &'static str,
}

/// Formats durations, given in nanoseconds, in one unit.
pub(crate) fn in_common_unit(nanoseconds: &[i64]) -> CommonUnit {
    let largest = nanoseconds.iter().map(|duration| duration.unsigned_abs()).max().unwrap_or(0);
    let (unit, scale, decimals) = match largest {
        0..10_000 => ("µs", 1e3, 2),
        10_000..1_000_000 => ("µs", 1e3, 1),
        1_000_000..1_000_000_000 => ("ms", 1e6, 3),
        1_000_000_000.. => ("s", 1e9, 3),
    };
    #[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are 104 days")]
    let numbers =
        nanoseconds.iter().map(|duration| format!("{:.decimals$}", *duration as f64 / scale));
    CommonUnit { numbers: numbers.collect(), unit }
}

/// Formats durations, given in nanoseconds, as a list in one unit: `1.20, 3.40 µs`.
pub(crate) fn durations(nanoseconds: &[i64]) -> String {
    let CommonUnit { numbers, unit } = in_common_unit(nanoseconds);
    format!("{} {unit}", numbers.join(", "))
}

/// Converts a duration to whole nanoseconds. A duration above 584 years becomes `u64::MAX`.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Converts a duration to a signed number of nanoseconds, for differences. A duration above 292 years becomes
/// `i64::MAX`.
pub(crate) fn signed_nanoseconds(duration: Duration) -> i64 {
    i64::try_from(nanoseconds(duration)).unwrap_or(i64::MAX)
}

/// Formats a duration with its unit: `123.5 µs`.
pub(crate) fn duration(duration: Duration) -> String {
    durations(&[signed_nanoseconds(duration)])
}

/// Formats a difference, given in nanoseconds, with its sign and its unit: `-1.50 µs`.
pub(crate) fn signed(nanoseconds: i64) -> String {
    let sign = if nanoseconds >= 0 { "+" } else { "-" };
    format!("{sign}{}", durations(&[nanoseconds.saturating_abs()]))
}

/// Formats a number with a comma between groups of three digits: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number and a noun: `1 pair`, `2,000 pairs`.
pub(crate) fn counted(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(number), if number == 1 { singular } else { plural })
}

/// Formats a share of `pairs`. With fewer than 100 pairs, the text is a number of pairs. Otherwise it is a
/// percentage. A share of 1 is `all pairs`. No other share is rounded to 100 %.
pub(crate) fn share_of_pairs(share: f64, pairs: usize) -> String {
    let percent = 100.0 * share;
    if share >= 1.0 {
        "all pairs".into()
    } else if pairs < 100 {
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 100 pairs")]
        let number = share * pairs as f64;
        format!("{} of {pairs} pairs", decimal(number))
    } else if percent >= 99.5 {
        "more than 99 % of the pairs".into()
    } else if percent < 0.5 {
        "less than 1 % of the pairs".into()
    } else {
        format!("{percent:.0} % of the pairs")
    }
}

/// Formats a share between 0 and 1 as a percentage: `95 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", decimal(100.0 * share))
}

/// Formats a number with at most three decimals, without zeros at the end.
pub(crate) fn decimal(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Joins names to one text. With the conjunction `or`: `A, B or C`.
pub(crate) fn joined(names: &[&str], conjunction: &str) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [others @ .., last] => format!("{} {conjunction} {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_name_follows_the_conjunction() {
        assert_eq!(joined(&["A"], "or"), "A");
        assert_eq!(joined(&["A", "B"], "and"), "A and B");
        assert_eq!(joined(&["A", "B", "C"], "or"), "A, B or C");
    }

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(durations(&[870, 830, 910]), "0.87, 0.83, 0.91 µs");
        assert_eq!(durations(&[123_456]), "123.5 µs");
        assert_eq!(durations(&[9_876_543]), "9.877 ms");
        assert_eq!(durations(&[2_500_000_000]), "2.500 s");
    }

    #[test]
    fn numbers_have_signs_and_separators() {
        assert_eq!((signed(-1500).as_str(), signed(0).as_str()), ("-1.50 µs", "+0.00 µs"));
        assert_eq!((count(999).as_str(), count(1_234_567).as_str()), ("999", "1,234,567"));
        assert_eq!(counted(1, "pair", "pairs"), "1 pair");
        assert_eq!(counted(2000, "pair", "pairs"), "2,000 pairs");
        assert_eq!((decimal(95.0).as_str(), decimal(99.9).as_str()), ("95", "99.9"));
        assert_eq!(percent(0.999), "99.9 %");
    }

    #[test]
    fn share_of_pairs_is_a_percentage_or_a_small_number_of_pairs() {
        for (share, pairs, expected) in [
            (0.97, 2000, "97 % of the pairs"),
            (0.9999, 20_000, "more than 99 % of the pairs"),
            (0.001, 2000, "less than 1 % of the pairs"),
            (1.0, 2000, "all pairs"),
            (0.9375, 16, "15 of 16 pairs"),
        ] {
            assert_eq!(share_of_pairs(share, pairs), expected);
        }
    }
}
