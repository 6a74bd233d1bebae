//! The sentences of a summary that state where exchanges were lost.

use super::printer::Printer;
use crate::analysis::loss_attribution::{LossCounts, LossRange};
use crate::model::format::{count, counted};
use crate::model::loss_place::LossPlace;
use std::io::{self, Write};

/// Writes where exchanges were lost. Writes nothing if no exchange was lost.
pub(super) fn write(printer: &mut Printer<impl Write>, losses: &LossCounts) -> io::Result<()> {
    let known = losses.places().filter(|(place, _)| *place != LossPlace::Unknown);
    let known = known.map(|(place, number)| (number, place.description()));
    let reasons = losses.reasons().map(|(reason, number)| (number, reason.description()));
    let unexplained = (losses.unexplained(), LossPlace::Unknown.description());
    let parts: Vec<String> = known
        .chain(reasons)
        .chain([unexplained])
        .filter(|(number, _)| *number > 0)
        .map(|(number, description)| format!("{} {description}", count(number)))
        .collect();
    if parts.is_empty() {
        return Ok(());
    }
    printer.paragraph(&format!("Lost: {}", parts.join(", ")))?;
    for (place, LossRange { low, high }) in losses.ranges() {
        printer.paragraph(&format!(
            "Between {} and {} exchanges were lost {}. The server's counts do not show the exact number.",
            count(low),
            count(high),
            place.description()
        ))?;
    }
    let LossCounts { refused_rate, refused_list, .. } = *losses;
    if losses.at(LossPlace::ServerLimit) == 0 {
        return Ok(());
    }
    if refused_rate > 0 {
        let requests = counted(refused_rate, "request", "requests");
        printer.paragraph(&format!(
            "The server refused {requests}, because this host exceeded its rate limit (option --rate of the server)."
        ))?;
    }
    if refused_list > 0 {
        let requests = counted(refused_list, "request", "requests");
        printer.paragraph(&format!(
            "The server refused {requests}, because of its rules for source addresses and ports."
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, printer, words, written};
    use super::*;
    use crate::model::loss_place::LossReason;

    fn text(width: usize, losses: &LossCounts) -> String {
        let mut printer = printer(width);
        write(&mut printer, losses).unwrap();
        written(printer)
    }

    #[test]
    fn losses_with_a_known_reason_are_not_at_an_unknown_place() {
        let mut losses = LossCounts::default();
        losses.add_one(None, Some(LossReason::Refused));
        assert_eq!(text(80, &losses), "Lost: 1 refused by a host or a firewall\n");
        losses.add_one(None, Some(LossReason::NoConnection));
        losses.add_one(None, Some(LossReason::ConnectionEnded));
        losses.add_one(Some(LossPlace::There), Some(LossReason::Refused));
        losses.add(LossPlace::Unknown, 2);
        assert_eq!(losses.at(LossPlace::Unknown), 5);
        assert_eq!(
            words(&text(80, &losses)),
            "Lost: 1 on the way to the server, 1 not sent because no connection was established, 1 whose connection \
             ended before the reply, 1 refused by a host or a firewall, 2 at an unknown place"
        );
    }

    #[test]
    fn places_are_listed_in_the_order_of_the_path() {
        assert_eq!(text(80, &LossCounts::default()), "");
        let mut losses = LossCounts::default();
        losses.refused_rate = 7;
        losses.add(LossPlace::Back, 1);
        losses.add(LossPlace::There, 2000);
        losses.add(LossPlace::ServerLimit, 7);
        for width in WIDTHS {
            let text = text(width, &losses);
            assert_eq!(
                words(&text),
                "Lost: 2,000 on the way to the server, 7 refused by the server's limit, 1 on the way back The server \
                 refused 7 requests, because this host exceeded its rate limit (option --rate of the server)."
            );
        }
    }
}
