//! The sentence of a summary about the variation of the delay in each direction.

use super::printer::Printer;
use crate::analysis::delay_variation::{DelayVariation, OneWayDelays};
use crate::analysis::statistics::{Distribution, Quantile};
use crate::model::format::{CommonUnit, in_common_unit, signed_nanoseconds};
use echo_core::header::ArrivalClock;
use std::io::{self, Write};
use std::time::Duration;

/// The minimum variation that the text reports. The time to wake up a program varies by less than this. This time is a part
/// of the measured delays, because the timestamps are usually from the programs.
const MIN_REPORTED: Duration = Duration::from_micros(500);

/// A part of the path is reported if its variation is at least this share of the variation of all parts.
const MIN_SHARE: f64 = 0.2;

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
    let DelayVariation { there, back, server, total, clocks, .. } = variation;
    let [all, there, server, back] = [total, there, server, back].map(spread);
    let all = all.filter(|all| *all >= MIN_REPORTED)?;
    let parts = [there?, server?, back?];
    // A program reads the clock after a datagram has waited in the receive queue of its host.
    let queue = |clock, text| if clock == ArrivalClock::Kernel { "" } else { text };
    let in_server = " (including the server's receive queue)";
    let in_client = " (including this host's receive queue)";
    let places = [
        format!("on the way there{}", queue(clocks.server, in_server)),
        "in the server".to_owned(),
        format!("on the way back{}", queue(clocks.client, in_client)),
    ];
    let CommonUnit { numbers, unit } =
        in_common_unit(&[all, parts[0], parts[1], parts[2]].map(signed_nanoseconds));
    let relevant: Vec<String> = (0..parts.len())
        .filter(|index| parts[*index] >= all.mul_f64(MIN_SHARE))
        .map(|index| format!("{} {unit} arose {}", numbers[index + 1], places[index]))
        .collect();
    if relevant.is_empty() {
        return None;
    }
    let range = if total.count() >= Quantile::P99.min_count() {
        "99th percentile above the minimum"
    } else {
        "maximum above the minimum"
    };
    Some(format!(
        "Of {} {unit} of delay variation ({range}), {}.",
        numbers[0],
        relevant.join(" and ")
    ))
}

/// The 99th percentile, or the maximum if there are too few values.
fn spread(distribution: &Distribution) -> Option<Duration> {
    distribution.supported_quantile(Quantile::P99).or(distribution.max())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, printer, words, written};
    use super::*;
    use crate::analysis::delay_variation::DelayClocks;

    fn distribution(max_us: u64) -> Distribution {
        let mut distribution = Distribution::default();
        for step in 0..=1000 {
            distribution.add(Duration::from_nanos(max_us * step));
        }
        distribution
    }

    fn text(microseconds: [u64; 3], clock: ArrivalClock, one_way: Option<OneWayDelays>) -> String {
        let [there, server, back] = microseconds;
        let variation = DelayVariation {
            there: distribution(there),
            back: distribution(back),
            server: distribution(server),
            total: distribution(there + server + back),
            one_way,
            clocks: DelayClocks { server: clock, client: clock },
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
    fn only_parts_with_a_relevant_share_are_named() {
        let kernel = |parts| text(parts, ArrivalClock::Kernel, None);
        let back = kernel([50, 10, 4000]);
        assert!(back.ends_with("3.960 ms arose on the way back."), "{back}");
        assert!(!back.contains("on the way there") && !back.contains("in the server"), "{back}");
        let there = kernel([4000, 10, 50]);
        assert!(there.ends_with("3.960 ms arose on the way there."), "{there}");
        let server = kernel([10, 4000, 50]);
        assert!(server.ends_with("3.960 ms arose in the server."), "{server}");
        let both = kernel([3000, 0, 4000]);
        assert!(both.contains("arose on the way there and 3.960 ms arose on"), "{both}");
    }

    #[test]
    fn timestamps_of_programs_include_the_receive_queues() {
        let text = text([3000, 0, 4000], ArrivalClock::Program, None);
        assert!(text.contains("on the way there (including the server's receive queue)"), "{text}");
        assert!(text.contains("on the way back (including this host's receive queue)"), "{text}");
    }

    #[test]
    fn variation_below_the_noise_is_not_reported() {
        assert_eq!(text([100, 50, 200], ArrivalClock::Program, None), "");
    }

    #[test]
    fn one_way_delays_are_reported_with_their_error() {
        let one_way = OneWayDelays {
            there: distribution(8000),
            back: distribution(6000),
            max_error: Duration::from_micros(1500),
        };
        let text = text([10, 0, 20], ArrivalClock::Kernel, Some(one_way));
        assert_eq!(
            text,
            "Median delay there: 4.000 ms; back: 3.000 ms. Both systems report synchronised clocks, with an error of at \
             most 1.500 ms."
        );
    }
}
