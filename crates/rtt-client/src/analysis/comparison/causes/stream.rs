//! The causes that only a stream protocol has: acknowledgements, Nagle's algorithm, windows and retransmissions.

use super::{Cause, CauseKind, not_measured, not_reached, per_exchange};
use crate::analysis::evidence::{Evidence, Side, TwoWrites};
use crate::model::format::{
    CommonUnit, count, counted, duration, in_common_unit, signed_nanoseconds,
};
use std::time::Duration;

/// A request in two writes takes at most two round trips. If it takes this much longer, the second write waits for a
/// delayed acknowledgement. Linux delays acknowledgements by at least 40 ms (`TCP_DELACK_MIN`, include/net/tcp.h). This
/// value is lower, because round trips vary.
const MIN_ACK_DELAY: Duration = Duration::from_millis(30);

/// Lists the causes for one side.
pub(super) fn list(evidence: &Evidence, side: &Side, name: &str) -> [Cause; 4] {
    [
        acknowledgements(side, name),
        two_writes(evidence, side, name),
        windows(side, name),
        retransmissions(side, name),
    ]
}

fn acknowledgements(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Acknowledgements;
    let Some(traffic) = side.traffic.filter(|_| side.traffic_exchanges > 0) else {
        return not_measured(KIND, "this system does not count the packets of a connection");
    };
    let average = |total: u64| per_exchange(total, side.traffic_exchanges);
    let received = traffic.without_data_in;
    let mut evidence = format!(
        "{name} sent {} and received {} pure acknowledgements for each exchange.",
        average(traffic.without_data_out),
        average(received)
    );
    let share = match waited_for_acknowledgement(side) {
        Some(false) => {
            if received * 10 < side.traffic_exchanges {
                evidence.push_str(" The reply itself acknowledges the request.");
            }
            evidence.push_str(" No request waited for an acknowledgement.");
            Some(0)
        }
        Some(true) => {
            evidence.push_str(" Requests left this host late, as if they waited for one.");
            None
        }
        None => {
            evidence.push_str(" It was not measured whether requests waited for one.");
            None
        }
    };
    Cause { kind: KIND, share, evidence }
}

/// Whether requests waited for an acknowledgement before they left this host. Such a wait takes at least one round
/// trip. Absent if it was not measured.
pub(in super::super) fn waited_for_acknowledgement(side: &Side) -> Option<bool> {
    let (send, windows) = (side.with_timestamps.as_ref()?.breakdown.send.median()?, side.windows?);
    // `send` ends when the last segment leaves. With several segments, this moment is late even without a wait,
    // because the kernel first copies the other segments. Therefore only a request in one segment shows whether it
    // waited.
    let is_one_segment = side.request_bytes <= usize::try_from(windows.segment_bytes).ok()?;
    is_one_segment.then_some(send >= windows.min_rtt?)
}

fn two_writes(evidence: &Evidence, side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::NagleAndDelayedAcknowledgement;
    if side.two_writes.is_empty() {
        return not_reached(KIND, evidence, "the experiment did not run");
    }
    let results: Vec<String> = side.two_writes.iter().map(describe_two_writes).collect();
    let measured = side.two_writes.iter().any(|result| result.with_nagle.median().is_some());
    // Each exchange of a comparison is one write with TCP_NODELAY. Nagle's algorithm does not delay such a write.
    Cause {
        kind: KIND,
        share: measured.then_some(0),
        evidence: format!(
            "Experiment: the client sends each {name} request in two writes. {}",
            results.join(" ")
        ),
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

fn describe_two_writes(result: &TwoWrites) -> String {
    let split = if result.splits_character {
        "If the text is split inside a character, the server waits for the rest"
    } else {
        "If the text is split between words"
    };
    let (Some(without_nagle), Some(with_nagle)) =
        (result.without_nagle.median(), result.with_nagle.median())
    else {
        return match &result.failure {
            Some(reason) => format!("{split}: not measured: {reason}."),
            None => format!("{split}: not measured."),
        };
    };
    let CommonUnit { numbers, unit } =
        in_common_unit(&[without_nagle, with_nagle].map(signed_nanoseconds));
    format!(
        "{split}: {} {unit} with TCP_NODELAY, {} {unit} with Nagle's algorithm. {}",
        numbers[0],
        numbers[1],
        NagleEffect::of(without_nagle, with_nagle).describe()
    )
}

fn windows(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Windows;
    let Some(windows) = side.windows else {
        return not_measured(KIND, "this system does not report the windows of a connection");
    };
    let mut evidence = format!(
        "{name} requests have {} bytes. The smallest observed congestion window was {} segments of {} bytes.",
        count(side.request_bytes as u64),
        count(windows.min_congestion_window.into()),
        count(windows.segment_bytes.into()),
    );
    let too_long = exceeded_congestion_window(side) == Some(true);
    if too_long {
        evidence.push_str(" The requests did not fit into it.");
    }
    let delayed = windows.limited_by_peer + windows.limited_by_buffer;
    if delayed.is_zero() {
        evidence
            .push_str(" Neither the peer's receive window nor the send buffer delayed any data.");
    } else {
        evidence.extend([
            " The peer's receive window delayed data for ".to_owned(),
            duration(windows.limited_by_peer),
            " in total, and the send buffer for ".to_owned(),
            duration(windows.limited_by_buffer),
            ".".to_owned(),
        ]);
    }
    let share = (!too_long && delayed.is_zero()).then_some(0);
    Cause { kind: KIND, share, evidence }
}

/// Whether a request is longer than the smallest observed congestion window. Absent if the window was not measured.
pub(in super::super) fn exceeded_congestion_window(side: &Side) -> Option<bool> {
    let windows = side.windows?;
    let window = u64::from(windows.min_congestion_window) * u64::from(windows.segment_bytes);
    Some(side.request_bytes as u64 > window)
}

fn retransmissions(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Retransmission;
    match side.summary.kernel_statistics.and_then(|info| info.retransmissions) {
        None => {
            not_measured(KIND, "this system does not report the retransmissions of a connection")
        }
        Some(0) => Cause {
            kind: KIND,
            share: Some(0),
            evidence: format!("{name} retransmitted no segment."),
        },
        Some(segments) => {
            let longest = side.summary.rtt.max().map_or_else(String::new, duration);
            let segments = counted(segments, "segment", "segments");
            Cause {
                kind: KIND,
                share: None,
                evidence: format!("{name} retransmitted {segments}. Its longest RTT is {longest}."),
            }
        }
    }
}
