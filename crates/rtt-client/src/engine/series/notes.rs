//! The notes of a summary: facts that a reader needs to interpret the figures of a series.

use crate::analysis::accounting::MAX_SENDS;
use crate::analysis::statistics::{HandshakeRetransmissions, Summary, WRONG_TOKEN_REASON};
use crate::model::address_change::{AddressChange, AddressChangeReason};
use crate::model::address_resolution::AddressResolution;
use crate::model::format::{count, counted, duration};
use crate::model::loss_place::LossPlace;
use crate::net::limitation::Limitation;
use crate::plan::payload::{TOKEN_BITS, TOKEN_LEN};
use chrono::{DateTime, Local};
use echo_core::escape;
use echo_core::header::version2;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

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
    /// The parts of the measurement that are missing or different.
    pub(super) limitations: Vec<Limitation>,
    /// The protocol's explanation of a regular pattern of missing replies.
    pub(super) missing_replies: Option<String>,
    /// Whether the server reported its counts.
    pub(super) server_counts: ServerCounts,
    /// The number of bits in the token of each request. Absent without a token.
    pub(super) token_bits: Option<u32>,
    /// The addresses whose replies the client did not use, with the number of replies.
    pub(super) replies_from_others: BTreeMap<SocketAddr, u64>,
}

/// Whether the server reported its counts of requests. They are the evidence for the places of losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerCounts {
    /// The protocol has no place for the counts, or the run does not need them.
    NotApplicable,
    Reported,
    NotReported,
    /// The requests are too short to ask for the counts.
    NoSpace,
    /// The requests contain the message of the user, and do not ask for the counts.
    Message,
}

/// If a token has fewer bits than this, a summary has a note. An attacker that sends a million replies each second guesses a
/// token of this length in about half an hour.
const MIN_TOKEN_BITS: u32 = 32;

/// The notes of a series. Each note is one or more complete sentences.
pub(super) fn notes(
    end: SeriesEnd,
    summary: &Summary,
    address_resolution: Option<AddressResolution>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if end.breakdown_unavailable {
        notes.push("No breakdown: kernel timestamps are not available on this system.".to_owned());
    }
    notes.extend(end.limitations.iter().map(Limitation::to_string));
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
    if summary.lost_where.at(LossPlace::Unknown) > 0 && summary.received > 0 {
        notes.extend(unknown_places(end.server_counts));
    }
    notes.extend(end.missing_replies);
    notes.extend(end.replies_from_others.iter().map(|(from, number)| {
        let replies = counted(*number, "reply", "replies");
        format!("{replies} came from {from} instead of the target. The client did not use them.")
    }));
    notes.extend(forged_messages(summary));
    notes.extend(short_token(end.token_bits));
    let median = summary.rtt.median().filter(|_| summary.rtt.count() > 1);
    notes.extend(address_resolution.map(|resolution| resolution.describe(median)));
    notes.extend(handshake_retransmissions(summary));
    notes.extend(limit_delays(summary));
    notes.extend(address_changes(summary));
    notes.extend(summary.replacements.first.iter().map(ToString::to_string));
    if summary.replacements.not_stored() > 0 {
        let number = count(summary.replacements.not_stored());
        notes.push(format!("The client opened a new one {number} more times."));
    }
    if summary.resent > 0 {
        let requests = counted(summary.resent, "request", "requests");
        notes.push(format!(
            "The client sent {requests} again on a new connection, because the old one had ended."
        ));
    }
    if summary.not_resent > 0 {
        let lost = counted(summary.not_resent, "request was", "requests were");
        notes.push(format!(
            "{lost} lost after {MAX_SENDS} sends, because each connection ended before the reply."
        ));
    }
    notes
}

/// The changes of the measured address. If an address has no reply, the client tries the next one at each attempt, so only
/// the last of these changes has a note.
fn address_changes(summary: &Summary) -> Vec<String> {
    let changes = &summary.address_changes;
    let last = changes.last_without_reply.as_ref();
    let stored = changes.first.iter().chain(last);
    let mut notes: Vec<String> = stored.map(address_change).collect();
    if changes.not_stored() > 0 {
        let number = count(changes.not_stored());
        notes.push(format!("The address changed {number} more times."));
    }
    notes
}

fn address_change(change: &AddressChange) -> String {
    let AddressChange { host, old, new, time, reason, .. } = change;
    let (host, new) = (escape(host.as_bytes()), new.ip());
    let time = DateTime::<Local>::from(time.wall()).format("%H:%M:%S");
    match (old.map(|old| old.ip()), reason) {
        (Some(old), AddressChangeReason::NameChanged) => {
            format!("The address of {host} changed from {old} to {new} at {time}.")
        }
        (Some(old), AddressChangeReason::NoReply) => format!(
            "The client measured {new}, another address of {host}, from {time} on, because {old} did not reply."
        ),
        (None, _) => format!("{host} had no address until {time}. Its address is {new}."),
    }
}

/// The reason why the places of losses are not known.
fn unknown_places(counts: ServerCounts) -> Option<String> {
    let reason = match counts {
        ServerCounts::NotApplicable | ServerCounts::Reported => return None,
        ServerCounts::NotReported => "The server does not report how many requests it received.".to_owned(),
        ServerCounts::NoSpace => format!(
            "Requests of fewer than {} bytes have no space for the server's counts (option -s).",
            version2::MIN_LEN
        ),
        ServerCounts::Message => {
            "Requests with a message have no space for the server's counts (use -s instead of a message).".to_owned()
        }
    };
    Some(format!("{reason} Therefore the places of losses outside this host are not known."))
}

/// The replies and the ICMP errors that are false.
fn forged_messages(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.wrong_token > 0 {
        notes.push(format!(
            "{} had a wrong token. {WRONG_TOKEN_REASON}",
            counted(summary.wrong_token, "reply", "replies")
        ));
    }
    if summary.refuted_errors > 0 {
        notes.push(format!(
            "{} had a correct reply although an ICMP error reported a failure. The client ignored the errors.",
            counted(summary.refuted_errors, "request", "requests")
        ));
    }
    notes
}

/// The requests have little or no space for a token.
fn short_token(bits: Option<u32>) -> Option<String> {
    let bits = bits.filter(|bits| *bits < MIN_TOKEN_BITS)?;
    Some(format!(
        "Each request has space for only {bits} of the {TOKEN_BITS} bits of its token. So the client cannot detect \
         every false reply. {TOKEN_LEN} more bytes are enough (option -s)."
    ))
}

/// The exchanges that waited for the server's rate limit.
fn limit_delays(summary: &Summary) -> Option<String> {
    let delays = &summary.limit_delays;
    let (median, max) = (delays.median()?, delays.max()?);
    Some(format!(
        "The server's rate limit (--rate) delayed {} of {}, by {} (median), at most {}. The RTTs contain this time.",
        count(delays.count()),
        counted(summary.received, "exchange", "exchanges"),
        duration(median),
        duration(max)
    ))
}

/// The costs below this are not shown, because they are less precise than this.
const MIN_COST: Duration = Duration::from_millis(1);

/// The packets that were sent again during handshakes, and the time that this cost.
fn handshake_retransmissions(summary: &Summary) -> Option<String> {
    let HandshakeRetransmissions { connections: affected @ 1.., segments, cost, without_cost } =
        summary.handshake_retransmissions
    else {
        return None;
    };
    let is_one = segments == 1;
    let sent_again = format!(
        "{} {} sent again",
        counted(segments, "segment", "segments"),
        if is_one { "was" } else { "were" }
    );
    let cost = if without_cost == 0 && cost >= MIN_COST {
        format!(", which cost about {}", duration(cost))
    } else {
        String::new()
    };
    let total = summary.connect.count();
    Some(match summary.connect.max().filter(|_| total == 1) {
        Some(only) => format!("The handshake took {}: {sent_again}{cost}.", duration(only)),
        None => format!(
            "In {} of {} handshakes, {sent_again}{cost}{}.",
            count(affected),
            count(total),
            if cost.is_empty() { "" } else { " in total" }
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_core::Stamp;

    const UNEVENTFUL: SeriesEnd = SeriesEnd {
        interrupted: false,
        in_flight: 0,
        ended_early: false,
        reply_limit: None,
        breakdown_unavailable: false,
        limitations: Vec::new(),
        missing_replies: None,
        server_counts: ServerCounts::NotApplicable,
        token_bits: None,
        replies_from_others: BTreeMap::new(),
    };

    #[test]
    fn uneventful_series_has_no_notes() {
        assert!(notes(UNEVENTFUL, &Summary::default(), None).is_empty());
    }

    #[test]
    fn interruption_without_a_request_in_flight_has_a_note() {
        let end = SeriesEnd { interrupted: true, ..UNEVENTFUL };
        assert_eq!(notes(end, &Summary::default(), None), [INTERRUPTED]);
    }

    #[test]
    fn reason_for_an_unknown_place_is_a_note() {
        let mut summary = Summary { received: 1, ..Summary::default() };
        let text = |server_counts, summary: &Summary| {
            notes(SeriesEnd { server_counts, ..UNEVENTFUL }, summary, None).join(" ")
        };
        assert_eq!(text(ServerCounts::NoSpace, &summary), "", "nothing was lost");
        summary.lost_where.add(LossPlace::Unknown, 1);
        assert_eq!(text(ServerCounts::Reported, &summary), "");
        assert!(text(ServerCounts::NoSpace, &summary).contains("128 bytes"));
        assert!(text(ServerCounts::Message, &summary).contains("message"));
        assert!(text(ServerCounts::NotReported, &summary).contains("does not report"));
    }

    #[test]
    fn each_unusual_event_has_one_note() {
        let end = SeriesEnd {
            interrupted: true,
            in_flight: 1,
            ended_early: true,
            reply_limit: Some(3),
            breakdown_unavailable: true,
            limitations: vec![Limitation::RefusedSourcePort(1900)],
            missing_replies: Some("Every tenth reply is missing.".to_owned()),
            server_counts: ServerCounts::Reported,
            token_bits: Some(30),
            replies_from_others: BTreeMap::from([("192.0.2.7:7".parse().unwrap(), 2)]),
        };
        let summary = Summary {
            resent: 2000,
            not_resent: 7,
            wrong_token: 1,
            refuted_errors: 2,
            ..Summary::default()
        };
        assert_eq!(
            notes(end, &summary, None),
            [
                "No breakdown: kernel timestamps are not available on this system.",
                "The source port 1900 belongs to a service. Servers of this project do not reply to it.",
                "Interrupted: 1 request in flight did not count.",
                "Ended early: the system reported an error before the first reply.",
                "The server closes each connection after 3 replies.",
                "Every tenth reply is missing.",
                "2 replies came from 192.0.2.7:7 instead of the target. The client did not use them.",
                "1 reply had a wrong token. Either the server replies before it receives the requests, or another host forges replies.",
                "2 requests had a correct reply although an ICMP error reported a failure. The client ignored the errors.",
                "Each request has space for only 30 of the 64 bits of its token. So the client cannot detect every false reply. 13 more bytes are enough (option -s).",
                "The client sent 2,000 requests again on a new connection, because the old one had ended.",
                "7 requests were lost after 4 sends, because each connection ended before the reply.",
            ]
        );
    }

    #[test]
    fn change_of_the_address_has_a_note_with_the_time_of_day() {
        let protocol = crate::protocol::registry::protocol_named("udp").unwrap();
        let [a, b] = ["192.0.2.1:7", "192.0.2.2:7"].map(|address| address.parse().unwrap());
        let time = Stamp::just_before();
        let clock = DateTime::<Local>::from(time.wall()).format("%H:%M:%S").to_string();
        for (old, reason, expected) in [
            (
                Some(a),
                AddressChangeReason::NameChanged,
                format!(
                    "The address of moving.example changed from 192.0.2.1 to 192.0.2.2 at {clock}."
                ),
            ),
            (
                None,
                AddressChangeReason::NameChanged,
                format!("moving.example had no address until {clock}. Its address is 192.0.2.2."),
            ),
            (
                Some(a),
                AddressChangeReason::NoReply,
                format!(
                    "The client measured 192.0.2.2, another address of moving.example, from {clock} on, because 192.0.2.1 did not reply."
                ),
            ),
        ] {
            let host = "moving.example".to_owned();
            let mut summary = Summary::default();
            summary.address_changes.add(AddressChange {
                protocol,
                host,
                old,
                new: b,
                time,
                reason,
            });
            assert_eq!(notes(UNEVENTFUL, &summary, None), [expected]);
        }
    }

    #[test]
    fn token_of_enough_bits_has_no_note() {
        for bits in [None, Some(MIN_TOKEN_BITS), Some(TOKEN_BITS)] {
            let end = SeriesEnd { token_bits: bits, ..UNEVENTFUL };
            assert!(notes(end, &Summary::default(), None).is_empty(), "{bits:?}");
        }
    }

    #[test]
    fn note_about_retransmissions_in_handshakes_has_a_cost_only_if_it_is_known() {
        let note = |handshakes: u64, handshake_retransmissions| {
            let mut summary = Summary { handshake_retransmissions, ..Summary::default() };
            for _ in 0..handshakes {
                summary.connect.add(Duration::from_millis(1032));
            }
            let notes = notes(UNEVENTFUL, &summary, None);
            assert_eq!(notes.len(), 1, "{notes:?}");
            notes[0].clone()
        };
        let cost = Duration::from_millis(1001);
        let one = HandshakeRetransmissions { connections: 1, segments: 1, cost, without_cost: 0 };
        assert_eq!(
            note(1, one),
            "The handshake took 1.032 s: 1 segment was sent again, which cost about 1.001 s."
        );
        let several = HandshakeRetransmissions { connections: 3, segments: 4, ..one };
        assert_eq!(
            note(2000, several),
            "In 3 of 2,000 handshakes, 4 segments were sent again, which cost about 1.001 s in total."
        );
        let unknown = HandshakeRetransmissions { without_cost: 1, ..several };
        assert_eq!(note(2000, unknown), "In 3 of 2,000 handshakes, 4 segments were sent again.");
        let free = HandshakeRetransmissions { cost: Duration::ZERO, ..one };
        assert_eq!(note(1, free), "The handshake took 1.032 s: 1 segment was sent again.");
    }
}
