//! Tests: wrong replies and ICMP errors do not decide the outcome of a request that still gets a correct reply.

use super::*;

/// A series over a stream.
fn stream(requests: u64) -> (Accounting, Stamp) {
    let tcp = protocol_named("tcp").unwrap();
    let settings = Settings { timeout: TIMEOUT, ..Settings::series(10) };
    let plan = Plan::new(tcp, "127.0.0.1".parse().unwrap(), settings).unwrap();
    with_requests(Accounting::new(&plan), requests)
}

/// The next exchange that expires at the timeout of requests that were sent at `sent`.
fn at_timeout(accounting: &mut Accounting, sent: Stamp) -> Option<Exchange> {
    let silent = |_, after| Failure::new(Condition::Silent, after);
    accounting.expire(sent.monotonic() + TIMEOUT, None, silent)
}

#[test]
fn wrong_reply_of_a_stream_is_corrupt_at_once() {
    let (mut accounting, sent) = stream(2);
    let exchange = wrong(&mut accounting, reply(1, sent)).unwrap();
    assert_eq!((exchange.outcome.name(), exchange.rtt()), ("corrupt", None));
    assert!(wrong(&mut accounting, reply(1, sent)).is_none(), "request 1 is decided");
    assert!(wrong(&mut accounting, ReceivedReply { seq: None, ..reply(1, sent) }).is_none());
    assert_eq!((outcomes(&accounting), accounting.summary().unmatched), ([0, 0, 1], 2));
    assert_eq!(accounting.only_in_flight(), Some(2));
}

#[test]
fn reply_without_an_end_is_corrupt_only_if_its_first_byte_arrived_in_time() {
    let (mut accounting, sent) = stream(3);
    let mismatch = Mismatch::DiffersAtByte(1);
    let unfinished = |seq, first_byte| {
        let first_byte = Some(sent.later(first_byte));
        ReceivedReply { first_byte, ..reply(seq, sent.later(2 * TIMEOUT)) }
    };
    let exchange = accounting.unfinished_reply(unfinished(1, TIMEOUT / 2), mismatch, None);
    assert_eq!(outcome(exchange), Some("corrupt"));
    for (seq, first_byte) in [(1, TIMEOUT / 2), (2, 2 * TIMEOUT)] {
        assert!(accounting.unfinished_reply(unfinished(seq, first_byte), mismatch, None).is_none());
    }
    assert_eq!((outcomes(&accounting), accounting.summary().unmatched), ([0, 0, 1], 2));
    assert_eq!(accounting.numbers_in_flight(), [2, 3]);
}

#[test]
fn wrong_datagram_is_corrupt_only_if_no_correct_reply_arrives_in_time() {
    let (mut accounting, sent) = series(3);
    for seq in [1, 2, 2] {
        assert!(wrong(&mut accounting, reply(seq, sent)).is_none());
    }
    assert_eq!(outcome(receive(&mut accounting, reply(1, sent))), Some("reply"));
    // The wrong reply to request 1, and the second one to request 2.
    assert_eq!((outcomes(&accounting), accounting.summary().unmatched), ([1, 0, 0], 2));
    let exchange = at_timeout(&mut accounting, sent).unwrap();
    assert_eq!((exchange.seq, exchange.outcome.name(), exchange.rtt()), (2, "corrupt", None));
    assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some("lost"));
    assert_eq!(outcome(receive(&mut accounting, reply(2, sent.later(2 * TIMEOUT)))), None);
    let Summary { unmatched, duplicates, late, .. } = *accounting.summary();
    assert_eq!((outcomes(&accounting), [unmatched, duplicates, late]), ([1, 1, 1], [2, 1, 0]));
}

#[test]
fn wrong_datagram_after_the_timeout_is_unmatched() {
    let (mut accounting, sent) = series(1);
    let too_late = sent.later(TIMEOUT + Duration::from_nanos(1));
    assert!(wrong(&mut accounting, reply(1, too_late)).is_none());
    assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some("lost"));
    assert_eq!(accounting.summary().unmatched, 1);
}

#[test]
fn replies_with_a_wrong_token_have_their_own_count() {
    let (mut accounting, sent) = series(2);
    let forged = |accounting: &mut Accounting, seq| {
        accounting.wrong_reply(reply(seq, sent), Mismatch::WrongToken, None)
    };
    for seq in [1, 1, 2, 9] {
        assert!(forged(&mut accounting, seq).is_none());
    }
    assert_eq!(outcome(receive(&mut accounting, reply(1, sent))), Some("reply"));
    assert!(forged(&mut accounting, 1).is_none());
    assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some("corrupt"));
    let Summary { wrong_token, unmatched, duplicates, .. } = *accounting.summary();
    assert_eq!([wrong_token, unmatched, duplicates], [5, 0, 0]);
    assert_eq!(outcomes(&accounting), [1, 0, 1]);
}

#[test]
fn reply_that_was_read_before_the_request_was_sent_is_wrong() {
    let (mut accounting, before) = stream(0);
    let sent = before.later(Duration::from_millis(1));
    accounting.request_sent(sent, sent.monotonic(), TimestampId::default());
    let exchange = receive(&mut accounting, reply(1, before)).unwrap();
    let detail = exchange.outcome.failure().unwrap().detail.clone().unwrap();
    assert_eq!(exchange.outcome.name(), "corrupt");
    assert_eq!(detail, "the reply arrived before the request was sent");
}

#[test]
fn reply_in_time_counts_after_an_error() {
    for verification in [VERIFIED, UNVERIFIED] {
        let (mut accounting, sent) = series(1);
        let refused = failure(Condition::Refused, None);
        accounting.error_reported(1, refused, verification, sent.monotonic());
        assert!(!accounting.is_unreachable());
        let rtt = Duration::from_millis(5);
        let exchange = receive(&mut accounting, reply(1, sent.later(rtt))).unwrap();
        assert_eq!(exchange.rtt(), Some(rtt));
        assert_eq!((outcomes(&accounting), accounting.summary().refuted_errors), ([1, 0, 0], 1));
        assert!(!accounting.is_unreachable());
    }
}

#[test]
fn verified_error_shortens_the_wait_for_a_reply() {
    let (mut accounting, sent) = series(1);
    let after = Duration::from_millis(40);
    let refused = failure(Condition::Refused, None);
    accounting.error_reported(1, refused, VERIFIED, sent.monotonic() + after);
    let expiry = sent.monotonic() + after + wait_after_error(after);
    assert_eq!(accounting.next_expiry(), Some(expiry));
    let silent = |_, after| Failure::new(Condition::Silent, after);
    let exchange = accounting.expire(expiry, None, silent).unwrap();
    let failure = exchange.outcome.failure().unwrap();
    assert_eq!((exchange.outcome.name(), failure.condition), ("error", Condition::Refused));
    assert_eq!(failure.after, after);
    assert!(accounting.is_unreachable());
}

#[test]
fn error_that_is_not_verified_decides_only_at_the_timeout_and_needs_a_second_one() {
    let (mut accounting, sent) = series(2);
    for seq in [1, 2] {
        let prohibited = router_error(Condition::Prohibited);
        accounting.error_reported(seq, prohibited, UNVERIFIED, sent.monotonic());
    }
    assert_eq!(accounting.next_expiry(), Some(sent.monotonic() + TIMEOUT));
    let (mut accounting, sent) = series(3);
    for seq in [1, 3] {
        let refused = router_error(Condition::Refused);
        accounting.error_reported(seq, refused, UNVERIFIED, sent.monotonic());
    }
    let exchange = at_timeout(&mut accounting, sent).unwrap();
    assert_eq!((exchange.outcome.name(), exchange.lost_where), ("error", None));
    assert!(!accounting.is_unreachable());
    assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some("lost"));
    assert!(!accounting.is_unreachable());
    assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some("error"));
    assert!(accounting.is_unreachable());
}

#[test]
fn strongest_observation_decides_the_outcome() {
    for (verification, has_wrong_reply, expected) in
        [(VERIFIED, true, "error"), (UNVERIFIED, true, "corrupt"), (UNVERIFIED, false, "error")]
    {
        let (mut accounting, sent) = series(1);
        if has_wrong_reply {
            wrong(&mut accounting, reply(1, sent));
        }
        let refused = failure(Condition::Refused, None);
        accounting.error_reported(1, refused, verification, sent.monotonic());
        assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some(expected));
    }
    // The token of a reply from another address is correct, so the server has received the request.
    let (mut accounting, sent) = series(1);
    let refused = failure(Condition::Refused, None);
    accounting.error_reported(1, refused, UNVERIFIED, sent.monotonic());
    let other = "192.0.2.7:7".parse().unwrap();
    let from_other = |_, after| Failure::other_address(other, after);
    let exchange = accounting.expire(sent.monotonic() + TIMEOUT, None, from_other).unwrap();
    assert_eq!(exchange.outcome.failure().unwrap().condition, Condition::OtherAddress);
}

#[test]
fn errors_without_a_number_belong_to_the_requests_in_their_order() {
    let (mut accounting, sent) = series(4);
    receive(&mut accounting, reply(2, sent));
    let mut requests = || accounting.request_of_unassigned_error();
    assert_eq!([requests(), requests(), requests(), requests()], [Some(1), Some(3), Some(4), None]);
}

#[test]
fn flood_of_errors_without_a_number_searches_each_request_once() {
    let (mut accounting, sent) = series(4);
    receive(&mut accounting, reply(4, sent));
    receive(&mut accounting, reply(2, sent));
    let next = |accounting: &mut Accounting| {
        let seq = accounting.request_of_unassigned_error();
        (seq, accounting.next_without_error)
    };
    assert_eq!(next(&mut accounting), (Some(1), 2));
    assert_eq!(next(&mut accounting), (Some(3), 4));
    // The request 4 has a reply. The next search starts after it.
    assert_eq!(next(&mut accounting), (None, 5));
    accounting.request_sent(sent, sent.monotonic(), TimestampId::default());
    assert_eq!(next(&mut accounting), (Some(5), 6));
}

#[test]
fn transient_error_is_no_evidence_for_a_permanent_one_if_both_are_not_verified() {
    let (mut accounting, sent) = series(3);
    for (seq, condition) in
        [(1, Condition::Prohibited), (2, Condition::Refused), (3, Condition::Refused)]
    {
        accounting.error_reported(seq, router_error(condition), UNVERIFIED, sent.monotonic());
    }
    for is_unreachable in [false, false, true] {
        assert_eq!(outcome(at_timeout(&mut accounting, sent)), Some("error"));
        assert_eq!(accounting.is_unreachable(), is_unreachable);
    }
}

#[test]
fn unverified_refusal_of_a_request_that_was_not_sent_does_not_end_the_series() {
    let (mut accounting, sent) = series(0);
    let refused = || failure(Condition::Refused, None);
    for _ in 0..5 {
        accounting.request_not_sent(sent, refused(), UNVERIFIED);
    }
    assert_eq!((outcomes(&accounting), accounting.is_unreachable()), ([0, 5, 0], false));
    accounting.request_not_sent(sent, refused(), VERIFIED);
    assert!(accounting.is_unreachable());
}
