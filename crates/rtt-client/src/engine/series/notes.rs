//! The notes of a summary: facts that a reader needs to interpret the figures of a series.

use crate::analysis::statistics::Summary;
use crate::model::format::counted;

/// The note of a series that the user ended while no request was in flight.
pub(in crate::engine) const INTERRUPTED: &str = "Interrupted by a signal.";

/// How a series ended.
#[derive(Debug, Clone)]
pub(super) struct SeriesEnd {
    /// Whether the user ended the series before it was complete.
    pub(super) interrupted: bool,
    /// The number of requests that were in flight when the user interrupted the series.
    pub(super) in_flight: usize,
    /// Whether the series sent fewer requests than planned, because errors arrived before the first reply.
    pub(super) ended_early: bool,
    /// The number of replies after which the server closes a connection.
    pub(super) reply_limit: Option<u64>,
    /// Whether the plan requests a breakdown that this system does not support.
    pub(super) breakdown_unavailable: bool,
    /// The protocol's explanation of a regular pattern of missing replies.
    pub(super) missing_replies: Option<String>,
}

/// The notes of a series. Each note is one or more complete sentences.
pub(super) fn notes(end: SeriesEnd, summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if end.breakdown_unavailable {
        notes.push("No breakdown: kernel timestamps are not available on this system.".to_owned());
    }
    if end.in_flight > 0 {
        let requests = counted(end.in_flight as u64, "request", "requests");
        notes.push(format!("Interrupted: {requests} in flight did not count."));
    } else if end.interrupted {
        notes.push(INTERRUPTED.to_owned());
    }
    if end.ended_early {
        notes.push("Ended early: the system reported an error before the first reply.".to_owned());
    }
    if let Some(replies) = end.reply_limit {
        let replies = counted(replies, "reply", "replies");
        notes.push(format!("The server closes each connection after {replies}."));
    }
    notes.extend(end.missing_replies);
    if summary.resent > 0 {
        let requests = counted(summary.resent, "request", "requests");
        notes.push(format!(
            "The client sent {requests} again on a new connection, because the server had closed the old one."
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNEVENTFUL: SeriesEnd = SeriesEnd {
        interrupted: false,
        in_flight: 0,
        ended_early: false,
        reply_limit: None,
        breakdown_unavailable: false,
        missing_replies: None,
    };

    #[test]
    fn uneventful_series_has_no_notes() {
        assert!(notes(UNEVENTFUL, &Summary::default()).is_empty());
    }

    #[test]
    fn interruption_without_a_request_in_flight_has_a_note() {
        let end = SeriesEnd { interrupted: true, ..UNEVENTFUL };
        assert_eq!(notes(end, &Summary::default()), [INTERRUPTED]);
    }

    #[test]
    fn each_unusual_event_has_one_note() {
        let end = SeriesEnd {
            interrupted: true,
            in_flight: 1,
            ended_early: true,
            reply_limit: Some(3),
            breakdown_unavailable: true,
            missing_replies: Some("Every tenth reply is missing.".to_owned()),
        };
        let summary = Summary { resent: 2000, ..Summary::default() };
        assert_eq!(
            notes(end, &summary),
            [
                "No breakdown: kernel timestamps are not available on this system.",
                "Interrupted: 1 request in flight did not count.",
                "Ended early: the system reported an error before the first reply.",
                "The server closes each connection after 3 replies.",
                "Every tenth reply is missing.",
                "The client sent 2,000 requests again on a new connection, because the server had closed the \
                 old one.",
            ]
        );
    }
}
