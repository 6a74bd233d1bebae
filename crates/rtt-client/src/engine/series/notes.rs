//! The notes of a summary: facts that a reader needs to interpret the figures of a series.

use crate::analysis::statistics::Summary;
use crate::model::format::counted;
use crate::net::limitation::Limitation;

/// How a series ended.
#[derive(Debug, Clone)]
pub(super) struct SeriesEnd {
    /// The number of requests that were in flight when the user interrupted the series.
    pub(super) in_flight: usize,
    /// Whether the series sent fewer requests than planned, because errors arrived before the first reply.
    pub(super) ended_early: bool,
    /// The number of replies after which the server closes a connection.
    pub(super) reply_limit: Option<u64>,
    /// Whether the plan requests a breakdown that this system does not support.
    pub(super) breakdown_unavailable: bool,
    /// The parts of the measurement that are missing or different.
    pub(super) limitations: Vec<Limitation>,
    /// The protocol's explanation of a regular pattern of missing replies.
    pub(super) missing_replies: Option<String>,
}

/// The notes of a series. Each note is one or more complete sentences.
pub(super) fn notes(end: SeriesEnd, summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if end.breakdown_unavailable {
        notes.push("No breakdown: kernel timestamps are not available on this system.".to_owned());
    }
    notes.extend(end.limitations.iter().map(Limitation::to_string));
    if end.in_flight > 0 {
        let requests = counted(end.in_flight as u64, "request", "requests");
        notes.push(format!("Interrupted: {requests} in flight did not count."));
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
        in_flight: 0,
        ended_early: false,
        reply_limit: None,
        breakdown_unavailable: false,
        limitations: Vec::new(),
        missing_replies: None,
    };

    #[test]
    fn uneventful_series_has_no_notes() {
        assert!(notes(UNEVENTFUL, &Summary::default()).is_empty());
    }

    #[test]
    fn each_unusual_event_has_one_note() {
        let end = SeriesEnd {
            in_flight: 1,
            ended_early: true,
            reply_limit: Some(3),
            breakdown_unavailable: true,
            limitations: vec![Limitation::RefusedSourcePort(1900)],
            missing_replies: Some("Every tenth reply is missing.".to_owned()),
        };
        let summary = Summary { resent: 2000, ..Summary::default() };
        assert_eq!(
            notes(end, &summary),
            [
                "No breakdown: kernel timestamps are not available on this system.",
                "The source port 1900 belongs to a service. Servers of this project do not reply to it.",
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
