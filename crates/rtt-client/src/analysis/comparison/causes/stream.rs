//! The causes that only a stream protocol has: acknowledgements, Nagle's algorithm, windows and
//! retransmissions. Pure.

use super::{Cause, CauseKind, not_measured, not_reached, per_exchange};
use crate::analysis::evidence::{Evidence, Side, TwoWrites};
use crate::model::format::{count, counted, duration};
use std::time::Duration;

/// A write that waits longer than this beyond its round trips waits for a delayed acknowledgement. Linux delays
/// acknowledgements by at least 40 ms (`TCP_DELACK_MIN`, include/net/tcp.h).
const MIN_ACK_DELAY: Duration = Duration::from_millis(30);

/// The causes for one side.
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
        return not_measured(KIND, "this system does not count packets for a program");
    };
    let average = |total: u64| per_exchange(total, side.traffic_exchanges);
    let received = traffic.without_data_in;
    let mut evidence = format!(
        "without data, for each exchange: {name} received {} and sent {}",
        average(received),
        average(traffic.without_data_out)
    );
    let share = match waited_for_acknowledgement(side) {
        Some(false) => {
            if received * 10 < side.traffic_exchanges {
                evidence.push_str("; the reply itself acknowledges the request");
            }
            evidence.push_str("; no request waited for an acknowledgement");
            Some(0)
        }
        Some(true) => {
            evidence.push_str("; requests left this host late, as if they waited for one");
            None
        }
        None => {
            evidence.push_str("; it is not known whether requests waited for one");
            None
        }
    };
    Cause { kind: KIND, share, evidence }
}

/// Whether requests waited for an acknowledgement before they left this host. Such a wait takes at least one round
/// trip. Absent if it was not measured.
pub(in super::super) fn waited_for_acknowledgement(side: &Side) -> Option<bool> {
    let (send, windows) = (side.instrumented.as_ref()?.breakdown.send.median()?, side.windows?);
    // The last segment of a longer request leaves only after the kernel has copied the others. Its delay says
    // nothing about acknowledgements.
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
    // The exchanges of a comparison use one write each, with TCP_NODELAY. Nothing delays them.
    Cause {
        kind: KIND,
        share: measured.then_some(0),
        evidence: format!("{name}, a request in two writes. {}", results.join(". ")),
    }
}

/// The effect of Nagle's algorithm on a request in two writes.
enum NagleEffect {
    /// The second write waits for an acknowledgement that the peer delays.
    Stall,
    /// The second write waits for the answer to the first, which contains the acknowledgement.
    OneRoundTrip,
    NoEffect,
}

impl NagleEffect {
    fn of(without_nagle: Duration, with_nagle: Duration) -> Self {
        // Two round trips are normal if the second write waits for the answer to the first.
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
            Self::Stall => "stall: the second write waits for a delayed acknowledgement",
            Self::OneRoundTrip => {
                "no stall: the second write waits one round trip for the answer to the first, which acknowledges it"
            }
            Self::NoEffect => "no stall",
        }
    }
}

fn describe_two_writes(result: &TwoWrites) -> String {
    let split = if result.splits_character {
        "Split inside a character, so that the server waits for the rest"
    } else {
        "Split between words"
    };
    let (Some(without_nagle), Some(with_nagle)) =
        (result.without_nagle.median(), result.with_nagle.median())
    else {
        return match &result.failure {
            Some(reason) => format!("{split}: not measured: {reason}"),
            None => format!("{split}: not measured"),
        };
    };
    format!(
        "{split}: {} with TCP_NODELAY, {} with Nagle's algorithm; {}",
        duration(without_nagle),
        duration(with_nagle),
        NagleEffect::of(without_nagle, with_nagle).describe()
    )
}

fn windows(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Windows;
    let Some(windows) = side.windows else {
        return not_measured(KIND, "this system does not report the windows of a connection");
    };
    let mut evidence = format!(
        "{name} requests of {} bytes; smallest observed congestion window: {} segments of {} bytes",
        count(side.request_bytes as u64),
        count(windows.min_congestion_window.into()),
        count(windows.segment_bytes.into()),
    );
    let too_long = exceeded_congestion_window(side) == Some(true);
    if too_long {
        evidence.push_str("; the requests did not fit into it");
    }
    let delayed = windows.limited_by_peer + windows.limited_by_buffer;
    if delayed.is_zero() {
        evidence.push_str("; neither the peer's receive window nor the send buffer delayed data");
    } else {
        evidence.extend([
            "; the peer's receive window delayed data for ".to_owned(),
            duration(windows.limited_by_peer),
            " in total, the send buffer for ".to_owned(),
            duration(windows.limited_by_buffer),
        ]);
    }
    let share = (!too_long && delayed.is_zero()).then_some(0);
    Cause { kind: KIND, share, evidence }
}

/// Whether a request is longer than the smallest observed congestion window. Absent if the window is not known.
pub(in super::super) fn exceeded_congestion_window(side: &Side) -> Option<bool> {
    let windows = side.windows?;
    let window = u64::from(windows.min_congestion_window) * u64::from(windows.segment_bytes);
    Some(side.request_bytes as u64 > window)
}

fn retransmissions(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Retransmission;
    match side.summary.tcp.and_then(|info| info.retransmissions) {
        None => not_measured(KIND, "this system does not report retransmissions to a program"),
        Some(0) => Cause {
            kind: KIND,
            share: Some(0),
            evidence: format!("{name} retransmitted no segment"),
        },
        Some(segments) => {
            let longest = side
                .summary
                .rtt
                .min_max()
                .map_or_else(String::new, |(_, longest)| duration(longest));
            let segments = counted(segments, "segment", "segments");
            Cause {
                kind: KIND,
                share: None,
                evidence: format!("{name} retransmitted {segments}; its longest RTT is {longest}"),
            }
        }
    }
}
