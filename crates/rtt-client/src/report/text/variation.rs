//! The sentence of a summary about the variation of the delay in each direction.

use super::printer::Printer;
use crate::analysis::delay_variation::{DelayVariation, OneWayDelays};
use crate::analysis::statistics::{Distribution, Quantile};
use crate::model::format::{CommonUnit, in_common_unit, signed_nanoseconds};
use std::io::{self, Write};
use std::time::Duration;

/// The minimum variation that the text reports. The time to wake up a program varies by less than this. This time is a part
/// of the measured delays, because the timestamps are usually from the programs.
const MIN_REPORTED: Duration = Duration::from_micros(500);

/// A direction is reported if its variation is at least this share of the variation of both directions.
const MIN_SHARE: f64 = 0.1;

/// Writes in which direction the delay varied, and the one-way delays if they are known.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    variation: &DelayVariation,
) -> io::Result<()> {
    if let Some(sentence) = sentence(variation) {
        printer.paragraph(&sentence)?;
    }
    let Some(OneWayDelays { there, back, max_error }) = &variation.one_way else { return Ok(()) };
    let (Some(there), Some(back)) = (there.median(), back.median()) else { return Ok(()) };
    let CommonUnit { numbers, unit } =
        in_common_unit(&[there, back, *max_error].map(signed_nanoseconds));
    printer.paragraph(&format!(
        "Median delay there: {} {unit}; back: {} {unit}. Both systems report synchronised clocks, with an error of at most \
         {} {unit}.",
        numbers[0], numbers[1], numbers[2]
    ))
}

fn sentence(variation: &DelayVariation) -> Option<String> {
    let [both, there, back] = [&variation.both, &variation.there, &variation.back].map(spread);
    let (both, there, back) = (both?, there?, back?);
    if both < MIN_REPORTED {
        return None;
    }
    let is_relevant = |part: Duration| part >= both.mul_f64(MIN_SHARE);
    let CommonUnit { numbers, unit } = in_common_unit(&[both, there, back].map(signed_nanoseconds));
    // A program reads the clock after a datagram has waited in the receive queue of its host.
    let [in_server, in_client] = if variation.has_kernel_timestamps {
        ["", ""]
    } else {
        [" (including the server's receive queue)", " (including this host's receive queue)"]
    };
    let parts: Vec<String> =
        [(there, &numbers[1], "there", in_server), (back, &numbers[2], "back", in_client)]
            .into_iter()
            .filter(|(part, ..)| is_relevant(*part))
            .map(|(_, number, direction, queue)| {
                format!("{number} {unit} arose on the way {direction}{queue}")
            })
            .collect();
    if parts.is_empty() {
        return None;
    }
    let range = if variation.both.count() >= Quantile::P99.min_count() {
        "99th percentile above the minimum"
    } else {
        "maximum above the minimum"
    };
    Some(format!("Of {} {unit} of delay variation ({range}), {}.", numbers[0], parts.join(" and ")))
}

/// The 99th percentile, or the maximum if there are too few values.
fn spread(distribution: &Distribution) -> Option<Duration> {
    distribution.supported_quantile(Quantile::P99).or(distribution.max())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, printer, words, written};
    use super::*;

    fn distribution(max_us: u64) -> Distribution {
        let mut distribution = Distribution::default();
        for step in 0..=1000 {
            distribution.add(Duration::from_nanos(max_us * step));
        }
        distribution
    }

    fn text(there_us: u64, back_us: u64, one_way: Option<OneWayDelays>) -> String {
        let variation = DelayVariation {
            there: distribution(there_us),
            back: distribution(back_us),
            both: distribution(there_us + back_us),
            one_way,
            has_kernel_timestamps: true,
        };
        let mut texts = WIDTHS.into_iter().map(|width| {
            let mut printer = printer(width);
            write(&mut printer, &variation).unwrap();
            words(&written(printer))
        });
        let first = texts.next().unwrap();
        assert!(texts.all(|text| text == first), "the words do not depend on the width");
        first
    }

    #[test]
    fn only_directions_with_a_relevant_share_are_named() {
        let back = text(50, 4000, None);
        assert!(back.contains("arose on the way back."), "{back}");
        assert!(!back.contains("on the way there"), "{back}");
        let there = text(4000, 50, None);
        assert!(there.contains("arose on the way there."), "{there}");
        let both = text(3000, 4000, None);
        assert!(both.contains("arose on the way there and 3.961 ms"), "{both}");
    }

    #[test]
    fn variation_below_the_noise_is_not_reported() {
        assert_eq!(text(100, 200, None), "");
    }

    #[test]
    fn one_way_delays_are_reported_with_their_error() {
        let one_way = OneWayDelays {
            there: distribution(8000),
            back: distribution(6000),
            max_error: Duration::from_micros(1500),
        };
        let text = text(10, 20, Some(one_way));
        assert_eq!(
            text,
            "Median delay there: 4.002 ms; back: 3.000 ms. Both systems report synchronised clocks, with an error of at \
             most 1.500 ms."
        );
    }
}
