//! The interpretation of requests in two writes, with and without Nagle's algorithm.

use crate::analysis::comparison::{Cause, CauseKind, ProtocolCause, not_reached};
use crate::analysis::evidence::{Evidence, Side};
use crate::model::format::{CommonUnit, in_common_unit, signed_nanoseconds};
use std::time::Duration;

/// A request in two writes takes at most two round trips. If it takes this much longer, the second write waits for a
/// delayed acknowledgement. Linux delays acknowledgements by at least 40 ms (`TCP_DELACK_MIN`, include/net/tcp.h). This
/// value is lower, because round trips vary.
const MIN_ACK_DELAY: Duration = Duration::from_millis(30);

static CAUSE: ProtocolCause = ProtocolCause {
    name: "nagle-and-delayed-acknowledgement",
    label: "Nagle's algorithm and delayed acknowledgements",
    // Only a request in two writes can be delayed in this way.
    no_effect: "no effect on this comparison (one write for each request)",
};

/// A way to divide a request into two writes, and the names of its measurements.
#[derive(Debug)]
pub(crate) struct Division {
    /// RTTs with `TCP_NODELAY`: the kernel sends small writes immediately.
    pub(crate) without_nagle: &'static str,
    /// RTTs with Nagle's algorithm (RFC 896): the kernel delays a small write until the peer has acknowledged the
    /// earlier data.
    pub(crate) with_nagle: &'static str,
    /// The beginning of the sentence about the results.
    description: &'static str,
}

/// The first write ends between two words. A server can reply to it before the second write arrives.
pub(crate) const BETWEEN_WORDS: Division = Division {
    without_nagle: "divided between words, with TCP_NODELAY",
    with_nagle: "divided between words, with Nagle's algorithm",
    description: "If the text is split between words",
};

/// The first write ends inside a multi-byte character. Our server does not answer before the second write arrives.
pub(crate) const WITHIN_CHARACTER: Division = Division {
    without_nagle: "divided inside a character, with TCP_NODELAY",
    with_nagle: "divided inside a character, with Nagle's algorithm",
    description: "If the text is split inside a character, the server waits for the rest",
};

/// The cause of a difference, for the side with this `name`.
pub(super) fn cause(evidence: &Evidence, side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Protocol(&CAUSE);
    let results: Vec<DivisionResult<'_>> = [BETWEEN_WORDS, WITHIN_CHARACTER]
        .iter()
        .filter_map(|division| DivisionResult::of(division, side))
        .collect();
    if results.is_empty() {
        return not_reached(KIND, evidence, "the experiment did not run");
    }
    let sentences: Vec<String> = results.iter().map(DivisionResult::describe).collect();
    let measured = results.iter().any(|result| result.with_nagle.is_some());
    // Each exchange of a comparison is one write with TCP_NODELAY. Nagle's algorithm does not delay such a write.
    Cause {
        kind: KIND,
        share: measured.then_some(0),
        evidence: format!(
            "Experiment: the client sends each request of {name} in two writes. {}",
            sentences.join(" ")
        ),
    }
}

/// The median RTTs with one division. A median is absent if it was not measured.
struct DivisionResult<'a> {
    description: &'static str,
    without_nagle: Option<Duration>,
    with_nagle: Option<Duration>,
    failure: Option<&'a str>,
}

impl<'a> DivisionResult<'a> {
    /// The result, if the experiment used this division.
    fn of(division: &Division, side: &'a Side) -> Option<Self> {
        let without_nagle = side.measurement(division.without_nagle)?;
        let with_nagle = side.measurement(division.with_nagle)?;
        Some(Self {
            description: division.description,
            without_nagle: without_nagle.durations.median(),
            with_nagle: with_nagle.durations.median(),
            failure: with_nagle.failure.as_deref().or(without_nagle.failure.as_deref()),
        })
    }

    fn describe(&self) -> String {
        let description = self.description;
        let (Some(without_nagle), Some(with_nagle)) = (self.without_nagle, self.with_nagle) else {
            return match self.failure {
                Some(reason) => format!("{description}: not measured: {reason}."),
                None => format!("{description}: not measured."),
            };
        };
        let CommonUnit { numbers, unit } =
            in_common_unit(&[without_nagle, with_nagle].map(signed_nanoseconds));
        format!(
            "{description}: {} {unit} with TCP_NODELAY, {} {unit} with Nagle's algorithm. {}",
            numbers[0],
            numbers[1],
            NagleEffect::of(without_nagle, with_nagle).describe()
        )
    }
}

/// The effect of Nagle's algorithm on a request in two writes.
enum NagleEffect {
    /// The second write waits for an acknowledgement that the peer delays.
    Stall,
    /// The second write waits for the reply to the first write. This reply contains the acknowledgement.
    OneRoundTrip,
    NoEffect,
}

impl NagleEffect {
    fn of(without_nagle: Duration, with_nagle: Duration) -> Self {
        // Without a delayed acknowledgement, the second write waits at most one round trip, so the request takes at
        // most two.
        if with_nagle >= 2 * without_nagle + MIN_ACK_DELAY {
            Self::Stall
        } else if with_nagle.as_secs_f64() > 1.5 * without_nagle.as_secs_f64() {
            Self::OneRoundTrip
        } else {
            Self::NoEffect
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Stall => "Stall: the second write waits for a delayed acknowledgement.",
            Self::OneRoundTrip => {
                "No stall: the second write waits one round trip for the reply to the first write, which \
                 acknowledges it."
            }
            Self::NoEffect => "No stall.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::evidence::Measurement;

    /// Evidence with one result for each entry: the division, the median with `TCP_NODELAY`, and the median with
    /// Nagle's algorithm, in microseconds.
    fn cause_of(results: &[(Division, u64, u64)]) -> Cause {
        let side = || Side::new(crate::protocol_named("tcp").unwrap(), "h:1");
        let mut evidence = Evidence::new([side(), side()]);
        for (division, without_nagle, with_nagle) in results {
            for (name, median) in
                [(division.without_nagle, without_nagle), (division.with_nagle, with_nagle)]
            {
                let mut measurement = Measurement { name, ..Measurement::default() };
                measurement.durations.add(Duration::from_micros(*median));
                evidence.sides[1].measurements.push(measurement);
            }
        }
        cause(&evidence, &evidence.sides[1], "TCP")
    }

    #[test]
    fn stall_is_distinguished_from_an_additional_round_trip() {
        let cause = cause_of(&[(BETWEEN_WORDS, 100, 200), (WITHIN_CHARACTER, 100, 44_000)]);
        assert_eq!(cause.evidence.matches(" Stall: ").count(), 1, "{cause:?}");
        for part in [
            "200.0 µs with Nagle's algorithm. No stall: the second write waits one round trip",
            "44.000 ms with Nagle's algorithm. Stall: the second write waits for a delayed acknowledgement.",
        ] {
            assert!(cause.evidence.contains(part), "{part} in {cause:?}");
        }
        assert_eq!(cause.share, Some(0));
    }

    #[test]
    fn additional_round_trip_on_a_long_path_is_no_stall() {
        let cause = cause_of(&[(BETWEEN_WORDS, 20_000, 41_000)]);
        assert!(cause.evidence.contains("No stall: the second write waits one"), "{cause:?}");
    }

    #[test]
    fn failed_experiment_has_no_share() {
        let side = || Side::new(crate::protocol_named("tcp").unwrap(), "h:1");
        let mut evidence = Evidence::new([side(), side()]);
        let failure = || Some("the server closes".to_owned());
        evidence.sides[0].measurements = [BETWEEN_WORDS.without_nagle, BETWEEN_WORDS.with_nagle]
            .map(|name| Measurement { name, failure: failure(), ..Measurement::default() })
            .into();
        let failed = cause(&evidence, &evidence.sides[0], "A");
        assert_eq!(failed.share, None, "{failed:?}");
        assert!(failed.evidence.ends_with("not measured: the server closes."), "{failed:?}");
        let not_run = cause(&evidence, &evidence.sides[1], "B");
        assert_eq!(not_run.evidence, "Not measured: the experiment did not run.");
    }
}
