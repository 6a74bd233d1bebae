//! Each unusual event of a series has one note.

use super::*;
use crate::model::loss_place::{LossPlace, LossReason};

const UNEVENTFUL: SeriesEnd = SeriesEnd {
    interrupted: false,
    in_flight: 0,
    ended_early: false,
    is_plain_echo: false,
    has_extra_bytes: false,
    other_service: None,
    shows_wrong_reply: false,
    is_matched_in_order: false,
    reply_limit: None,
    breakdown_unavailable: false,
    limitations: Vec::new(),
    missing_replies: None,
    server_counts: ServerCounts::NotApplicable,
    handshake_pacing: None,
    token: None,
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
    summary.lost_where.add_one(None, Some(LossReason::Refused));
    assert_eq!(text(ServerCounts::NoSpace, &summary), "", "the reason is known");
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
        is_plain_echo: true,
        has_extra_bytes: true,
        other_service: Some("Try another service.".to_owned()),
        shows_wrong_reply: false,
        is_matched_in_order: true,
        reply_limit: Some(3),
        breakdown_unavailable: true,
        limitations: vec![Limitation::RefusedSourcePort(1900)],
        missing_replies: Some("Every tenth reply is missing.".to_owned()),
        server_counts: ServerCounts::Reported,
        handshake_pacing: None,
        token: Some(Token { bits: 30, has_message: false }),
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
            "Interrupted: 1 request in flight does not count.",
            "Ended early: the system reported an error before the first reply.",
            "Try another service.",
            MATCHED_IN_ORDER,
            "The server is a plain echo server (RFC 862): it returns the unchanged request.",
            EXTRA_BYTES,
            "The server closes each connection after 3 replies.",
            "Every tenth reply is missing.",
            "2 replies came from 192.0.2.7:7 instead of the target. The client did not use them.",
            "1 reply had a wrong token. The server replies before it receives the requests, another host forges replies, or the replies belong to an earlier run from the same local port.",
            "2 requests had a correct reply although an ICMP error reported a failure. The client ignored the errors.",
            "Each request has space for only 30 of the 64 bits of its token. So the client cannot detect every false reply or ICMP error. Requests that are 13 bytes longer have space for the whole token (option -s).",
            "The client sent 2,000 requests again on a new connection, because the old one had ended.",
            "7 requests were lost after 4 sends, because each connection ended before the reply.",
        ]
    );
}

#[test]
fn token_of_enough_bits_has_no_note() {
    for bits in [MIN_TOKEN_BITS, TOKEN_BITS] {
        let token = Some(Token { bits, has_message: false });
        let end = SeriesEnd { token, ..UNEVENTFUL };
        assert!(notes(end, &Summary::default(), None).is_empty(), "{bits}");
    }
}

#[test]
fn note_about_a_short_token_of_a_message_suggests_a_shorter_message() {
    let token = Some(Token { bits: 0, has_message: true });
    let end = SeriesEnd { token, ..UNEVENTFUL };
    let notes = notes(end, &Summary::default(), None);
    assert!(notes[0].ends_with("A shorter message leaves space for the token."), "{notes:?}");
}

#[test]
fn requests_in_flight_after_an_interruption_have_a_note() {
    for (in_flight, expected) in [
        (1, "Interrupted: 1 request in flight does not count."),
        (2, "Interrupted: 2 requests in flight do not count."),
    ] {
        let end = SeriesEnd { interrupted: true, in_flight, ..UNEVENTFUL };
        assert_eq!(notes(end, &Summary::default(), None), [expected]);
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

#[test]
fn note_about_repeated_handshakes_suggests_a_longer_interval_only_if_it_is_short() {
    for (pacing, advice) in [
        (Pacing::AfterReply(Duration::ZERO), Some("(-i 10ms)")),
        (Pacing::AfterReply(Duration::from_secs(1)), None),
        (Pacing::FixedRate(1000.0), Some("(--rate 100)")),
        (Pacing::FixedRate(10.0), None),
    ] {
        let mut summary = Summary::default();
        summary.handshake_retransmissions.connections = 1;
        summary.handshake_retransmissions.segments = 1;
        let end = SeriesEnd { handshake_pacing: Some(pacing), ..UNEVENTFUL };
        let notes = notes(end, &summary, None).join(" ");
        assert!(notes.contains("queue of new connections"), "{notes}");
        match advice {
            Some(advice) => assert!(notes.contains(advice), "{notes}"),
            None => assert!(!notes.contains("prevents this"), "{notes}"),
        }
    }
}
