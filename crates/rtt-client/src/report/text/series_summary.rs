//! The summary of a series: counts, a table of times, and the statistics of the kernel.

use super::breakdown_bar;
use super::losses;
use super::outages;
use super::printer::Printer;
use super::quantiles::Columns;
use super::single_exchange::ReplyText;
use super::table::{self, MILLISECONDS, Table};
use super::variation;
use crate::analysis::statistics::{ColdStart, Distribution, Summary};
use crate::model::format::{CommonUnit, count, counted, in_common_unit, signed_nanoseconds};
use crate::model::traffic::KernelStatistics;
use crate::plan::Plan;
use std::io::{self, Write};
use std::time::Duration;

/// Writes the summary of a series.
pub(super) fn write(
    printer: &mut Printer<impl Write>,
    plan: &Plan,
    summary: &Summary,
) -> io::Result<()> {
    printer.blank()?;
    counts(printer, summary)?;
    times(printer, summary, ReplyText::of(plan))?;
    if let Some(ttl) = summary.reply_ttl {
        printer
            .labelled(&format!("{:<17}  {:>9}  ", "reply TTL", ttl.range()), &ttl.to_string())?;
    }
    if let Some(rate) = plan.settings.rate {
        achieved_rate(printer, rate, summary)?;
    }
    if let Some(delays) = &summary.variation {
        variation::write(printer, delays)?;
    }
    if let Some(info) = &summary.kernel_statistics {
        let title = plan.protocol.title;
        printer.paragraph(&format!("{title} statistics of the kernel: {}", kernel(info)))?;
    }
    breakdown(printer, summary)?;
    summary.notes.iter().try_for_each(|note| printer.paragraph(note))
}

fn counts(printer: &mut Printer<impl Write>, summary: &Summary) -> io::Result<()> {
    let Summary { sent, received, lost, corrupt, duration, .. } = *summary;
    let requests = if summary.lost_where.includes_unsent() {
        counted(sent, "request", "requests")
    } else {
        format!("{} sent", count(sent))
    };
    printer.paragraph(&format!(
        "{requests}, {} received, {} lost{}, {} corrupt, in {:.3} s",
        count(received),
        count(lost),
        share(lost, sent),
        count(corrupt),
        duration.as_secs_f64()
    ))?;
    losses::write(printer, &summary.lost_where)?;
    outages::write(printer, &summary.outages)?;
    let unusual: Vec<String> = [
        (summary.duplicates, "duplicate"),
        (summary.out_of_order, "out of order"),
        (summary.late, "late (their requests count as lost)"),
        (summary.unmatched, "without a matching request"),
        (summary.wrong_token, "with a wrong token"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, name)| format!("{} {name}", count(number)))
    .collect();
    if unusual.is_empty() {
        return Ok(());
    }
    printer.paragraph(&format!("Unusual replies: {}", unusual.join(", ")))
}

/// Writes the distributions as a table. A distribution with only one value has a separate line, because its
/// row would repeat the value in each column.
fn times(printer: &mut Printer<impl Write>, summary: &Summary, reply: ReplyText) -> io::Result<()> {
    let rows = rows(summary, reply);
    let (several, single): (Vec<_>, Vec<_>) =
        rows.iter().partition(|(_, distribution)| distribution.count() > 1);
    let columns = Columns::new(several.iter().map(|(_, distribution)| *distribution));
    let mut table = Table::new(0, format!("times in {}", MILLISECONDS.name), columns.headings());
    for (label, distribution) in &several {
        table.row(*label, columns.cells(distribution, MILLISECONDS));
    }
    if !rows.is_empty() {
        printer.blank()?;
    }
    if !table.is_empty() {
        printer.table(&table)?;
        columns.write_missing(printer)?;
    }
    for (label, distribution) in single {
        if let Some(value) = distribution.min() {
            line(printer, label, value, "measured once")?;
        }
    }
    if let Some(deviation) = summary.rtt.stddev() {
        line(printer, "std. deviation", deviation, "of the RTT")?;
    }
    if let Some(jitter) = summary.jitter.estimate() {
        line(printer, "jitter", jitter, "smoothed change between RTTs, RFC 3550")?;
    }
    cold_start(printer, summary)
}

fn line(
    printer: &mut Printer<impl Write>,
    label: &str,
    value: Duration,
    note: &str,
) -> io::Result<()> {
    let value = MILLISECONDS.quantity(value);
    printer.labelled(&format!("{label:<17}  {value:>9}  "), &format!("({note})"))
}

/// The distributions with at least one value.
fn rows(summary: &Summary, reply: ReplyText) -> Vec<(&'static str, &Distribution)> {
    let mut rows = vec![("RTT", &summary.rtt)];
    // Without a defined end of the replies, the RTT ends with the first bytes, so this row would repeat its row.
    if reply.has_end() {
        rows.push(("first byte", &summary.first_byte));
    }
    rows.extend([
        ("RTT from schedule", &summary.rtt_from_schedule),
        ("send delay", &summary.lateness),
    ]);
    rows.extend(summary.phases.iter().map(|(phase, durations)| (phase.name, durations)));
    if summary.phases.len() > 1 {
        rows.push(("all phases", &summary.connect));
    }
    // If all exchanges are of one kind, this row would repeat the row of the RTT.
    if summary.first_exchange.count() > 0 && summary.later_exchanges.count() > 0 {
        rows.push(("first exchange", &summary.first_exchange));
        rows.push(("later exchanges", &summary.later_exchanges));
    }
    rows.push(("close", &summary.close));
    rows.retain(|(_, distribution)| distribution.count() > 0);
    rows
}

fn cold_start(printer: &mut Printer<impl Write>, summary: &Summary) -> io::Result<()> {
    let Some(cold_start) = summary.cold_start() else { return Ok(()) };
    let ColdStart { connections, is_consistent, .. } = cold_start;
    let [first, later] =
        [cold_start.first, cold_start.later].map(|time| MILLISECONDS.quantity(time));
    if connections == 1 {
        return printer.paragraph(&format!(
            "The first exchange on the connection took {first}, the median of the later ones is {later}. This is only one \
             value, so the difference can be chance."
        ));
    }
    let conclusion = if is_consistent {
        "This is a cold start: the server must first accept the connection, and the caches of the CPUs and of the network \
         stack are still empty."
    } else {
        "The difference is not consistent, or there are too few connections, so it can be chance."
    };
    printer.paragraph(&format!(
        "The first exchange on a connection takes {first}, a later one {later} (medians, {} connections). {conclusion}",
        count(connections)
    ))
}

/// Writes the achieved request rate. Between n requests there are n - 1 intervals.
fn achieved_rate(
    printer: &mut Printer<impl Write>,
    rate: f64,
    summary: &Summary,
) -> io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
    let achieved = (summary.sent + summary.in_flight).saturating_sub(1) as f64
        / summary.send_duration.as_secs_f64();
    if !achieved.is_finite() {
        return Ok(());
    }
    printer.paragraph(&format!(
        "Request rate: {} per second; requested: {}. \"RTT from schedule\" starts at the scheduled send \
         time, \"RTT\" at the actual send time.",
        table::rate((achieved * 10.0).round() / 10.0),
        table::rate(rate)
    ))?;
    if let Some(slow_host) = &summary.slow_host {
        printer.paragraph(&slow_host.explanation())?;
    }
    let Some(queue) = summary.receive_queue.filter(|queue| queue.granted < queue.requested) else {
        return Ok(());
    };
    printer.paragraph(&format!(
        "Receive queue of this host: {} bytes; needed for all replies in flight: {} bytes. If the client pauses, replies \
         can be lost in this queue. `sysctl net.core.rmem_max` limits its size.",
        count(queue.granted as u64),
        count(queue.requested as u64)
    ))
}

fn kernel(info: &KernelStatistics) -> String {
    let mut parts = Vec::new();
    if let Some(rtt) = info.rtt {
        parts.push(format!("smoothed RTT {}", MILLISECONDS.quantity(rtt)));
    }
    if let Some(min) = info.min_rtt {
        parts.push(format!("minimum RTT {}", MILLISECONDS.quantity(min)));
    }
    if let Some(retransmissions) = info.retransmissions {
        parts.push(format!("{} retransmitted segments", count(retransmissions)));
    }
    if let Some(window) = info.congestion_window {
        parts.push(format!("congestion window {} segments", count(window.into())));
    }
    parts.join(", ")
}

fn breakdown(printer: &mut Printer<impl Write>, summary: &Summary) -> io::Result<()> {
    breakdown_bar::write(printer, &summary.breakdown)?;
    if let Some(cost) = summary.timestamp_cost() {
        let [with, without] = [cost.rtt_with, cost.rtt_without].map(signed_nanoseconds);
        let CommonUnit { numbers, unit } = in_common_unit(&[with, without, cost.cost()]);
        let cost = if cost.cost() <= 0 {
            "not measurable".to_owned()
        } else {
            format!("{} {unit}", numbers[2])
        };
        printer.paragraph(&format!(
            "Median RTT with kernel timestamps: {} {unit}; without them: {} {unit}. Cost of the timestamps: \
             {cost}.",
            numbers[0], numbers[1]
        ))?;
    }
    let reason = "a timestamp was missing or not plausible";
    match summary.without_breakdown {
        0 => Ok(()),
        1 => printer.paragraph(&format!("1 exchange has no breakdown: {reason}.")),
        many => {
            printer.paragraph(&format!("{} exchanges have no breakdown: {reason}.", count(many)))
        }
    }
}

/// The share in percent, in parentheses. Empty if `part` is 0.
fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
    let percent = 100.0 * part as f64 / whole as f64;
    format!(" ({percent:.2} %)")
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{WIDTHS, microseconds, printer, words, written};
    use super::*;
    use crate::model::hop_limit::ReplyTtl;
    use crate::model::loss_place::{LossPlace, LossReason};
    use crate::model::protocol::Phase;
    use crate::plan::Settings;
    use crate::protocol::registry::protocol_named;

    static HANDSHAKE: Phase = Phase { name: "handshake", end: "connection established" };

    fn text(width: usize, summary: &Summary) -> String {
        let (tcp, target) = (protocol_named("tcp").unwrap(), "192.0.2.7:7".parse().unwrap());
        let plan = Plan::new(tcp, target, Settings::series(5)).unwrap();
        let mut printer = printer(width);
        write(&mut printer, &plan, summary).unwrap();
        written(printer)
    }

    /// Exchanges on one connection. The first one takes 5 ms, and the others take about 40 µs.
    fn summary(count: u64) -> Summary {
        let mut summary = Summary { sent: count, received: count, ..Summary::default() };
        let mut durations = Distribution::default();
        durations.add(microseconds(57));
        summary.phases.push((&HANDSHAKE, durations));
        for number in 0..count {
            let rtt = microseconds(if number == 0 { 5_012 } else { 40 + number % 7 });
            summary.rtt.add(rtt);
            summary.jitter.add(rtt);
            let is_first = number == 0;
            let kind =
                if is_first { &mut summary.first_exchange } else { &mut summary.later_exchanges };
            kind.add(rtt);
        }
        summary
    }

    #[test]
    fn single_value_is_printed_once() {
        for width in WIDTHS {
            let text = text(width, &summary(5));
            assert_eq!(text.matches("0.057").count(), 1, "{text}");
            assert!(text.contains("handshake           0.057 ms  (measured once)"), "{text}");
        }
    }

    #[test]
    fn jitter_fits_into_one_line_of_80_columns() {
        let text = text(80, &summary(5));
        let line = text.lines().find(|line| line.starts_with("jitter")).unwrap();
        assert!(line.ends_with("RFC 3550)"), "{text}");
    }

    #[test]
    fn slow_first_exchange_is_explained_as_a_cold_start() {
        let mut several = summary(5);
        (0..4).for_each(|_| several.first_exchange.add(microseconds(5_012)));
        let slow = words(&text(80, &several));
        let expected =
            "takes 5.012 ms, a later one 0.042 ms (medians, 5 connections). This is a cold start";
        assert!(slow.contains(expected), "{slow}");
        let mut even = Summary::default();
        even.first_exchange.add(microseconds(41));
        even.later_exchanges.add(microseconds(40));
        assert!(!text(80, &even).contains("cold start"));
    }

    #[test]
    fn one_slow_first_exchange_has_no_cause() {
        let text = words(&text(80, &summary(5)));
        let expected =
            "took 5.012 ms, the median of the later ones is 0.042 ms. This is only one value";
        assert!(text.contains(expected) && !text.contains("cold start"), "{text}");
    }

    #[test]
    fn quantiles_appear_only_with_enough_exchanges() {
        let [few, many] = [5, 1000].map(|count| text(120, &summary(count)));
        assert!(few.contains("p50") && !few.contains("p90"), "{few}");
        assert!(many.contains("p90") && many.contains("p99.9"), "{many}");
    }

    #[test]
    fn cells_of_the_table_have_three_decimals() {
        let mut summary = summary(200);
        summary.rtt.add(microseconds(1_180_700));
        for width in WIDTHS {
            let text = text(width, &summary);
            assert!(text.contains("1,180.700"), "{text}");
            let rows = text.lines().filter(|line| line.starts_with("RTT"));
            let cells = rows.flat_map(|row| row.split_whitespace().skip(1)).collect::<Vec<_>>();
            assert!(cells.len() >= 6, "{text}");
            for cell in cells {
                let (_, decimals) = cell.split_once('.').unwrap();
                assert_eq!(decimals.len(), 3, "{text}");
            }
        }
    }

    #[test]
    fn hop_limit_of_the_replies_is_printed_if_it_was_measured() {
        let with_ttl = |ttl: Option<ReplyTtl>| text(80, &Summary { reply_ttl: ttl, ..summary(5) });
        assert!(!with_ttl(None).contains("TTL"));
        let equal = with_ttl(Some(61.into()));
        let expected =
            "reply TTL                 61  (3 routers on the way back, if it started at 64)\n";
        assert!(equal.contains(expected), "{equal}");
        for (ttl, routers) in [(64, "no router"), (65, "63 routers")] {
            let text = with_ttl(Some(ttl.into()));
            let line = text.lines().find(|line| line.starts_with("reply TTL")).unwrap();
            assert!(line.contains(routers) && line.ends_with(')'), "{text}");
        }
        let different = with_ttl(Some(ReplyTtl::with(Some(61.into()), 58)));
        assert!(
            different.contains("reply TTL           58 to 61  (the TTL changed"),
            "{different}"
        );
        assert!(!different.contains("on the way back"), "{different}");
    }

    #[test]
    fn losses_and_late_replies_are_printed() {
        let summary = Summary { sent: 3000, received: 1500, lost: 1500, late: 2, ..summary(0) };
        let text = text(80, &summary);
        let expected = "3,000 sent, 1,500 received, 1,500 lost (50.00 %), 0 corrupt, in 0.000 s";
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("Unusual replies: 2 late (their requests count as lost)\n"),
            "{text}"
        );
    }

    #[test]
    fn requests_that_were_not_sent_are_not_called_sent() {
        for place in [Some(LossPlace::SendQueue), None] {
            let mut summary = Summary { sent: 1, lost: 1, ..summary(0) };
            summary.lost_where.add_one(place, Some(LossReason::NoConnection));
            let text = text(80, &summary);
            assert!(text.contains("1 request, 0 received, 1 lost (100.00 %), 0 corrupt"), "{text}");
            assert!(text.contains("Lost: 1 not sent"), "{text}");
        }
    }
}
