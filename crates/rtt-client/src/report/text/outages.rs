//! The sentences of a summary about outages.

use super::printer::Printer;
use crate::analysis::outages::Outages;
use crate::model::condition::Condition;
use crate::model::format::{count, counted};
use crate::model::outage::Outage;
use chrono::{DateTime, Local};
use echo_core::Stamp;
use std::io::{self, Write};
use std::time::Duration;

/// Writes a line for each stored outage and, if there are several, their total.
pub(super) fn write(printer: &mut Printer<impl Write>, outages: &Outages) -> io::Result<()> {
    for outage in &outages.first {
        printer.paragraph(&sentence(outage))?;
    }
    if outages.count > 1 {
        let others = match outages.not_stored() {
            0 => String::new(),
            number => {
                let verb = if number == 1 { "is" } else { "are" };
                format!(", of which {} {verb} not listed", count(number))
            }
        };
        printer.paragraph(&format!(
            "{} outages{others}: {} in total, {}",
            count(outages.count),
            seconds(outages.duration),
            counted(outages.requests, "request", "requests")
        ))?;
    }
    Ok(())
}

fn sentence(outage: &Outage) -> String {
    let Outage { from, to, duration, requests, conditions } = outage;
    // A server that sends wrong replies is not silent.
    let correct = if conditions.contains(&Condition::WrongAnswer) { "correct " } else { "" };
    let (from, to) = if let Some(to) = to {
        let has_date = local(*from).date_naive() != local(*to).date_naive();
        (time(*from, has_date), format!("to {} {}", time(*to, has_date), zone(*to)))
    } else {
        let from = format!("{} {}", time(*from, false), zone(*from));
        (from, "until the end of the run".to_owned())
    };
    let conditions: Vec<&str> = conditions.iter().map(|condition| condition.name()).collect();
    format!(
        "No {correct}replies from {from} {to} ({}, {}: {})",
        seconds(*duration),
        counted(*requests, "request", "requests"),
        conditions.join(", ")
    )
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// A time of day in local time, with the date if the outage contains midnight.
fn time(stamp: Stamp, has_date: bool) -> String {
    let format = if has_date { "%Y-%m-%d %H:%M:%S%.3f" } else { "%H:%M:%S%.3f" };
    local(stamp).format(format).to_string()
}

/// The difference between local time and UTC.
fn zone(stamp: Stamp) -> String {
    local(stamp).format("%:z").to_string()
}

fn local(stamp: Stamp) -> DateTime<Local> {
    stamp.wall().into()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, printer, words, written};
    use super::*;

    fn outage(from: Stamp, length: Duration, conditions: &[Condition]) -> Outage {
        Outage {
            from,
            to: Some(from.later(length)),
            duration: length,
            requests: 20,
            conditions: conditions.to_vec(),
        }
    }

    fn text(width: usize, outages: &Outages) -> String {
        let mut printer = printer(width);
        write(&mut printer, outages).unwrap();
        written(printer)
    }

    fn only(outage: Outage) -> Outages {
        Outages { count: 1, requests: 20, duration: outage.duration, first: vec![outage] }
    }

    #[test]
    fn outage_is_one_line_with_its_times_and_conditions() {
        let length = Duration::from_millis(2010);
        let (from, conditions) = (Stamp::just_before(), [Condition::Silent, Condition::Refused]);
        let is_before_midnight = |stamp| time(stamp, false) < time(from.later(length), false);
        if !is_before_midnight(from) {
            return;
        }
        let (start, end) = (time(from, false), time(from.later(length), false));
        let zone = zone(from);
        let one = only(outage(from, length, &conditions));
        let expected = format!(
            "No replies from {start} to {end} {zone} (2.01 s, 20 requests: silent, refused)\n"
        );
        assert_eq!(text(120, &one), expected);
        for width in WIDTHS {
            assert_eq!(words(&text(width, &one)), words(&expected));
        }
        let wrong = only(outage(from, length, &[Condition::WrongAnswer]));
        assert!(text(120, &wrong).starts_with("No correct replies from"));
        let open = Outage { to: None, ..outage(from, length, &conditions) };
        assert!(
            text(120, &only(open))
                .contains(&format!("from {start} {zone} until the end of the run (2"))
        );
    }

    #[test]
    fn outage_over_midnight_has_dates() {
        let length = Duration::from_hours(24);
        let from = Stamp::just_before();
        let text = text(120, &only(outage(from, length, &[Condition::Silent])));
        let date = |stamp: Stamp| local(stamp).format("%Y-%m-%d ").to_string();
        assert!(text.contains(&date(from)) && text.contains(&date(from.later(length))), "{text}");
    }

    #[test]
    fn several_outages_have_a_total() {
        let first = outage(Stamp::just_before(), Duration::from_secs(1), &[Condition::Silent]);
        let mut outages = Outages {
            count: 1002,
            requests: 2040,
            duration: Duration::from_secs(90),
            first: vec![first.clone(), first],
        };
        let text = text(120, &outages);
        assert_eq!(text.lines().count(), 3, "{text}");
        let total =
            "1,002 outages, of which 1,000 are not listed: 90.00 s in total, 2,040 requests\n";
        assert!(text.ends_with(total), "{text}");
        outages.count = 3;
        let text = self::text(120, &outages);
        assert!(text.contains("3 outages, of which 1 is not listed: "), "{text}");
    }
}
