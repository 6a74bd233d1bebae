//! Tests: the outcome of each request, and the counts.

mod false_messages;

use super::reachability::MAX_TRANSIENT_ERRORS;
use super::*;
use crate::model::icmp::{IcmpError, Origin};
use crate::plan::Settings;
use crate::plan::payload::ServerReport;
use crate::protocol::registry::protocol_named;
use bytes::Bytes;
use echo_core::header::{ArrivalClock, Timing};

const TIMEOUT: Duration = Duration::from_secs(2);

const VERIFIED: Verification = Verification::Verified;
const UNVERIFIED: Verification = Verification::Unverified;

fn accounting(settings: Settings) -> Accounting {
    let settings = Settings { timeout: TIMEOUT, ..settings };
    let udp = protocol_named("udp").unwrap();
    Accounting::new(&Plan::new(udp, "127.0.0.1".parse().unwrap(), settings).unwrap())
}

/// Sends `requests` requests at the returned time.
fn with_requests(mut accounting: Accounting, requests: u64) -> (Accounting, Stamp) {
    let sent = Stamp::just_before();
    for _ in 0..requests {
        accounting.request_sent(sent, sent.monotonic(), TimestampId::default());
    }
    (accounting, sent)
}

fn series(requests: u64) -> (Accounting, Stamp) {
    with_requests(accounting(Settings::series(10)), requests)
}

fn reply(seq: u64, received: Stamp) -> ReceivedReply {
    let bytes = Bytes::from_static(b"0000000001ABCDEFGHIJKLM HELLO");
    ReceivedReply {
        seq: Some(seq),
        received,
        timestamp: None,
        first_byte: None,
        hop_limit: None,
        receive_drops: None,
        retransmitted: None,
        report: ServerReport::None,
        bytes,
    }
}

fn receive(accounting: &mut Accounting, reply: ReceivedReply) -> Option<Exchange> {
    accounting.reply(reply, None, |_| None)
}

fn wrong(accounting: &mut Accounting, reply: ReceivedReply) -> Option<Exchange> {
    accounting.wrong_reply(reply, Mismatch::DiffersAtByte(1), None)
}

/// The name of the outcome in JSON.
fn outcome(exchange: Option<Exchange>) -> Option<&'static str> {
    exchange.map(|exchange| exchange.outcome.name())
}

/// The counts of received, lost and corrupt requests.
fn outcomes(accounting: &Accounting) -> [u64; 3] {
    let Summary { sent, received, lost, corrupt, .. } = *accounting.summary();
    assert_eq!(sent, received + lost + corrupt);
    [received, lost, corrupt]
}

fn failure(condition: Condition, origin: Option<Origin>) -> Failure {
    Failure { origin, ..Failure::new(condition, Duration::ZERO) }
}

fn router_error(condition: Condition) -> Failure {
    let icmp = IcmpError { is_v6: false, kind: 3, code: 1, from: None };
    failure(condition, Some(Origin::Icmp(icmp)))
}

#[test]
fn stray_packet_decides_no_outcome() {
    let (mut accounting, sent) = series(1);
    accounting.stray_received();
    assert_eq!((accounting.summary().unmatched, accounting.in_flight()), (1, 1));
    let ttl = ReceivedReply { hop_limit: Some(61), ..reply(1, sent) };
    let exchange = receive(&mut accounting, ttl).unwrap();
    assert_eq!((exchange.outcome.name(), exchange.hop_limit), ("reply", Some(61)));
    assert_eq!(accounting.summary().reply_ttl.unwrap().min(), 61);
    assert_eq!(outcomes(&accounting), [1, 0, 0]);
}

#[test]
fn reply_in_time_has_an_rtt() {
    let (mut accounting, sent) = series(1);
    let rtt = Duration::from_millis(3);
    let exchange = receive(&mut accounting, reply(1, sent.later(rtt))).unwrap();
    assert_eq!((exchange.seq, exchange.rtt()), (1, Some(rtt)));
    assert_eq!(exchange.lateness, None, "there is no schedule");
    assert_eq!((outcomes(&accounting), accounting.in_flight()), ([1, 0, 0], 0));
}

#[test]
fn replies_are_counted_by_class() {
    let (mut accounting, sent) = series(3);
    assert_eq!(outcome(receive(&mut accounting, reply(2, sent))), Some("reply"));
    assert_eq!(outcome(receive(&mut accounting, reply(1, sent))), Some("reply"));
    assert_eq!(outcome(receive(&mut accounting, reply(1, sent))), None);
    assert_eq!(outcome(receive(&mut accounting, reply(9, sent))), None);
    let without_number = ReceivedReply { seq: None, ..reply(1, sent) };
    assert_eq!(outcome(receive(&mut accounting, without_number)), None);
    let Summary { out_of_order, duplicates, unmatched, late, .. } = *accounting.summary();
    assert_eq!([out_of_order, duplicates, unmatched, late], [1, 1, 2, 0]);
    assert_eq!(outcomes(&accounting), [2, 0, 0]);
}

#[test]
fn reply_is_late_after_the_timeout_of_its_request() {
    let (mut accounting, sent) = series(1);
    let expiry = sent.monotonic() + TIMEOUT;
    assert_eq!(accounting.next_expiry(), Some(expiry));
    let just_before = sent.monotonic() + TIMEOUT.saturating_sub(Duration::from_nanos(1));
    let silent = |seq, after| Failure {
        detail: Some(format!("request {seq}")),
        ..Failure::new(Condition::Silent, after)
    };
    assert!(accounting.expire(just_before, None, silent).is_none());
    let exchange = accounting.expire(expiry, None, silent).unwrap();
    let failure = exchange.outcome.failure().unwrap();
    assert_eq!((failure.condition, failure.after), (Condition::Silent, TIMEOUT));
    assert_eq!(failure.detail.as_deref(), Some("request 1"));
    assert_eq!(outcome(receive(&mut accounting, reply(1, sent.later(TIMEOUT)))), None);
    assert_eq!((outcomes(&accounting), accounting.summary().late), ([0, 1, 0], 1));
}

#[test]
fn reply_after_the_timeout_is_late_even_if_expire_was_not_called() {
    let (mut accounting, sent) = series(1);
    let received = sent.later(TIMEOUT + Duration::from_nanos(1));
    assert_eq!(outcome(receive(&mut accounting, reply(1, received))), Some("lost"));
    assert_eq!((outcomes(&accounting), accounting.summary().late), ([0, 1, 0], 1));
    let (mut accounting, sent) = series(1);
    assert_eq!(outcome(receive(&mut accounting, reply(1, sent.later(TIMEOUT)))), Some("reply"));
}

#[test]
fn request_that_was_not_sent_has_a_number_and_is_lost() {
    let (mut accounting, now) = series(1);
    let exchange = accounting.request_not_sent(now, failure(Condition::NoRoute, None), VERIFIED);
    assert_eq!((exchange.seq, exchange.outcome.name()), (2, "error"));
    assert!(exchange.sent.is_none());
    assert_eq!((accounting.next_seq(), accounting.only_in_flight()), (3, Some(1)));
    assert_eq!(outcomes(&accounting), [0, 1, 0]);
}

#[test]
fn second_failure_of_a_request_is_ignored() {
    let (mut accounting, _) = series(1);
    let reset = || failure(Condition::Reset, Some(Origin::Peer));
    assert_eq!(
        outcome(accounting.request_failed(1, reset(), Some(ConnectionPosition::First))),
        Some("error")
    );
    assert_eq!(
        outcome(accounting.request_failed(1, reset(), Some(ConnectionPosition::First))),
        None
    );
    assert_eq!(outcomes(&accounting), [0, 1, 0]);
}

#[test]
fn rtt_of_a_resent_request_counts_from_the_first_send() {
    let (mut accounting, sent) = series(1);
    accounting.request_resent(1, TimestampId { id: Some(5) });
    let rtt = Duration::from_millis(150);
    let exchange = receive(&mut accounting, reply(1, sent.later(rtt))).unwrap();
    assert_eq!(exchange.rtt(), Some(rtt));
    assert_eq!((outcomes(&accounting), accounting.summary().resent), ([1, 0, 0], 1));
}

#[test]
fn number_of_sends_of_a_request_is_limited() {
    let (mut accounting, _) = series(2);
    let mut sends = 1;
    while accounting.can_be_resent(1) {
        accounting.request_resent(1, TimestampId::default());
        sends += 1;
    }
    assert_eq!(
        (sends, accounting.can_be_resent(2)),
        (MAX_SENDS, true),
        "each request has its own limit"
    );
    let failure = accounting.sends_exhausted(Condition::Closed, Some(Origin::Peer));
    assert_eq!(failure.condition, Condition::Closed);
    accounting.request_failed(1, failure, None);
    assert!(!accounting.can_be_resent(1), "the request is not in flight");
    let Summary { resent, not_resent, .. } = *accounting.summary();
    assert_eq!((resent, not_resent), (u64::from(MAX_SENDS) - 1, 1));
    assert_eq!(outcomes(&accounting), [0, 1, 0]);
}

#[test]
fn permanent_error_before_any_reply_makes_the_server_unreachable() {
    for (condition, is_final) in [
        (Condition::Refused, true),
        (Condition::NoRoute, true),
        // The next connection, or the next request, can succeed.
        (Condition::Closed, false),
        (Condition::Reset, false),
        (Condition::Silent, false),
    ] {
        let (mut accounting, _) = series(1);
        accounting.request_failed(1, failure(condition, None), None);
        assert_eq!(accounting.is_unreachable(), is_final, "{condition}");
    }
}

#[test]
fn series_ends_after_the_maximum_number_of_router_errors() {
    let (mut accounting, _) = series(u64::from(MAX_TRANSIENT_ERRORS));
    for seq in 1..=u64::from(MAX_TRANSIENT_ERRORS) {
        assert!(!accounting.is_unreachable(), "before error {seq}");
        accounting.request_failed(seq, router_error(Condition::HostUnreachable), None);
    }
    assert!(accounting.is_unreachable());
    let (mut accounting, _) = series(1);
    accounting.request_failed(1, router_error(Condition::Refused), None);
    assert!(accounting.is_unreachable(), "a refusal is not transient");
}

#[test]
fn server_that_has_replied_is_not_unreachable() {
    let (mut accounting, sent) = series(3);
    accounting.request_failed(1, failure(Condition::Refused, None), None);
    assert!(accounting.is_unreachable());
    receive(&mut accounting, reply(2, sent));
    assert!(!accounting.is_unreachable());
    accounting.request_failed(3, failure(Condition::Refused, None), None);
    assert!(!accounting.is_unreachable());
}

#[test]
fn exchange_on_a_schedule_has_a_lateness() {
    let mut accounting = accounting(Settings { rate: Some(10.0), ..Settings::series(10) });
    let due = Stamp::just_before();
    let lateness = Duration::from_micros(70);
    let sent = due.later(lateness);
    accounting.request_sent(sent, due.monotonic(), TimestampId::default());
    let exchange = receive(&mut accounting, reply(1, sent)).unwrap();
    assert_eq!(exchange.lateness, Some(lateness));
}

#[test]
fn outcome_contains_the_message_without_its_number() {
    let content = crate::plan::Content::Numbered("hello".into());
    let settings = Settings { content, ..Settings::series(10) };
    let (mut accounting, sent) = with_requests(accounting(settings), 1);
    let exchange = receive(&mut accounting, reply(1, sent)).unwrap();
    let Outcome::Reply { text, .. } = exchange.outcome else { panic!("{exchange:?}") };
    assert_eq!(text.unwrap(), "HELLO");
}

#[test]
fn impossible_processing_time_makes_the_exchange_corrupt() {
    let settings = Settings { breakdown: true, ..Settings::series(10) };
    let (mut accounting, sent) = with_requests(accounting(settings), 2);
    let report = |server| ServerReport::Version1(Timing { arrival: ArrivalClock::Program, server });
    let received = sent.later(Duration::from_millis(1));
    let impossible =
        ReceivedReply { report: report(Duration::from_millis(2)), ..reply(1, received) };
    assert_eq!(outcome(receive(&mut accounting, impossible)), Some("corrupt"));
    // Without kernel timestamps there is an RTT, but no breakdown.
    let possible = ReceivedReply { report: report(Duration::ZERO), ..reply(2, received) };
    assert_eq!(outcome(receive(&mut accounting, possible)), Some("reply"));
    assert_eq!((outcomes(&accounting), accounting.summary().without_breakdown), ([1, 0, 1], 1));
}

#[test]
fn limit_of_this_host_does_not_end_a_series() {
    let (mut accounting, sent) = series(0);
    for condition in [Condition::LocalLimit, Condition::TooBig] {
        for _ in 0..=MAX_TRANSIENT_ERRORS {
            let exchange = accounting.request_not_sent(
                sent,
                failure(condition, Some(Origin::ThisHost)),
                VERIFIED,
            );
            assert_eq!(exchange.outcome.name(), "error");
            assert_eq!(exchange.lost_where, Some(LossPlace::SendQueue));
        }
        assert!(!accounting.is_unreachable(), "{condition}");
    }
    let no_route = failure(Condition::NoRoute, Some(Origin::ThisHost));
    accounting.request_not_sent(sent, no_route, VERIFIED);
    assert!(accounting.is_unreachable());
}
