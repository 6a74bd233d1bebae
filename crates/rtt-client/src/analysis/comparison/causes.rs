//! What a difference consists of, and what it does not: each cause with its share and its evidence.

use super::PairedDifference;
use crate::analysis::evidence::{Evidence, Side, TwoWrites, differences};
use crate::analysis::statistics::{BreakdownFigures, Distribution, Summary};
use crate::model::format::{count, decimal, duration, signed};
use std::time::Duration;

/// Something that can make the RTT of one side longer than the RTT of the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Which cause it is.
    pub kind: CauseKind,
    /// How much of B − A it is, in nanoseconds, where that could be measured.
    pub share: Option<i64>,
    /// What was measured, or why nothing could be.
    pub evidence: String,
}

/// The causes that a comparison examines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    /// All parts of the RTT, if none of them was measured.
    Breakdown,
    /// From the program to the interface of this host.
    Send,
    /// On the network, both directions together.
    Network,
    /// In the server's host.
    Server,
    /// Network and server together, if they are not separate.
    NetworkAndServer,
    /// From the interface of this host to the program.
    Receive,
    /// The handshake of a connection.
    Handshake,
    /// The extra time of the first exchange on a connection.
    FirstExchange,
    /// The number and the size of the packets.
    Packets,
    /// Waiting for acknowledgements.
    Acknowledgements,
    /// Nagle's algorithm (RFC 896) together with delayed acknowledgements.
    NagleAndDelayedAcknowledgement,
    /// The congestion window, the receive window and the send buffer.
    Windows,
    /// Segments that TCP sent again.
    Retransmission,
    /// The size of the request.
    PayloadSize,
}

impl CauseKind {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Breakdown => "breakdown",
            Self::Send => "send",
            Self::Network => "network",
            Self::Server => "server",
            Self::NetworkAndServer => "network-and-server",
            Self::Receive => "receive",
            Self::Handshake => "handshake",
            Self::FirstExchange => "first-exchange",
            Self::Packets => "packets",
            Self::Acknowledgements => "acknowledgements",
            Self::NagleAndDelayedAcknowledgement => "nagle-and-delayed-acknowledgement",
            Self::Windows => "windows",
            Self::Retransmission => "retransmission",
            Self::PayloadSize => "payload-size",
        }
    }

    /// Whether the cause is one of the parts that add up to the RTT.
    #[must_use]
    pub fn is_part_of_rtt(self) -> bool {
        matches!(
            self,
            Self::Send | Self::Network | Self::Server | Self::NetworkAndServer | Self::Receive
        )
    }
}

/// From which time on a write was held back for an acknowledgement that was delayed: Linux delays them
/// by 40 ms at least (`TCP_DELACK_MIN`, include/net/tcp.h).
const DELAYED: Duration = Duration::from_millis(30);

/// All causes, in the order in which they are told.
pub(super) fn list(
    evidence: &Evidence,
    steady: Option<PairedDifference>,
    fresh: Option<PairedDifference>,
    names: [&str; 2],
    confidence: f64,
) -> Vec<Cause> {
    let mut causes = parts(evidence, names);
    causes.extend(handshake(evidence, steady, fresh, names));
    causes.push(packets(evidence, names));
    for (side, name) in evidence.sides.iter().zip(names).filter(|(side, _)| side.is_stream) {
        causes.push(acknowledgements(side, name));
        causes.push(two_writes(evidence, side, name));
        causes.push(windows(side, name));
        causes.push(retransmissions(side, name));
    }
    causes.push(sizes(evidence, names, confidence));
    causes
}

/// The parts of the RTT, side by side.
fn parts(evidence: &Evidence, [a, b]: [&str; 2]) -> Vec<Cause> {
    let [of_a, of_b] = evidence.sides.each_ref().map(|side| side.instrumented.as_ref());
    let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
        let why = evidence.no_breakdown_reason.as_deref().unwrap_or("the kernel stamped nothing");
        return vec![not_reached(CauseKind::Breakdown, evidence, why)];
    };
    let both_split = of_a.breakdown.server_is_separate() && of_b.breakdown.server_is_separate();
    let middle = |summary: &Summary| {
        let BreakdownFigures { network, server, network_and_server: middle, .. } =
            &summary.breakdown;
        if summary.breakdown.server_is_separate() {
            Some(network.median()? + server.median()?)
        } else {
            middle.median()
        }
    };
    let median = |of: fn(&Summary) -> &Distribution| [of(of_a).median(), of(of_b).median()];
    let mut rows = vec![(CauseKind::Send, median(|summary| &summary.breakdown.send))];
    if both_split {
        rows.push((CauseKind::Network, median(|summary| &summary.breakdown.network)));
        rows.push((CauseKind::Server, median(|summary| &summary.breakdown.server)));
    } else {
        rows.push((CauseKind::NetworkAndServer, [middle(of_a), middle(of_b)]));
    }
    rows.push((CauseKind::Receive, median(|summary| &summary.breakdown.receive)));
    let exchanges = of_a.breakdown.send.count().min(of_b.breakdown.send.count());
    rows.into_iter()
        .map(|(kind, medians)| match medians {
            [Some(of_a), Some(of_b)] => Cause {
                kind,
                share: Some(difference(of_a, of_b)),
                evidence: format!(
                    "{a} {}, {b} {} (medians of {})",
                    duration(of_a),
                    duration(of_b),
                    count(exchanges)
                ),
            },
            _ => not_measured(kind, "the kernel's stamps were missing"),
        })
        .collect()
}

fn difference(a: Duration, b: Duration) -> i64 {
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    nanoseconds(b) - nanoseconds(a)
}

/// What a connection for each exchange adds: the handshake itself, and what the first exchange on a
/// connection takes more than the others.
fn handshake(
    evidence: &Evidence,
    steady: Option<PairedDifference>,
    fresh: Option<PairedDifference>,
    names: [&str; 2],
) -> Vec<Cause> {
    let connects = evidence.sides.iter().any(|side| side.is_stream);
    if !connects {
        return Vec::new();
    }
    let of_fresh = |side: &Side, of: fn(&Summary) -> &Distribution| {
        of(side.with_connection.as_ref()?).median()
    };
    let connect = evidence.sides.each_ref().map(|side| of_fresh(side, |fresh| &fresh.connect));
    let (Some(steady), Some(fresh), [Some(_), _] | [_, Some(_)]) = (steady, fresh, connect) else {
        return vec![not_reached(
            CauseKind::Handshake,
            evidence,
            "no exchange with a connection of its own succeeded",
        )];
    };
    let told: Vec<String> = connect
        .into_iter()
        .zip(names)
        .filter_map(|(took, name)| Some(format!("{name}'s takes {}", duration(took?))))
        .collect();
    let [of_a, of_b] = connect.map(Option::unwrap_or_default);
    let share = difference(of_a, of_b);
    let first: Vec<String> = evidence
        .sides
        .iter()
        .zip(names)
        .filter_map(|(side, name)| {
            let first = of_fresh(side, |fresh| &fresh.rtt)?;
            let steady = side.summary.rtt.median()?;
            Some(format!(
                "{name}'s takes {}, one in the steady state {}",
                duration(first),
                duration(steady)
            ))
        })
        .collect();
    vec![
        Cause {
            kind: CauseKind::Handshake,
            share: Some(share),
            evidence: format!(
                "{} (median of {}), once a connection: it is not in the steady state's RTT",
                told.join("; "),
                count(evidence.pairs_with_connection.len() as u64)
            ),
        },
        Cause {
            kind: CauseKind::FirstExchange,
            share: Some(fresh.estimate - steady.estimate - share),
            evidence: format!(
                "what else a new connection costs: its first exchange waits for the server to take it \
                 up, and begins with a small congestion window; {}",
                first.join("; ")
            ),
        },
    ]
}

fn packets(evidence: &Evidence, names: [&str; 2]) -> Cause {
    let told: Vec<String> = evidence
        .sides
        .iter()
        .zip(names)
        .map(|(side, name)| match side.traffic.filter(|_| side.traffic_exchanges > 0) {
            None if side.is_stream => format!("{name}: not counted by this system"),
            None => format!("{name}: longer than a packet, and nobody counts fragments"),
            Some(traffic) => {
                let each = |total: u64| per(total, side.traffic_exchanges);
                format!(
                    "{name} {} there and {} back, of {} bytes with their headers from IP's on, for \
                     {} of payload each way",
                    each(traffic.packets_out),
                    each(traffic.packets_in),
                    each(traffic.ip_bytes_out + traffic.ip_bytes_in),
                    side.request_bytes
                )
            }
        })
        .collect();
    // What a packet's bytes take is in the parts.
    Cause {
        kind: CauseKind::Packets,
        share: None,
        evidence: format!("an exchange takes: {}", told.join("; ")),
    }
}

fn acknowledgements(side: &Side, name: &str) -> Cause {
    let Some(traffic) = side.traffic.filter(|_| side.traffic_exchanges > 0) else {
        return not_measured(
            CauseKind::Acknowledgements,
            "this system does not count packets for a program",
        );
    };
    let each = |total: u64| per(total, side.traffic_exchanges);
    let alone = traffic.without_data_in;
    let mut evidence = format!(
        "of their own, {name} got {} and sent {} an exchange",
        each(alone),
        each(traffic.without_data_out)
    );
    let share = match stood_in_the_way(side) {
        Some(false) => {
            evidence.push_str(if alone * 10 < side.traffic_exchanges {
                "; the reply itself acknowledges the request, and the request left without waiting \
                 for any: none stood in the way"
            } else {
                "; the request left without waiting for any: none stood in the way"
            });
            Some(0)
        }
        Some(true) => {
            evidence.push_str("; requests left late, as if they timeout for one");
            None
        }
        None => {
            evidence.push_str("; whether requests timeout for one could not be seen");
            None
        }
    };
    Cause { kind: CauseKind::Acknowledgements, share, evidence }
}

/// Whether requests timeout for an acknowledgement before they left: that would take them a round trip at
/// least. Nothing, where it was not measured.
pub(super) fn stood_in_the_way(side: &Side) -> Option<bool> {
    let (send, windows) = (side.instrumented.as_ref()?.breakdown.send.median()?, side.windows?);
    // Of a request in several segments the last one leaves when the others have been copied.
    let is_one_segment = side.request_bytes <= usize::try_from(windows.segment_bytes).ok()?;
    is_one_segment.then_some(send >= windows.min_rtt?)
}

fn two_writes(evidence: &Evidence, side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::NagleAndDelayedAcknowledgement;
    let told: Vec<String> = side.two_writes.iter().map(tell_two_writes).collect();
    if told.is_empty() {
        return not_reached(KIND, evidence, "the experiment was not made");
    }
    let measured = side.two_writes.iter().any(|two| two.with_nagle.median().is_some());
    let evidence = format!("{name}: a request in two writes. {}", told.join(". "));
    // An exchange of this run is one write, sent at once; nothing can hold it back.
    Cause { kind: KIND, share: measured.then_some(0), evidence }
}

fn tell_two_writes(two: &TwoWrites) -> String {
    let how = if two.splits_character {
        "Cut within a character, so that the server waits for the rest"
    } else {
        "Cut between words"
    };
    let failure = two.failure.as_deref().map(|why| format!("not measured: {why}"));
    let (Some(at_once), Some(held)) = (two.without_nagle.median(), two.with_nagle.median()) else {
        return format!("{how}: {}", failure.unwrap_or_else(|| "not measured".into()));
    };
    // Held back for the answer to the first part, it takes two round trips.
    let meaning = if held >= 2 * at_once + DELAYED {
        "the second waits for an acknowledgement that is delayed: the stall"
    } else if held.as_secs_f64() > 1.5 * at_once.as_secs_f64() {
        "the second waits for the first's answer, which acknowledges it: a round trip, no stall"
    } else {
        "no stall"
    };
    format!("{how}: {} with TCP_NODELAY, {} without; {meaning}", duration(at_once), duration(held))
}

fn windows(side: &Side, name: &str) -> Cause {
    let Some(windows) = side.windows else {
        return not_measured(
            CauseKind::Windows,
            "this system does not tell a connection's windows",
        );
    };
    let held_back = windows.limited_by_peer + windows.limited_by_buffer;
    let mut evidence = format!(
        "{name}'s requests have {} bytes, and the smallest congestion window that was seen {} segments \
         of {}",
        count(side.request_bytes as u64),
        windows.min_congestion_window,
        count(windows.segment_bytes.into()),
    );
    let too_long = congestion_window_limited(side) == Some(true);
    if too_long {
        evidence.push_str(": they did not fit into that");
    }
    if held_back.is_zero() {
        evidence.push_str("; neither the receive window nor the send buffer ever held one back");
    } else {
        evidence.extend([
            "; the peer's receive window held them back for ".to_owned(),
            duration(windows.limited_by_peer),
            " in all, the send buffer for ".to_owned(),
            duration(windows.limited_by_buffer),
        ]);
    }
    let share = (!too_long && held_back.is_zero()).then_some(0);
    Cause { kind: CauseKind::Windows, share, evidence }
}

/// Whether a request was longer than the congestion window ever was at its smallest.
pub(super) fn congestion_window_limited(side: &Side) -> Option<bool> {
    let windows = side.windows?;
    let window = u64::from(windows.min_congestion_window) * u64::from(windows.segment_bytes);
    Some(side.request_bytes as u64 > window)
}

fn retransmissions(side: &Side, name: &str) -> Cause {
    let again = side.summary.tcp.and_then(|info| info.retransmissions);
    match again {
        None => {
            not_measured(CauseKind::Retransmission, "this system does not count them for a program")
        }
        Some(0) => Cause {
            kind: CauseKind::Retransmission,
            share: Some(0),
            evidence: format!("no segment of {name}'s was sent again"),
        },
        Some(again) => Cause {
            kind: CauseKind::Retransmission,
            share: None,
            evidence: format!(
                "{} of {name}'s segments were sent again; its longest RTT is {}",
                count(again),
                side.summary
                    .rtt
                    .min_max()
                    .map_or_else(String::new, |(_, longest)| duration(longest))
            ),
        },
    }
}

/// Where the curves part, if sizes were tried.
fn sizes(evidence: &Evidence, [a, b]: [&str; 2], confidence: f64) -> Cause {
    const KIND: CauseKind = CauseKind::PayloadSize;
    if evidence.sweep.is_empty() {
        return not_measured(KIND, "it was not asked for (--sweep)");
    }
    let shifts: Vec<(usize, PairedDifference)> = evidence
        .sweep
        .iter()
        .filter_map(|size| {
            Some((size.bytes, PairedDifference::of(&differences(&size.pairs), confidence)?))
        })
        .collect();
    let (Some((smallest, first)), Some((largest, last))) = (shifts.first(), shifts.last()) else {
        return not_reached(KIND, evidence, "no exchange of any size succeeded");
    };
    Cause {
        kind: KIND,
        share: Some(last.estimate - first.estimate),
        evidence: format!(
            "{b} - {a} is {} at {} bytes and {} at {}; {}",
            signed(first.estimate),
            count(*smallest as u64),
            signed(last.estimate),
            count(*largest as u64),
            parting(&shifts, confidence)
        ),
    }
}

/// From which size on the difference is another than at the smallest.
fn parting(shifts: &[(usize, PairedDifference)], confidence: f64) -> String {
    let Some((low, high)) = shifts.first().and_then(|(_, first)| first.interval) else {
        return "there are too few pairs of each size to say where that changes".to_owned();
    };
    // Intervals that do not meet tell that two shifts differ, and err on the careful side.
    let is_apart = |shift: &PairedDifference| {
        shift.interval.is_some_and(|(other_low, other_high)| other_low > high || other_high < low)
    };
    let together = shifts.iter().rposition(|(_, shift)| !is_apart(shift)).unwrap_or(0);
    let sure = decimal(100.0 * confidence);
    match shifts.get(together + 1) {
        Some((bytes, _)) => {
            format!("from {} bytes on it is another ({sure} % sure)", count(*bytes as u64))
        }
        None => "as far as these pairs can show it is the same at every size".to_owned(),
    }
}

/// The same of an experiment that an interrupted run did not come to.
fn not_reached(kind: CauseKind, evidence: &Evidence, why: &str) -> Cause {
    not_measured(kind, if evidence.interrupted { "the run was interrupted" } else { why })
}

fn not_measured(kind: CauseKind, why: &str) -> Cause {
    Cause { kind, share: None, evidence: format!("not measured: {why}") }
}

/// So many an exchange.
fn per(total: u64, exchanges: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let each = total as f64 / exchanges as f64;
    decimal((each * 100.0).round() / 100.0)
}
