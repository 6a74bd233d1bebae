//! The causes that only TCP has: acknowledgements, Nagle's algorithm, windows and retransmissions.

use super::two_writes;
use crate::analysis::comparison::transmission::{
    exceeded_congestion_window, waited_for_acknowledgement,
};
use crate::analysis::comparison::{Cause, CauseKind, ProtocolCause, not_measured, per_exchange};
use crate::analysis::evidence::Side;
use crate::analysis::explain::CauseContext;
use crate::model::format::{count, counted, duration};

static ACKNOWLEDGEMENTS: ProtocolCause =
    ProtocolCause { name: "acknowledgements", label: "acknowledgements", no_effect: "no effect" };

/// The congestion window, the receive window and the send buffer.
static WINDOWS: ProtocolCause =
    ProtocolCause { name: "windows", label: "TCP windows", no_effect: "no effect" };

pub(super) static RETRANSMISSION: ProtocolCause =
    ProtocolCause { name: "retransmission", label: "retransmissions", no_effect: "no effect" };

/// Lists the causes for one side.
pub(super) fn list(context: &CauseContext<'_>) -> Vec<Cause> {
    let CauseContext { evidence, side, name, .. } = *context;
    // The packets of a handshake are not acknowledgements of data, and the windows of a short connection are not observed.
    let is_established = !side.has_new_connections();
    let causes = [
        is_established.then(|| acknowledgements(side, name)),
        side.expected.is_echo().then(|| two_writes::cause(evidence, side, name)),
        is_established.then(|| windows(side, name)),
        Some(retransmissions(side, name)),
    ];
    causes.into_iter().flatten().collect()
}

fn acknowledgements(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Protocol(&ACKNOWLEDGEMENTS);
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
            evidence.push_str(" Requests left this host late, so they possibly waited for one.");
            None
        }
        None => {
            evidence.push_str(" It was not measured whether requests waited for one.");
            None
        }
    };
    Cause { kind: KIND, share, evidence }
}

fn windows(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Protocol(&WINDOWS);
    let Some(windows) = side.windows else {
        return not_measured(KIND, reason_without_windows(side));
    };
    let requests = match side.request_bytes {
        0 => format!("The server of {name} sends first, without a request."),
        bytes => format!("The requests of {name} have {} bytes.", count(bytes as u64)),
    };
    let mut evidence = format!(
        "{requests} The smallest observed congestion window was {} segments of {} bytes.",
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

/// The reason why the windows are not known. The kernel reports them only for an open connection.
pub(super) fn reason_without_windows(side: &Side) -> &'static str {
    if side.summary.kernel_statistics.is_some() {
        "the client reads the windows of an open connection, but each connection ended before"
    } else {
        "this system does not report the windows of a connection"
    }
}

fn retransmissions(side: &Side, name: &str) -> Cause {
    const KIND: CauseKind = CauseKind::Protocol(&RETRANSMISSION);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::traffic::KernelStatistics;
    use crate::protocol::registry::protocol_named;

    fn side(statistics: Option<KernelStatistics>) -> Side {
        let mut side = Side::new(protocol_named("tcp").unwrap(), "tcp://h:1");
        side.summary.kernel_statistics = statistics;
        side
    }

    #[test]
    fn reason_without_windows_depends_on_whether_the_system_reports_statistics() {
        let cause = |statistics| windows(&side(statistics), "TCP").evidence;
        let ended = cause(Some(KernelStatistics::default()));
        assert!(ended.contains("each connection ended before"), "{ended}");
        assert!(!ended.contains("this system"), "{ended}");
        let not_supported = cause(None);
        assert!(not_supported.contains("this system does not report"), "{not_supported}");
    }
}
