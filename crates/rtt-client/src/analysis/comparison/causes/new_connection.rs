//! The costs of a new connection for each exchange.

use super::{CONNECTION_PHASES, Cause, CauseKind, not_reached};
use crate::analysis::comparison::PairedDifference;
use crate::analysis::evidence::{Evidence, Side};
use crate::analysis::statistics::Distribution;
use crate::model::format::{CommonUnit, count, duration, in_common_unit, signed_nanoseconds};
use std::time::Duration;

/// Lists the costs of a new connection for each exchange: its phases, and the extra time of the first exchange. Empty if
/// the main measurement already has a new connection for each exchange.
pub(super) fn causes(
    evidence: &Evidence,
    difference: PairedDifference,
    with_connection: Option<PairedDifference>,
    names: [&str; 2],
) -> Vec<Cause> {
    if evidence.has_new_connections() {
        return Vec::new();
    }
    let Some(kind) = connection_kind(evidence) else { return Vec::new() };
    let phases = match kind {
        CauseKind::Phase(phase) => phase.name,
        _ => CONNECTION_PHASES,
    };
    // The durations of all phases together.
    let connect =
        evidence.sides.each_ref().map(|side| side.with_connection.as_ref()?.connect.median());
    let (Some(with_connection), [Some(_), _] | [_, Some(_)]) = (with_connection, connect) else {
        let reason = "no exchange with a new connection succeeded";
        return vec![not_reached(kind, evidence, reason)];
    };
    let [of_a, of_b] = connect.map(Option::unwrap_or_default);
    let share = signed_nanoseconds(of_b) - signed_nanoseconds(of_a);
    let first = [
        first_exchange(
            &evidence.sides[0],
            evidence.pairs_with_connection.iter().map(|pair| pair.a),
        ),
        first_exchange(
            &evidence.sides[1],
            evidence.pairs_with_connection.iter().map(|pair| pair.b),
        ),
    ];
    let later = evidence.sides.each_ref().map(|side| side.summary.rtt.median());
    let CommonUnit { numbers, unit } =
        in_common_unit(&[with_connection.estimate, difference.estimate, share]);
    vec![
        Cause {
            kind,
            share: Some(share),
            evidence: format!(
                "{} (median of {} connections), once for each connection. The RTT on an established connection does \
                 not include it.",
                list_durations(names, connect),
                count(evidence.pairs_with_connection.len() as u64)
            ),
        },
        Cause {
            kind: CauseKind::FirstExchange,
            share: Some(with_connection.estimate - difference.estimate - share),
            evidence: format!(
                "This is the rest of the difference with new connections ({} {unit}), without the difference on an established \
                 connection ({} {unit}) and without the {phases} ({} {unit}). Median of the first exchanges: {}. Median of the later exchanges: {}.{}",
                numbers[0],
                numbers[1],
                numbers[2],
                list_durations(names, first),
                list_durations(names, later),
                if is_slower_on_a_new_connection(evidence, first, later) {
                    " Before the first reply, the server must accept the connection."
                } else {
                    ""
                }
            ),
        },
    ]
}

/// The kind of the cause for the phases of new connections. `None` if neither side has connections.
fn connection_kind(evidence: &Evidence) -> Option<CauseKind> {
    let mut phases = evidence.sides.iter().flat_map(|side| side.protocol.phases);
    let first = phases.next()?;
    // Both sides can have the same single phase.
    let has_one_phase = evidence.sides.iter().all(|side| side.protocol.phases.len() <= 1)
        && phases.all(|phase| phase.name == first.name);
    Some(if has_one_phase { CauseKind::Phase(first) } else { CauseKind::Phases })
}

/// Whether the first exchange on a connection takes longer than a later one.
fn is_slower_on_a_new_connection(
    evidence: &Evidence,
    first: [Option<Duration>; 2],
    later: [Option<Duration>; 2],
) -> bool {
    let durations = first.into_iter().zip(later);
    evidence.sides.iter().zip(durations).any(|(side, (first, later))| {
        side.protocol.has_connections()
            && first.zip(later).is_some_and(|(first, later)| first > later)
    })
}

/// The median RTT of the first exchange on a connection. For a protocol without connections, it is the median of
/// `times`.
fn first_exchange(side: &Side, times: impl Iterator<Item = Option<Duration>>) -> Option<Duration> {
    if side.protocol.has_connections() {
        return side.with_connection.as_ref()?.rtt.median();
    }
    let mut distribution = Distribution::default();
    times.flatten().for_each(|time| distribution.add(time));
    distribution.median()
}

/// Formats a list without the absent durations: `A 98.0 µs, B 110.0 µs`.
fn list_durations(names: [&str; 2], durations: [Option<Duration>; 2]) -> String {
    let known = names.into_iter().zip(durations);
    let known: Vec<String> =
        known.filter_map(|(name, time)| Some(format!("{name} {}", duration(time?)))).collect();
    known.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::evidence::Pair;
    use crate::analysis::statistics::Summary;
    use crate::model::protocol::{EXAMPLE, Phase, Protocol};

    const fn protocol(name: &'static str, phases: &'static [Phase]) -> Protocol {
        Protocol { name, title: name, phases, ..EXAMPLE }
    }

    static NO_PHASE: Protocol = protocol("none", &[]);
    static ONE_PHASE: Protocol = protocol("one", &[Phase { name: "handshake", end: "open" }]);
    static TWO_PHASES: Protocol = protocol(
        "two",
        &[Phase { name: "handshake", end: "open" }, Phase { name: "greeting", end: "greeted" }],
    );

    fn evidence(protocols: [&'static Protocol; 2]) -> Evidence {
        let sides = protocols.map(|protocol| {
            let mut side = Side::new(protocol, "h:1");
            side.summary.rtt.add(Duration::from_micros(100));
            if protocol.has_connections() {
                let mut with_connection = Summary::default();
                with_connection.connect.add(Duration::from_micros(60));
                with_connection.rtt.add(Duration::from_micros(110));
                side.with_connection = Some(with_connection);
            }
            side
        });
        let pair = Pair {
            b_first: false,
            a: Some(Duration::from_micros(100)),
            b: Some(Duration::from_micros(170)),
        };
        Evidence { pairs_with_connection: vec![pair], ..Evidence::new(sides) }
    }

    #[test]
    fn phases_of_new_connections_are_one_cause() {
        for (protocols, name) in [
            ([&NO_PHASE, &ONE_PHASE], "handshake"),
            ([&ONE_PHASE, &ONE_PHASE], "handshake"),
            ([&NO_PHASE, &TWO_PHASES], "connection-phases"),
            ([&ONE_PHASE, &TWO_PHASES], "connection-phases"),
        ] {
            let evidence = evidence(protocols);
            let difference = PairedDifference::of(&[0], 0.95).unwrap();
            let with_connection = PairedDifference::of(&[70_000], 0.95);
            let causes = causes(&evidence, difference, with_connection, ["A", "B"]);
            assert_eq!(causes[0].kind.name(), name, "{protocols:?}");
            let phases = name.replace('-', " ");
            assert!(causes[1].evidence.contains(&format!("without the {phases} (")), "{causes:?}");
        }
        let without = evidence([&NO_PHASE, &NO_PHASE]);
        let difference = PairedDifference::of(&[0], 0.95).unwrap();
        assert_eq!(causes(&without, difference, None, ["A", "B"]), []);
    }
}
