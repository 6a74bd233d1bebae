//! The parts of an RTT, drawn as a bar and told in words.

use crate::analysis::statistics::BreakdownFigures;
use crate::model::breakdown::{Breakdown, NetworkAndServer};
use std::fmt::Write as _;
use std::time::Duration;

/// How many characters the bar has.
const WIDTH: usize = 60;

/// From which share of the whole on a part has a sentence of its own.
const DOMINANT: f64 = 0.4;

/// One exchange's parts, in a line.
pub(super) fn in_words(breakdown: &Breakdown) -> String {
    let Breakdown { send, network_and_server, receive } = *breakdown;
    let middle = match network_and_server {
        NetworkAndServer::Combined { duration, .. } => {
            format!("network and server {}", microseconds(duration))
        }
        NetworkAndServer::Separate { network, server } => {
            format!("network {}, server {}", microseconds(network), microseconds(server))
        }
    };
    format!("send {}, {middle}, receive {} µs", microseconds(send), microseconds(receive))
}

/// The parts' medians as a bar with a legend, and a sentence about the part that dominates.
pub(super) fn of_medians(parts: &BreakdownFigures) -> Option<String> {
    let rows = [
        ('s', "send", "application to wire", &parts.send),
        ('n', "network", "on the way, both ways", &parts.network),
        ('S', "server", "from its kernel to its reply", &parts.server),
        ('-', "network+server", "not told apart by this server", &parts.network_and_server),
        ('r', "receive", "wire to application, the waking up in it", &parts.receive),
    ];
    // Of a mixture the smaller part is left out, or the time between would be counted twice.
    let left_out =
        if parts.server_is_separate() { &["network+server"][..] } else { &["network", "server"] };
    let medians: Vec<_> = rows
        .into_iter()
        .filter(|(_, name, ..)| !left_out.contains(name))
        .filter_map(|(sign, name, meaning, part)| Some((sign, name, meaning, part.median()?)))
        .collect();
    let whole: Duration = medians.iter().map(|(.., median)| *median).sum();
    if whole.is_zero() {
        return None;
    }
    let mut text = String::from("where the time went (medians)\n  [");
    for (sign, .., median) in &medians {
        text.extend(std::iter::repeat_n(*sign, cells(*median, whole)));
    }
    text.push_str("]\n");
    for (sign, name, meaning, median) in &medians {
        let share = 100.0 * median.as_secs_f64() / whole.as_secs_f64();
        let time = microseconds(*median);
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {sign} {name:<15}{time:>9} µs {share:>3.0} %  {meaning}");
    }
    let dominant = medians.iter().max_by_key(|(.., median)| *median)?;
    if dominant.3.as_secs_f64() >= DOMINANT * whole.as_secs_f64() {
        text.push_str(&sentence(dominant.1, dominant.3, whole));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    Some(text)
}

fn sentence(name: &str, part: Duration, whole: Duration) -> String {
    let between = match name {
        "send" => "from the program's sending to the packet's leaving",
        "network" => "on the way there and back",
        "server" => "from the request's arrival at the server to its reply",
        "receive" => "from the packet's arrival to the program's waking up",
        _ => "from the packet's leaving to its reply's arrival",
    };
    format!("{} of {} µs passed {between}.", microseconds(part), microseconds(whole))
}

/// The bar's cells for a part; none is lost that has any time at all.
fn cells(part: Duration, whole: Duration) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number from 0 to the width"
    )]
    let cells = (WIDTH as f64 * part.as_secs_f64() / whole.as_secs_f64()).round() as usize;
    cells.max(usize::from(!part.is_zero()))
}

fn microseconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::statistics::Summary;

    #[test]
    fn a_part_that_dominates_has_a_sentence() {
        let mut summary = Summary::default();
        let parts = &mut summary.breakdown;
        parts.send.add(Duration::from_micros(1));
        parts.network_and_server.add(Duration::from_micros(30));
        parts.receive.add(Duration::from_micros(42));
        let text = of_medians(parts).unwrap();
        assert!(text.contains("[s-------------------------r"), "{text}");
        assert!(text.contains("42.00 of 73.00 µs passed from the packet's arrival"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(of_medians(&BreakdownFigures::default()).is_none());
    }
}
