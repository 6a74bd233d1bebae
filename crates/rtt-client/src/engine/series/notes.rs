//! The notes of a summary: the facts about a series that a reader of its figures needs. Pure.

use crate::analysis::statistics::Summary;

/// How a series ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesEnd {
    /// Requests whose outcome was not decided when the user interrupted the series.
    pub(super) in_flight: usize,
    /// Whether an error ended the series, because no further request would be answered.
    pub(super) unreachable: bool,
    /// The number of replies after which the server closes a connection.
    pub(super) reply_limit: Option<u64>,
    /// Whether the plan requests a breakdown that this system does not support.
    pub(super) breakdown_unavailable: bool,
}

/// The notes of a series with these figures.
pub(super) fn notes(end: SeriesEnd, summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if end.breakdown_unavailable {
        notes.push("no breakdown: kernel timestamps are not available on this system".to_owned());
    }
    if end.in_flight > 0 {
        let requests = count(end.in_flight as u64, "request", "requests");
        notes.push(format!("interrupted: {requests} in flight not counted"));
    }
    if end.unreachable {
        notes.push(
            "ended early: no request was answered, and the system reported an error".to_owned(),
        );
    }
    if let Some(replies) = end.reply_limit {
        let replies = count(replies, "reply", "replies");
        notes.push(format!("the server closes connections after {replies}"));
    }
    if summary.resent > 0 {
        let requests = count(summary.resent, "request", "requests");
        notes.push(format!(
            "{requests} sent again on a new connection, because the server had closed the old one"
        ));
    }
    notes
}

fn count(count: u64, singular: &str, plural: &str) -> String {
    format!("{count} {}", if count == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNEVENTFUL: SeriesEnd = SeriesEnd {
        in_flight: 0,
        unreachable: false,
        reply_limit: None,
        breakdown_unavailable: false,
    };

    #[test]
    fn uneventful_series_has_no_notes() {
        assert!(notes(UNEVENTFUL, &Summary::default()).is_empty());
    }

    #[test]
    fn each_peculiarity_has_one_note() {
        let end = SeriesEnd {
            in_flight: 1,
            unreachable: true,
            reply_limit: Some(3),
            breakdown_unavailable: true,
        };
        let summary = Summary { resent: 2, ..Summary::default() };
        assert_eq!(
            notes(end, &summary),
            [
                "no breakdown: kernel timestamps are not available on this system",
                "interrupted: 1 request in flight not counted",
                "ended early: no request was answered, and the system reported an error",
                "the server closes connections after 3 replies",
                "2 requests sent again on a new connection, because the server had closed the old one",
            ]
        );
    }
}
